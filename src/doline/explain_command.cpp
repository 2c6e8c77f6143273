#include "doline/explain_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "blocklist/compile.h"
#include "control/exemption_book.h"
#include "control/place_keeper.h"
#include "control/text_file.h"
#include "doline/exit_status.h"
#include "doline/judging.h"
#include "doline/pause_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"
#include "geo/place_book.h"
#include "geo/resolver_book.h"
#include "policy/explain.h"
#include "policy/rebinding.h"
#include "resolver/device_names.h"
#include "response/dns64.h"
#include "response/hosts_file.h"
#include "response/special_use.h"

namespace doline {

namespace {

using nlohmann::ordered_json;
using policy::Step;

policy::InterfaceMask interface_mask(const policy::RuleBook& rules, const std::string& name) {
  policy::InterfaceMask mask = 0;
  for (std::size_t bit = 0; bit < rules.interfaces().size(); ++bit)
    if (rules.interfaces()[bit] == name) mask |= policy::InterfaceMask{1} << bit;
  return mask;
}

/// `203.0.113.7 (CN, AS4134)`.
std::string describe_place(const IpAddress& address, const geo::PlaceBook& places) {
  const std::string text = place_text(address, places);
  return address.to_string() + (text.empty() ? "" : " (" + text + ")");
}

struct ListLine {
  std::string list;
  std::string file;
  std::uint32_t line = 0;
  std::string listed_name;
};

/// As its list would have it, but for what only AdBlock's words can say.
std::string to_text(const blocklist::Entry& entry, blocklist::ListFormat format) {
  const bool is_of_names = format == blocklist::ListFormat::hosts || format == blocklist::ListFormat::domains ||
                           format == blocklist::ListFormat::wildcard;
  if (!is_of_names || !entry.rule.is_plain() || entry.of != blocklist::Listed::name) return to_string(entry);
  return (entry.covers_name ? "" : "*.") + entry.name.to_string();
}

/// What the lists were asked of: names, and addresses with whose they are.
struct Triggers {
  std::vector<dns::Name> names;
  std::vector<std::pair<blocklist::Listed, IpAddress>> addresses;
};

Triggers triggers_of(const policy::Asking& asking) {
  using blocklist::Listed;
  Triggers triggers{{asking.lowered_qname}, {{Listed::client_address, asking.client}}};
  for (const dns::Name& server : asking.server_names) triggers.names.push_back(blocklist::to_server_trigger(server));
  for (const IpAddress& address : asking.answer_addresses)
    triggers.addresses.emplace_back(Listed::answer_address, address);
  for (const IpAddress& address : asking.server_addresses)
    triggers.addresses.emplace_back(Listed::server_address, address);
  return triggers;
}

/// Where each list names one of them, by reading its text.
std::vector<ListLine> find_lines(const blocklist::ListSet& set, const blocklist::Listing& listing,
                                 const std::vector<blocklist::ListInput>& inputs, const Triggers& triggers) {
  std::vector<ListLine> lines;
  for (const blocklist::Covering& covering : listing.all())
    for (const blocklist::ListId id : set.lists_of(covering.set)) {
      const blocklist::ListInput& input = inputs[id.value];
      const auto is_there = [&](const ListLine& line) { return line.list == input.name; };
      if (std::any_of(lines.begin(), lines.end(), is_there)) continue;
      ListLine line{input.name, input.file.native(), 0, ""};
      const auto text = control::read_list_text(input.file);
      const auto format = !text || input.format ? input.format : blocklist::recognise(*text);
      if (text && format) {
        const auto keep = [&](const std::vector<blocklist::Entry>& found) {
          for (const blocklist::Entry& entry : found) {
            line.line = entry.line;
            line.listed_name = to_text(entry, *format);
            lines.push_back(line);
          }
        };
        for (const dns::Name& name : triggers.names)
          keep(blocklist::find_lines(*text, *format, input.subdomains, name));
        for (const auto& [of, address] : triggers.addresses) keep(blocklist::find_lines(*text, *format, of, address));
      }
      if (line.line == 0) lines.push_back(std::move(line));
    }
  return lines;
}

struct Asker {
  const device::Device* device = nullptr;
  IpAddress client;
};

Asker find_asker(const device::Roster& roster, const std::string& text) {
  if (const auto address = IpAddress::parse(text)) return {&roster.identify(*address), *address};
  const device::Device* found = roster.find(text);
  if (const auto mac = device::MacAddress::parse(text); !found && mac) found = roster.find(*mac);
  if (!found) return {&roster.devices().front(), IpAddress()};
  return {found, found->addresses.empty() ? IpAddress() : found->addresses.front()};
}

std::string rule_text(const policy::RuleBook& rules, policy::RuleId id) {
  return id == policy::no_rule || id == policy::lists_rule ? "" : rules.rule(id).text;
}

std::string_view to_string(Step::Outcome outcome) {
  switch (outcome) {
    case Step::Outcome::skipped:
      return "skipped";
    case Step::Outcome::observed:
      return "observed";
    case Step::Outcome::set_aside:
      return "set aside";
    case Step::Outcome::decided:
      return "decided";
  }
  return "";
}

/// Of the configuration, its hosts files, and the devices that have been seen.
bool has_local_records(const config::Live& live, const device::Roster& roster, const dns::Name& lowered,
                       dns::RecordType type) {
  response::LocalRecords::Builder builder;
  builder.add_source(live.records);
  for (const auto& file : live.hosts_files)
    if (const auto text = control::read_text_file(file)) builder.add_source(response::read_hosts(*text).names);
  if (live.local_domain) resolver::name_devices(roster, *live.local_domain, builder);
  const auto all = builder.build();
  return all && !all->find(lowered, type).empty();
}

/// What is done here with a name that no rule, list or local record answers, in the order of the path: a sentence, or
/// nothing.
std::string describe_local_steps(const config::Live& live, const dns::Name& lowered, dns::RecordType type,
                                 const IpAddress& client) {
  using Kind = response::LocalAnswer::Kind;
  const auto zone = std::find_if(live.forward_zones.begin(), live.forward_zones.end(),
                                 [&](const resolver::ForwardZone& each) { return lowered.is_within(each.suffix); });
  if (zone != live.forward_zones.end())
    return "goes to the route " + live.upstream.routes[zone->route.value].name + ", as `forward` says of " +
           zone->suffix.to_string();
  const bool has_dns64 = live.dns64 && live.dns64->serves(client);
  if (has_dns64 && !live.dns64->own->find(lowered).empty()) return "answered here: it tells the prefix of `dns64`";
  if (has_dns64 && type == dns::RecordType::ptr)
    if (const auto ipv4 = live.dns64->find_ipv4_reverse(lowered))
      return "an address that `dns64` makes: " + ipv4->to_string() + " is asked instead";
  if (const auto local = response::find_special_use(lowered, type, live.special_use)) {
    const std::string answer = local->kind == Kind::loopback   ? "with a loopback address"
                               : local->kind == Kind::nxdomain ? "NXDOMAIN"
                                                               : "without data";
    const std::string why = local->zone_octets == 0
                                ? "a name of one label is no name of the Internet (`bare_names`)"
                                : dns::Name::from_wire(lowered.wire().last(local->zone_octets))->to_string() +
                                      " does not leave this house (`special_use`, `canaries`)";
    return "answered here, " + answer + ": " + why;
  }
  if (has_dns64 && type == dns::RecordType::aaaa)
    return "without AAAA records, these are made of A records: this client has `dns64`";
  return {};
}

std::string describe(const policy::Exemption& exemption) {
  return describe_exemption(exemption.device, exemption.group, exemption.name ? exemption.name->to_string() : "",
                            exemption.until);
}

}  // namespace

int run_explain(const ExplainArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err) {
  const auto complain = [&](const std::string& what) {
    err << "doline explain: " << printable(what) << '\n';
    return exit_wrong_usage;
  };
  const auto name = dns::Name::parse(arguments.name);
  if (!name) return complain(arguments.name + ": " + std::string(dns::to_string(name.error())));
  const auto type = dns::parse_record_type(arguments.type);
  if (!type) return complain(arguments.type + ": no record type (A, AAAA, HTTPS, TYPE65, ...)");
  std::optional<IpAddress> meant_for;
  if (!arguments.meant_for.empty() && !(meant_for = IpAddress::parse(arguments.meant_for)))
    return complain("--meant-for " + arguments.meant_for + ": no IP address");
  std::vector<IpAddress> answers;
  for (const std::string& text : arguments.answers) {
    const auto address = IpAddress::parse(text);
    if (!address) return complain("--answer " + text + ": no IP address");
    answers.push_back(*address);
  }
  std::vector<dns::Name> server_names;
  std::vector<IpAddress> server_addresses;
  for (const std::string& text : arguments.servers) {
    if (const auto address = IpAddress::parse(text)) {
      server_addresses.push_back(*address);
    } else if (const auto server = dns::Name::parse(text)) {
      server_names.push_back(server->lowered());
    } else {
      return complain("--server " + text + ": neither a name nor an IP address");
    }
  }
  std::sort(answers.begin(), answers.end());
  std::sort(server_names.begin(), server_names.end());
  std::sort(server_addresses.begin(), server_addresses.end());
  const auto settings = choose_settings(arguments.settings, err);
  if (!settings) return settings.error();
  use_time_zone(settings->fixed);
  WallTime at = clock.now().wall;
  if (!arguments.at.empty()) {
    const auto time = parse_time(arguments.at, at);
    if (!time) return complain("--at " + arguments.at + ": no time; 2026-12-24T22:00 would be");
    at = *time;
  }

  const Judging judging = prepare_judging(*settings, at, err);
  const policy::RuleBook& rules = *judging.rules;
  const device::Roster& roster = *judging.roster;
  const auto& lists = judging.lists;
  const auto& inputs = judging.list_inputs;
  const Asker asker = find_asker(roster, arguments.device);
  const config::Live& live = settings->live;
  const geo::ResolverBook& resolvers = *judging.resolvers;
  const geo::PlaceBook& places = *judging.places;

  const dns::Question question{*name, *type, dns::RecordClass::in};
  const dns::Name lowered = name->lowered();
  device::Destination destination;
  if (meant_for) destination = {{*meant_for, 53}, device::DestinationSource::tproxy};
  const policy::Asking asking{.device = *asker.device,
                              .groups = roster.groups_of(*asker.device, asker.client),
                              .client = asker.client,
                              .question = question,
                              .lowered_qname = lowered,
                              .destination = destination,
                              .time = policy::to_local_time(at),
                              .interfaces = interface_mask(rules, arguments.interface),
                              .resolvers = &resolvers,
                              .places = &places,
                              .answer_addresses = answers,
                              .server_names = server_names,
                              .server_addresses = server_addresses};
  const policy::Explanation explanation = policy::explain(rules, *lists, asking);
  const policy::Verdict& verdict = explanation.verdict;
  const bool is_kept_back = verdict.forwards() && policy::is_rebinding(live.rebinding, lowered, answers);
  const std::vector<ListLine> lines = find_lines(*lists, verdict.reason.listing, inputs, triggers_of(asking));

  const bool is_local = verdict.lets_local_records() && has_local_records(live, roster, lowered, *type);

  const auto* forward = std::get_if<policy::Forward>(&verdict.action);
  const std::string step_here = !is_local && forward != nullptr && forward->route.value == 0
                                    ? describe_local_steps(live, lowered, *type, asker.client)
                                    : std::string();

  if (arguments.json) {
    ordered_json object;
    object["device"] = asker.device->name;
    object["name"] = name->to_string();
    object["type"] = dns::to_string(*type);
    object["verdict"] = is_kept_back ? "rebinding" : policy::to_string(verdict.action);
    object["local"] = is_local;
    object["then"] = step_here.empty() ? ordered_json(nullptr) : ordered_json(step_here);
    object["rule"] = rule_place(rules, verdict.reason.rule);
    object["rule_text"] = rule_text(rules, verdict.reason.rule);
    if (!answers.empty()) {
      object["answers"] = ordered_json::array();
      for (const IpAddress& address : answers) {
        ordered_json one = {{"address", address.to_string()}};
        if (const auto country = places.country_of(address); country.is_known()) one["country"] = country.to_string();
        if (const std::uint32_t asn = places.asn_of(address); asn != 0) one["asn"] = asn;
        object["answers"].push_back(std::move(one));
      }
    }
    object["lists"] = ordered_json::array();
    for (const ListLine& line : lines)
      object["lists"].push_back(
          {{"list", line.list}, {"file", line.file}, {"line", line.line}, {"listed_name", line.listed_name}});
    object["steps"] = ordered_json::array();
    for (const Step& step : explanation.steps) {
      ordered_json one = {{"rule", rule_place(rules, step.rule)}, {"outcome", to_string(step.outcome)}};
      if (step.mismatch != policy::Mismatch::none) one["because"] = policy::to_string(step.mismatch);
      if (step.action) one["action"] = policy::to_string(*step.action);
      if (step.exemption) one["exemption"] = control::to_json(*step.exemption);
      if (step.list) one["list"] = inputs[step.list->value].name;
      object["steps"].push_back(std::move(one));
    }
    out << object.dump(-1, ' ', false, ordered_json::error_handler_t::replace) << '\n';
    return exit_ok;
  }

  out << printable(asker.device->name) << " asks for " << name->to_string() << ' ' << dns::to_string(*type);
  if (meant_for) out << ", meant for " << meant_for->to_string();
  for (const IpAddress& address : answers) out << ", answered " << describe_place(address, places);
  for (const std::string& server : arguments.servers) out << ", by the name server " << printable(server);
  out << ": " << (is_local ? "local" : is_kept_back ? "rebinding" : policy::to_string(verdict.action)) << '\n';
  if (is_kept_back) out << "  (an address of this house for a public name: the answer is kept back; see `rebinding`)\n";
  if (asker.device->id == device::DeviceId{0} && arguments.device != asker.device->name)
    out << "  (no device of the configuration is '" << printable(arguments.device) << "': judged as an unknown one)\n";
  out << "decided by " << printable(rule_place(rules, verdict.reason.rule)) << '\n';
  if (const std::string text = rule_text(rules, verdict.reason.rule); !text.empty())
    out << "    " << printable(text) << '\n';
  if (is_local) out << "but answered by the local records of this name: no rule of yours says otherwise\n";
  if (!step_here.empty()) out << "then: " << printable(step_here) << '\n';
  for (const ListLine& line : lines) {
    out << "listed in " << printable(line.list) << ": " << printable(line.file);
    if (line.line > 0)
      out << ':' << line.line << ": " << printable(line.listed_name);
    else
      out << ": no line of it says so (it has changed since, or one of 10^12 names is taken for another)";
    out << '\n';
  }
  for (const Step& step : explanation.steps) {
    if (step.outcome == Step::Outcome::decided) continue;
    out << "  " << printable(rule_place(rules, step.rule)) << ": ";
    if (step.outcome == Step::Outcome::skipped)
      out << policy::to_string(step.mismatch) << '\n';
    else if (step.exemption != nullptr)
      out << "would be " << policy::to_string(*step.action)
          << ", but blocking is set aside: " << describe(*step.exemption) << '\n';
    else
      out << "only observes; would be " << policy::to_string(*step.action) << '\n';
  }
  return exit_ok;
}

}  // namespace doline
