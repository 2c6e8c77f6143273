#include "doline/redirect_command.h"

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "control/command_socket.h"
#include "doline/exit_status.h"
#include "doline/terminal_text.h"
#include "redirect/host_facts.h"
#include "redirect/options.h"
#include "redirect/plan.h"
#include "redirect/suggest.h"
#include "warden/leftovers.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using Verb = RedirectArguments::Verb;
using Sentences = std::vector<std::string>;

void print(std::ostream& out, const ordered_json& object) {
  out << object.dump(-1, ' ', true, ordered_json::error_handler_t::replace) << '\n';
}

const char* name_of(redirect::Tool tool) {
  switch (tool) {
    case redirect::Tool::none:
      return "none";
    case redirect::Tool::nft:
      return "nft";
    case redirect::Tool::iptables:
      return "iptables";
  }
  return "";
}

/// As the operator would write it.
std::string section_of(const redirect::Options& options) {
  std::string names;
  for (const std::string& name : options.interfaces) names += (names.empty() ? "" : ", ") + name;
  return "redirect: {mode: " + std::string(redirect::to_string(options.mode)) + ", interfaces: [" + names + "]}";
}

int show_plan(const RedirectArguments& arguments, redirect::Options options, std::ostream& out) {
  const redirect::HostFacts facts = redirect::gather_host_facts();
  if (options.mode == redirect::Mode::off && !arguments.json)
    if (const auto suggested = redirect::suggest(facts)) {
      out << "The configuration asks for no redirect, and nothing is changed. On this machine, which routes for "
             "others,\n"
             "it could ask for this, which takes effect when Doline is started again:\n\n  "
          << printable(section_of(*suggested)) << "\n\nThat would do the following.\n";
      options = *suggested;
    }
  const redirect::Plan plan = redirect::plan(options, facts);
  if (arguments.json)
    print(out, {{"possible", plan.is_possible()},
                {"mode", redirect::to_string(options.mode)},
                {"tool", name_of(plan.tool)},
                {"problems", plan.problems},
                {"warnings", plan.warnings},
                {"rules", plan.rules},
                {"seen", plan.seen},
                {"text", redirect::describe(plan)}});
  else
    out << redirect::describe(plan);
  if (plan.is_possible()) return exit_ok;
  return redirect::find_problems(options).empty() ? exit_no : exit_configuration;
}

/// An answer of the running Doline: {"ok": …} with "text", "state", "warnings" or "reasons".
int show_answer(const RedirectArguments& arguments, const nlohmann::json& answer, std::ostream& out,
                std::ostream& err) {
  const bool is_ok = answer.value("ok", false);
  const bool is_in_place =
      is_ok && (arguments.verb != Verb::status || answer.value("state", std::string()) == "applied");
  if (arguments.json) {
    print(out, answer);
    return is_in_place ? exit_ok : exit_no;
  }
  const auto print_all = [&](const char* key, const char* prefix, std::ostream& where) {
    const auto found = answer.find(key);
    if (found == answer.end() || !found->is_array()) return;
    for (const auto& sentence : *found)
      if (sentence.is_string()) where << prefix << printable(sentence.get<std::string>()) << '\n';
  };
  if (arguments.verb == Verb::status) {
    out << answer.value("text", std::string());
  } else if (is_ok) {
    out << (arguments.verb == Verb::apply    ? "The redirect is in place: stray DNS of the LAN is answered here.\n"
            : arguments.verb == Verb::verify ? "The redirect is in place, as it was applied.\n"
                                             : "The redirect is removed: stray DNS goes its own way.\n");
    print_all("warnings", "Note: ", out);
  } else {
    print_all("reasons", "doline redirect: ", err);
  }
  return is_in_place ? exit_ok : exit_no;
}

/// No Doline runs. What a killed one has left is this process's own business.
int look_after_leftovers(const RedirectArguments& arguments, const redirect::Options& options, std::ostream& out,
                         std::ostream& err) {
  if (!warden::may_change_rules()) {
    err << "doline redirect: no Doline runs; whether a killed one has left anything behind is for root to see: sudo "
           "doline redirect "
        << name_of(arguments.verb) << '\n';
    return exit_no_permission;
  }
  const warden::Leftovers found = warden::find_leftovers(options);
  const bool removes = arguments.verb == Verb::remove;
  const Sentences complaints =
      removes ? warden::remove_leftovers(options, arguments.after_crash ? warden::Memory::keep : warden::Memory::forget)
              : Sentences();
  if (arguments.json) {
    print(out, {{"ok", removes && complaints.empty()},
                {"running", false},
                {"state", found.intercept() ? "left behind" : "absent"},
                {removes ? "removed" : "left_behind", found.describe()},
                {"reasons", complaints}});
  } else if (removes) {
    for (const std::string& complaint : complaints) err << "doline redirect: " << printable(complaint) << '\n';
    if (complaints.empty())
      out << (found.is_nothing() ? "No Doline runs, and there was nothing to remove.\n"
                                 : "No Doline runs; what the last one left is removed.\n");
  } else {
    out << "No Doline runs: the redirect is not in place.\n";
    for (const std::string& sentence : found.describe()) out << "Left behind: " << sentence << '\n';
    if (!found.is_nothing()) out << "`doline redirect remove` clears that, and so does the next start.\n";
  }
  return removes && complaints.empty() ? exit_ok : exit_no;
}

}  // namespace

const char* name_of(Verb verb) {
  switch (verb) {
    case Verb::none:
      return "";
    case Verb::plan:
      return "plan";
    case Verb::apply:
      return "apply";
    case Verb::status:
      return "status";
    case Verb::verify:
      return "verify";
    case Verb::remove:
      return "remove";
    case Verb::render:
      return "render";
  }
  return "";
}

int run_redirect(const RedirectArguments& arguments, const config::Fixed& settings, std::ostream& out,
                 std::ostream& err) {
  check(arguments.verb != Verb::none);
  const redirect::Options options = settings.redirect.value_or(redirect::Options{});
  if (arguments.verb == Verb::plan) return show_plan(arguments, options, out);
  if (arguments.verb == Verb::render) return run_render(arguments.render, settings, out, err);

  if (arguments.after_crash) return look_after_leftovers(arguments, options, out, err);
  const auto answer =
      control::ask(settings.control_socket, {{"ask", std::string("redirect.") + name_of(arguments.verb)}});
  if (answer) return show_answer(arguments, *answer, out, err);

  using Kind = control::AskFault::Kind;
  const control::AskFault& fault = answer.error();
  if (fault.kind == Kind::not_running && arguments.verb != Verb::apply)
    return look_after_leftovers(arguments, options, out, err);
  err << "doline redirect: " << printable(fault.text) << '\n';
  switch (fault.kind) {
    case Kind::not_running:
      err << "Rules that lead to nobody would take the house's DNS away, so they are put in place only while Doline "
             "runs: "
             "start it, then ask again.\n";
      return exit_unavailable;
    case Kind::no_permission:
      return exit_no_permission;
    case Kind::no_answer:
      return exit_unavailable;
    case Kind::refused:
      return exit_no;
  }
  return exit_unavailable;
}

}  // namespace doline
