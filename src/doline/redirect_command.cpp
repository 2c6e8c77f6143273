#include "doline/redirect_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/time.h"
#include "control/command_socket.h"
#include "doline/exit_status.h"
#include "doline/foreign_rules.h"
#include "doline/redirect_proof.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "redirect/host_facts.h"
#include "redirect/options.h"
#include "redirect/plan.h"
#include "redirect/request.h"
#include "redirect/suggest.h"
#include "redirect/watch_rules.h"
#include "warden/claim.h"
#include "warden/comparison.h"
#include "warden/leftovers.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using Verb = RedirectArguments::Verb;
using Sentences = std::vector<std::string>;

constexpr const char* nobody_runs = "No Doline runs";
constexpr const char* runs_without = "The Doline that runs has no redirect";
constexpr const char* cannot_remove = "The Doline that runs cannot remove anything";

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

ordered_json changes_of(const warden::Comparison& compared) {
  ordered_json changes = ordered_json::array();
  for (const redirect::Part& part : compared.parts) {
    if (part.before == part.after) continue;
    ordered_json removed = ordered_json::array(), added = ordered_json::array();
    for (const redirect::LineChange& change : redirect::find_difference(part.before, part.after))
      if (change.kind != redirect::LineChange::Kind::kept)
        (change.kind == redirect::LineChange::Kind::added ? added : removed).emplace_back(change.line);
    changes.push_back({{"part", part.name}, {"removed", removed}, {"added", added}});
  }
  return changes;
}

std::string describe(const warden::Comparison& compared) {
  const std::string changes = redirect::describe(compared.parts);
  std::string text = "\n# what that changes on this machine\n";
  for (const std::string& sentence : compared.unread) text += "Note: " + sentence + '\n';
  if (!changes.empty()) return text + changes;
  return text + (compared.unread.empty() ? "Nothing: it is all there.\n" : "Nothing that could be read.\n");
}

int show_plan(const RedirectArguments& arguments, redirect::Options options, std::ostream& out) {
  const redirect::HostFacts facts = redirect::gather_host_facts();
  if (options.mode == redirect::Mode::off && !redirect::asks_to_watch(options) && !arguments.json)
    if (const auto suggested = redirect::suggest(facts)) {
      out << "The configuration asks for no redirect, and nothing is changed. On this machine, which routes for "
             "others,\n"
             "it could ask for this, which takes effect when Doline is started again:\n\n  "
          << printable(section_of(*suggested)) << "\n\nThat would do the following.\n";
      options = *suggested;
    }
  redirect::Plan plan = redirect::plan(options, facts, arguments.restrictions);
  for (std::string& sentence : find_port_holders(options)) plan.warnings.push_back(std::move(sentence));
  warden::Comparison compared;
  if (plan.is_possible()) compared = warden::compare(plan, facts);
  if (arguments.json)
    print(out, {{"possible", plan.is_possible()},
                {"mode", redirect::to_string(options.mode)},
                {"tool", name_of(plan.tool)},
                {"problems", plan.problems},
                {"warnings", plan.warnings},
                {"rules", plan.rules},
                {"gate", plan.gate},
                {"seen", plan.seen},
                {"text", redirect::describe(plan)},
                {"changes", changes_of(compared)},
                {"unread", compared.unread}});
  else
    out << redirect::describe(plan) << (plan.is_possible() ? describe(compared) : "");
  if (plan.is_possible()) return exit_ok;
  return redirect::find_problems(options).empty() ? exit_no : exit_configuration;
}

/// What Doline cannot see itself goes where it tells the like: in the "interference" and "text" of a status, in the
/// "warnings" of what was applied.
void add_what_root_sees(nlohmann::json& answer, Verb verb, const Sentences& found) {
  for (const std::string& sentence : found) {
    answer[verb == Verb::status ? "interference" : "warnings"].push_back(sentence);
    if (verb == Verb::status)
      answer["text"] = answer.value("text", std::string()) + "interference: " + printable(sentence) + '\n';
  }
}

