#include "doline/check_command.h"

#include <pwd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "blocklist/list_file.h"
#include "config/reader.h"
#include "control/place_keeper.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/port_map.h"
#include "doline/settings_choice.h"
#include "doline/terminal_text.h"
#include "geo/resolver_book.h"
#include "redirect/options.h"
#include "redirect/restrictions.h"

namespace doline {

namespace {

/// What the running program would do without, said of each file that cannot be read now, and what it cannot do in this
/// place.
std::vector<std::string> find_shortcomings(const config::Settings& settings) {
  const config::Live& live = settings.live;
  std::vector<std::string> found;
  const auto note = [&](const auto& read, const std::string& key) {
    if (!read) found.push_back(key + ": " + read.error());
  };
  const auto note_place = [&](const std::filesystem::path& file, geo::PlaceKind kind, const char* key) {
    if (!file.empty()) note(control::read_places(file, kind), key);
  };
  note_place(live.country_file, geo::PlaceKind::country, "geo.country");
  note_place(live.asn_file, geo::PlaceKind::asn, "geo.asn");
  if (!live.resolver_list.empty()) {
    const auto text = control::read_text_file(live.resolver_list);
    note(text, "resolver_list");
    if (text)
      for (const auto& problem : geo::ResolverBook::read(*text).problems)
        found.push_back("resolver_list: " + live.resolver_list.native() + ':' + std::to_string(problem.line) + ": " +
                        problem.what);
  }
  for (std::string& problem : find_port_map(settings).problems) found.push_back(std::move(problem));
  for (const auto& file : live.hosts_files) note(control::read_text_file(file), "hosts_files");
  for (const config::ListSettings& list : live.lists) {
    if (list.zone && list.zone->key)
      note(control::read_text_file(list.zone->key->secret_file), "lists." + list.name + ".key.secret_file");
    if (list.file.empty()) continue;
    const auto text = control::read_list_text(list.file);
    note(text, "lists." + list.name);
    if (text && !list.format && !blocklist::recognise(*text) && !blocklist::says_nothing(*text))
      found.push_back("lists." + list.name + ": " + list.file.native() + ' ' + blocklist::why_unrecognised(*text));
  }
  if (settings.fixed.redirect)
    for (std::string& sentence : redirect::find_ports_of_others(*settings.fixed.redirect))
      found.push_back(std::move(sentence));
  const bool is_beside = settings.fixed.redirect && settings.fixed.redirect->mode == redirect::Mode::remote;
  if (is_beside && std::any_of(live.restrictions.begin(), live.restrictions.end(),
                               [](const auto& group) { return group.flows != redirect::Flows::any; }))
    found.emplace_back(
        "groups.*.flows: with `redirect: {mode: remote}` only devices that have this machine as their gateway are "
        "held; of those whose router leads DNS here, nothing else passes");
  return found;
}

/// What keeps it from running in this place.
std::vector<config::Problem> find_obstacles(const config::Settings& settings) {
  const std::string& user = settings.fixed.user;
  if (user.empty() || ::getpwnam(user.c_str()) != nullptr) return {};
  config::Problem problem;
  problem.file = settings.file.native();
  problem.message = "'user': there is no user '" + user + "' on this machine";
  return {problem};
}

}  // namespace

int run_check(const CheckArguments& arguments, std::ostream& out, std::ostream& err) {
  const auto settings = config::read_settings(arguments.file);
  const std::vector<config::Problem> problems = settings ? find_obstacles(*settings) : settings.error();
  if (problems.empty()) {
    for (const std::string& warning : find_shortcomings(*settings)) {
      if (arguments.json)
        out << nlohmann::ordered_json({{"file", arguments.file.native()}, {"warning", warning}})
                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
            << '\n';
      else
        err << printable(arguments.file.native()) << ": warning: " << printable(warning) << '\n';
    }
    if (!arguments.json)
      out << arguments.file.native() << ": good: " << settings->live.policy.rules.size() << " rules, "
          << settings->live.lists.size() << " lists, " << settings->live.devices.size() << " devices, "
          << settings->live.upstream.routes.size() << " upstream routes.\n";
    return exit_ok;
  }
  for (const config::Problem& problem : problems) {
    if (arguments.json) {
      const nlohmann::ordered_json object = {{"file", problem.file},
                                             {"line", problem.line},
                                             {"column", problem.column},
                                             {"message", problem.message},
                                             {"hint", problem.hint}};
      out << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    } else {
      err << config::to_text(problem);
    }
  }
  if (!arguments.json) err << problems.size() << (problems.size() == 1 ? " mistake.\n" : " mistakes.\n");
  return status_without(arguments.file);
}

}  // namespace doline