/// An answer of the running Doline: {"ok": …} with "text", "state", "warnings" or "reasons". `is_deaf`: to what the
/// rules lead here, at least in part.
int show_answer(const RedirectArguments& arguments, const nlohmann::json& answer, redirect::Mode mode, bool is_deaf,
                std::ostream& out, std::ostream& err) {
  const bool is_ok = answer.value("ok", false);
  const bool is_in_place =
      is_ok && (arguments.verb != Verb::status || (answer.value("state", std::string()) == "applied" && !is_deaf));
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
  } else if (arguments.verb == Verb::seen && is_ok) {
    if (answer.value("sightings", nlohmann::json::array()).empty())
      out << "The kernel remembers no device that asked a foreign resolver.\n";
    for (const auto& row : answer.value("sightings", nlohmann::json::array())) {
      const auto packets = row.value("packets", std::uint64_t{0});
      out << fmt::format("{:<18} {:<46} {:>8} packet{}\n", printable(row.value("mac", "")),
                         printable(row.value("resolver", "")), packets, packets == 1 ? "" : "s");
    }
    if (const auto left_out = answer.value("left_out", std::uint64_t{0}); left_out > 0)
      out << "and " << left_out << " more\n";
  } else if (is_ok) {
    const bool only_watches = !redirect::intercepts(mode) && arguments.verb != Verb::remove;
    out << (arguments.verb == Verb::confirm ? "The rules stay.\n"
            : only_watches                  ? "The rules that watch are in place; nothing is altered.\n"
            : arguments.verb == Verb::apply && is_deaf
                ? "The redirect is in place, but not all of what it leads here is answered.\n"
            : arguments.verb == Verb::apply  ? "The redirect is in place: stray DNS of the LAN is answered here.\n"
            : arguments.verb == Verb::verify ? "The redirect is in place, as it was applied.\n"
                                             : "The redirect is removed: stray DNS goes its own way.\n");
    print_all("warnings", "Note: ", out);
    if (arguments.verb == Verb::apply && !arguments.trial.empty())
      out << "On trial: what was before comes back after " << printable(arguments.trial)
          << ", unless `doline redirect confirm` says that these rules stay.\n";
  } else {
    print_all("reasons", "doline redirect: ", err);
  }
  return is_in_place ? exit_ok : exit_no;
}

nlohmann::json to_json(const ProofWay& way) {
  return {{"interface", way.interface},
          {"family", way.family},
          {"transport", way.transport},
          {"port", way.port},
          {"outcome", to_string(way.outcome)}};
}

/// The rules are as they were applied; now what they do is looked at.
int prove(const RedirectArguments& arguments, const config::Fixed& settings, nlohmann::json answer, std::ostream& out,
          std::ostream& err) {
  Proof proof;
  if (arguments.device.empty() && arguments.from.empty()) {
    proof = prove_with_packets(settings.redirect.value_or(redirect::Options{}), settings.control_socket);
  } else {
    querylog::LogFilter filter;
    filter.only_intercepted = true;
    if (!arguments.device.empty()) filter.devices.push_back(arguments.device);
    if (const auto client = IpAddress::parse(arguments.from))
      filter.clients.push_back(*client);
    else if (!arguments.from.empty()) {
      err << "doline redirect: '" << printable(arguments.from) << "' is no address.\n";
      return exit_wrong_usage;
    }
    const auto patience = parse_duration(arguments.patience.empty() ? "60s" : arguments.patience);
    if (!patience || *patience < seconds(1)) {
      err << "doline redirect: '" << printable(arguments.patience) << "' is no time to wait: 90s, 15m are.\n";
      return exit_wrong_usage;
    }
    if (!settings.query_log) {
      err << "doline redirect: real queries are awaited in the query log, and `querylog` is off.\n";
      return exit_no_input;
    }
    err << "Waiting for queries that " << printable(arguments.device.empty() ? arguments.from : arguments.device)
        << " sends to foreign resolvers, for at most " << patience->count() << " s. Let it ask, for example:\n"
        << "  nslookup doline.example 114.114.114.114\n";
    proof = prove_by_device(settings.query_log->path, filter, *patience, [&](const ProofWay& way) {
      err << "  seen: " << way.family << ' ' << way.transport << " port " << way.port << '\n';
    });
  }
  if (arguments.json) {
    answer["ways"] = nlohmann::json::array();
    for (const ProofWay& way : proof.ways) answer["ways"].push_back(to_json(way));
    answer["untried"] = proof.untried;
    answer["loops"] = proof.loops;
    answer["upstreams"] = proof.upstreams;
    print(out, answer);
  } else {
    out << describe(proof);
  }
  return proof.has_failed() ? exit_no : proof.untried.empty() ? exit_ok : exit_unproven;
}

/// A warden or heir that is on its way out is waited for.
bool becomes_ours(warden::Claim& claim) {
  const auto deadline = std::chrono::steady_clock::now() + warden::claim_patience;
  while (!claim.take()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(warden::claim_tried_every);
  }
  return true;
}

/// No Doline runs, or none that has a redirect. What a killed one has left is this process's own business.
int look_after_leftovers(const RedirectArguments& arguments, const redirect::Options& options, const char* who_runs,
                         std::ostream& out, std::ostream& err) {
  if (!warden::may_change_rules()) {
    err << "doline redirect: " << who_runs
        << "; whether a killed one has left anything behind is for root to see: sudo doline redirect "
        << name_of(arguments.verb) << '\n';
    return exit_no_permission;
  }
  const bool removes = arguments.verb == Verb::remove;
  warden::Claim claim;
  const bool is_held = removes && !becomes_ours(claim);
  const warden::Leftovers found = warden::find_leftovers(options);
  Sentences complaints;
  if (is_held)
    complaints.emplace_back(
        "What is there is held by a Doline that lives, and goes with it: see `ps -C doline-warden`.");
  else if (removes)
    complaints =
        warden::remove_leftovers(options, arguments.after_crash ? warden::Memory::keep : warden::Memory::forget);
  const Sentences stays = removes ? warden::find_leftovers(options).describe() : found.describe();
  if (arguments.json) {
    Sentences removed = found.describe();
    std::erase_if(removed,
                  [&](const std::string& one) { return std::find(stays.begin(), stays.end(), one) != stays.end(); });
    print(out, {{"ok", removes && complaints.empty()},
                {"removed", removed},
                {"running", who_runs != nobody_runs},
                {"state", found.intercept() ? "left behind" : "absent"},
                {"left_behind", stays},
                {"reasons", complaints}});
  } else if (removes) {
    for (const std::string& complaint : complaints) err << "doline redirect: " << printable(complaint) << '\n';
    if (complaints.empty())
      out << who_runs
          << (found.is_nothing() ? ", and there was nothing to remove.\n"
              : stays.empty()    ? "; what the last one left is removed.\n"
                                 : "; what the last one left is removed, but for this:\n");
    for (const std::string& sentence : complaints.empty() ? stays : Sentences())
      out << "Left behind: " << sentence << '\n';
  } else {
    out << who_runs << ": the redirect is not in place.\n";
    for (const std::string& sentence : found.describe()) out << "Left behind: " << sentence << '\n';
    if (!found.is_nothing())
      out << "`doline redirect remove` clears that, and so does the next start with a redirect.\n";
  }
  if (!removes && who_runs == nobody_runs) return exit_unavailable;
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
    case Verb::confirm:
      return "confirm";
    case Verb::status:
      return "status";
    case Verb::verify:
      return "verify";
    case Verb::seen:
      return "seen";
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
  if (arguments.verb == Verb::render)
    return run_render(arguments.render, settings, arguments.restrictions.doh_networks, out, err);

  nlohmann::json request{{"ask", std::string("redirect.") + name_of(arguments.verb)}};
  if (!arguments.trial.empty()) {
    const auto trial = parse_duration(arguments.trial);
    if (!trial || *trial < seconds(1) || *trial > redirect::trial_max) {
      err << "doline redirect: '" << printable(arguments.trial) << "' is no time from 1s to "
          << redirect::trial_max.count() << "s.\n";
      return exit_wrong_usage;
    }
    request["confirm_seconds"] = trial->count();
  }
  if (arguments.after_crash) return look_after_leftovers(arguments, options, nobody_runs, out, err);
  auto answer = control::ask(settings.control_socket, request);
  if (answer) {
    if (arguments.verb == Verb::status && warden::may_change_rules())
      add_what_root_sees(*answer, arguments.verb, find_foreign_rules(options));
    const bool is_shown = arguments.verb == Verb::status || arguments.verb == Verb::apply;
    const Sentences holders = is_shown && answer->value("ok", false) ? find_port_holders(options) : Sentences();
    add_what_root_sees(*answer, arguments.verb, holders);
    const bool proves =
        arguments.verb == Verb::verify && redirect::intercepts(options.mode) && answer->value("ok", false);
    if (proves && arguments.json) return prove(arguments, settings, *answer, out, err);
    const int status = show_answer(arguments, *answer, options.mode, !holders.empty(), out, err);
    return proves ? prove(arguments, settings, *answer, out, err) : status;
  }

  using Kind = control::AskFault::Kind;
  const control::AskFault& fault = answer.error();
  if (fault.kind == Kind::not_running && arguments.verb != Verb::apply && arguments.verb != Verb::confirm &&
      arguments.verb != Verb::seen)
    return look_after_leftovers(arguments, options, nobody_runs, out, err);
  if (fault.kind == Kind::refused && (arguments.verb == Verb::status || arguments.verb == Verb::remove) &&
      !redirect::intercepts(options.mode) && !redirect::asks_to_watch(options))
    return look_after_leftovers(arguments, options, runs_without, out, err);
  err << "doline redirect: " << printable(fault.text) << '\n';
  // Its warden has died; what a living one holds, nobody else can take away.
  if (fault.kind == Kind::refused && arguments.verb == Verb::remove && warden::may_change_rules())
    return look_after_leftovers(arguments, options, cannot_remove, out, err);
  switch (fault.kind) {
    case Kind::not_running:
      if (arguments.verb == Verb::confirm)
        err << "Rules that nobody had confirmed went with it.\n";
      else if (arguments.verb == Verb::seen)
        err << "A stop has forgotten who asked whom; what the kernel has seen since a crash root sees by: nft list "
               "table "
               "inet doline_seen\n";
      else
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
