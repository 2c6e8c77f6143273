#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "config/printable.h"
#include "config/sections.h"
#include "dns/code.h"
#include "policy/safe_search.h"
#include "policy/service_catalogue.h"

namespace doline::config {

namespace {

using policy::Action;
using policy::NamePattern;
using std::chrono::hours;

constexpr std::size_t condition_values_max = 4'096;  // of one condition
constexpr std::size_t rewrites_max = 0xffff;         // Rewrite::target
constexpr std::size_t rewrite_addresses_max = 32;    // of one name; they fit a response without truncation

constexpr std::size_t safe_engines_max = 64;  // of one rule
constexpr std::size_t expression_octets_max = 1'000;
constexpr std::size_t interface_octets_max = 15;  // IFNAMSIZ, without its zero
constexpr std::size_t allowed_names_max = 4'096;  // of `rebinding.allow`

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::array<std::string_view, 7> long_day_names{"monday", "tuesday",  "wednesday", "thursday",
                                                         "friday", "saturday", "sunday"};

/// Minutes of `21:00`; nothing where it is no time of day. `24:00` only where `is_end`.
std::optional<int> minutes_of(std::string_view text, bool is_end) {
  if (text.size() == 4) return text[1] == ':' ? minutes_of("0" + std::string(text), is_end) : std::nullopt;
  if (text.size() != 5 || text[2] != ':') return {};
  for (const std::size_t at : {0u, 1u, 3u, 4u})
    if (text[at] < '0' || text[at] > '9') return {};
  const int hour = (text[0] - '0') * 10 + (text[1] - '0'), minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (is_end && hour == 24 && minute == 0) return 0;
  if (hour > 23 || minute > 59) return {};
  return hour * 60 + minute;
}

class PolicySection {
 public:
  PolicySection(Reading& reading, Live& live) : reading_(reading), live_(live), book_(live.policy) {
    for (const device::Group& group : live.groups) book_.groups.push_back(group.name);
    for (const device::DeviceSettings& device : live.devices) devices_.insert(device.name);
    for (const ListSettings& list : live.lists) lists_.emplace(list.name, static_cast<std::uint16_t>(lists_.size()));
  }

  void read_rules(const Node& node) {
    if (node.kind != Node::Kind::list && node.kind != Node::Kind::map) {
      reading_.add(node, "expected a list of rules");
      return;
    }
    for (const Node* item : to_list(node)) {
      if (reading_.is_full()) return;
      if (item->kind != Node::Kind::map) {
        reading_.add(*item, "expected a rule", "{when: {listed: ads}, then: block} would be one");
        continue;
      }
      policy::Rule rule;
      const Keys keys(reading_, *item, "rules.*");
      if (const Node* when = keys.find("when")) read_when(*when, rule.when);
      if (const Node* then = keys.find("then")) {
        if (const auto action = read_action(*then, "rules.*.then", &rule)) rule.then = *action;
        check_answer_action(*then, rule);
      } else {
        reading_.add(*item, "the rule does not say what to do", "then: block would be an example");
      }
      if (const Node* mode = keys.find("mode"))
        if (const auto word = read_word<policy::Mode>(
                reading_, *mode, "a mode", {{"enforce", policy::Mode::enforce}, {"observe", policy::Mode::observe}}))
          rule.mode = *word;
      add_rule(std::move(rule), *item);
    }
  }

  void read_otherwise(const Node& node) {
    if (const auto action = read_action(node, "otherwise", nullptr)) book_.otherwise = *action;
  }

  void read_block_response(const Node& node) {
    using response::BlockResponse;
    response::BlockSettings& block = live_.block;
    if (node.kind == Node::Kind::scalar && !IpAddress::parse(node.text)) {
      const auto word = read_word<BlockResponse>(reading_, node, "a response to what is blocked",
                                                 {{"null_address", BlockResponse::null_address},
                                                  {"nxdomain", BlockResponse::nxdomain},
                                                  {"nodata", BlockResponse::nodata},
                                                  {"refused", BlockResponse::refused},
                                                  {"drop", BlockResponse::drop}});
      if (word) block.response = *word;
      return;
    }
    block.response = BlockResponse::address;
    for (const Node* value : to_list(node)) {
      const auto address = read_address(reading_, *value);
      if (!address) continue;
      auto& family = address->is_v4() ? block.v4 : block.v6;
      if (family) reading_.add(*value, "a second address of the same family");
      family = *address;
    }
  }

 private:
  void add_rule(policy::Rule rule, const Node& node) {
    rule.file = reading_.file().string();
    rule.line = node.place.line;
    rule.text = reading_.line_text(node.place.line);
    if (book_.rules.size() == policy::rules_max)
      reading_.add(node, "more than " + std::to_string(policy::rules_max) + " rules");
    if (book_.rules.size() <= policy::rules_max) book_.rules.push_back(std::move(rule));
  }

  // ── then ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  /// `rule`: whose action it is; null for `otherwise`, which has fewer.
  std::optional<Action> read_action(const Node& node, const std::string& path, policy::Rule* rule) {
    if (node.kind == Node::Kind::scalar)
      return read_word<Action>(reading_, node, "an action",
                               {{"forward", policy::Forward{}},
                                {"block", policy::Sinkhole{}},
                                {"nxdomain", policy::NxDomain{}},
                                {"nodata", policy::NoData{}},
                                {"refuse", policy::Refuse{}},
                                {"drop", policy::Drop{}},
                                {"truncate", policy::Truncate{}}});
    const std::size_t problems_before = reading_.problem_count();
    const Keys keys(reading_, node, path);
    const Node* forward = keys.find("forward");
    const Node* rewrite = keys.find("rewrite");
    const Node* delay = rule != nullptr ? keys.find("delay") : nullptr;
    const Node* safe_search = rule != nullptr ? keys.find("safe_search") : nullptr;
    const auto said = (forward != nullptr) + (rewrite != nullptr) + (delay != nullptr) + (safe_search != nullptr);
    if (said != 1 && !(said == 2 && forward != nullptr && delay != nullptr)) {
      if (reading_.problem_count() == problems_before)
        reading_.add(node, said == 0 ? "this says nothing to do" : "one action, not two");
      return {};
    }
    if (safe_search != nullptr) {
      read_safe_search(*safe_search, *rule);
      return policy::Forward{};
    }
    if (forward != nullptr || delay != nullptr) {
      auto action = forward != nullptr ? read_route(*forward) : policy::Forward{};
      const auto late = delay != nullptr
                            ? read_duration(reading_, *delay, milliseconds(1), milliseconds(policy::delay_ms_max))
                            : std::nullopt;
      if (action && late) std::get<policy::Forward>(*action).delay_ms = static_cast<std::uint16_t>(late->count());
      return action;
    }
    auto target = read_target(*rewrite);
    if (!target) return {};
    return add_target(*rewrite, std::move(*target));
  }

  std::optional<Action> read_route(const Node& node) {
    const auto text = read_text(reading_, node, "the name of an entry of 'upstreams'");
    if (!text) return {};
    const auto& routes = live_.upstream.routes;
    const upstream::Route* route = find_named(routes, *text);
    if (route == nullptr) {
      reading_.add_unknown(node, "an entry of 'upstreams'", *text, names_of(routes));
      return {};
    }
    return policy::Forward{policy::RouteId{static_cast<std::uint16_t>(route - routes.data())}};
  }

  void read_safe_search(const Node& node, policy::Rule& rule) {
    const auto engines = policy::safe_engines();
    for (const Node* value : to_list(reading_, node, safe_engines_max, "search engines")) {
      const auto text = read_text(reading_, *value, "a search engine");
      if (!text) continue;
      const auto engine =
          std::find_if(engines.begin(), engines.end(), [&](const auto& one) { return one.word == *text; });
      if (engine == engines.end()) {
        std::vector<std::string_view> words;
        for (const policy::SafeEngine& one : engines) words.push_back(one.word);
        reading_.add_unknown(*value, "a search engine with a safe search", *text, words);
        continue;
      }
      auto [target, is_new] = safe_targets_.try_emplace(engine->word);
      if (is_new) {
        policy::RewriteTarget to;
        to.cname = dns::Name::parse(engine->target).value_or(dns::Name());
        target->second = add_target(*value, std::move(to)).value_or(policy::Rewrite{});
      }
      for (const dns::Name& name : policy::names_of(*engine)) {
        const auto is_it = [&](const policy::SafeName& safe) { return safe.name == name; };
        if (std::none_of(rule.safe_search.begin(), rule.safe_search.end(), is_it))
          rule.safe_search.push_back({name, target->second});
      }
    }
    if (rule.safe_search.empty() && node.kind != Node::Kind::scalar) reading_.add(node, "'safe_search' names nothing");
  }

  /// What is there already can be kept back or replaced, but not be asked for in another way.
  void check_answer_action(const Node& node, const policy::Rule& rule) {
    if (rule.when.answer.is_empty()) return;
    const auto* forward = std::get_if<policy::Forward>(&rule.then);
    const auto* rewrite = std::get_if<policy::Rewrite>(&rule.then);
    if (!rule.safe_search.empty() || std::holds_alternative<policy::Truncate>(rule.then) ||
        (forward != nullptr && *forward != policy::Forward{}) ||
        (rewrite != nullptr && book_.rewrites[rewrite->target].cname))
      reading_.add(
          node, "this cannot be done with an answer that is there already",
          "with 'answer_...' a rule may block, nxdomain, nodata, refuse, drop, rewrite to addresses, or forward "
          "(let it pass)");
  }

  /// Addresses, or one name.
  std::optional<policy::RewriteTarget> read_target(const Node& node) {
    policy::RewriteTarget target;
    const auto values = to_list(reading_, node, rewrite_addresses_max, "addresses");
    if (values.empty()) reading_.add(node, "no address");
    for (const Node* value : values) {
      if (values.size() == 1 && value->kind == Node::Kind::scalar && !IpAddress::parse(value->text)) {
        const auto name = read_name(reading_, *value);
        if (!name) return {};
        target.cname = *name;
      } else if (const auto address = read_address(reading_, *value)) {
        target.addresses.push_back(*address);
      }
    }
    if (!target.cname && target.addresses.empty()) return {};
    return target;
  }

  std::optional<policy::Rewrite> add_target(const Node& node, policy::RewriteTarget target) {
    if (book_.rewrites.size() >= rewrites_max) {
      reading_.add(node, "more than " + std::to_string(rewrites_max) + " rewrites");
      return {};
    }
    book_.rewrites.push_back(std::move(target));
    return policy::Rewrite{static_cast<std::uint16_t>(book_.rewrites.size() - 1)};
  }

  // ── when ───────────────────────────────────────────────────────────────────────────────────────────────────────────
  std::vector<const Node*> values_of(const Node& node, std::string_view key) {
    auto values = to_list(reading_, node, condition_values_max, "values");
    // An empty list would match everything, and surely that was not meant.
    if (values.empty()) reading_.add(node, quote(key) + " names nothing", "leave it out to match everything");
    return values;
  }

  void read_when(const Node& node, policy::Condition& when) {
    const Keys keys(reading_, node, "rules.*.when");
    const auto each = [&](std::string_view key, auto read) {
      if (const Node* values = keys.find(key))
        for (const Node* value : values_of(*values, key)) read(*value);
    };
    each("device", [&](const Node& value) { read_device(value, when); });
    each("group", [&](const Node& value) { read_group(value, when); });
    each("network", [&](const Node& value) {
      if (const auto prefix = read_prefix(reading_, value)) when.networks.push_back(*prefix);
    });
    each("interface", [&](const Node& value) { read_interface(value, when); });
    each("name", [&](const Node& value) { read_pattern(value, when); });
    each("service", [&](const Node& value) { read_service(value, when); });
    each("meant_for", [&](const Node& value) { read_meant_for(value, when); });
    each("answer_address", [&](const Node& value) {
      if (const auto prefix = read_prefix(reading_, value)) when.answer.networks.push_back(*prefix);
    });
    each("answer_country", [&](const Node& value) { read_answer_country(value, when); });
    each("answer_asn", [&](const Node& value) { read_answer_asn(value, when); });
    each("type", [&](const Node& value) { read_type(value, when); });
    each("listed", [&](const Node& value) { read_listed(value, when); });
    each("between", [&](const Node& value) { read_period(value, when); });
    if (const Node* intercepted = keys.find("intercepted")) when.intercepted = read_bool(reading_, *intercepted);
    if (const Node* days = keys.find("days")) {
      when.days = 0;
      for (const Node* value : values_of(*days, "days")) read_day(*value, when);
    }
  }

  void read_device(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a device's name");
    if (!text) return;
    // Devices that were only seen have names too, but such a name is theirs to change: rules are for the operator's.
    if (*text != device::unknown_device_name && !devices_.contains(*text))
      reading_.add_unknown(node, "an entry of 'devices'", *text, names_of(live_.devices));
    when.device_names.push_back(*text);
  }

  void read_group(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a group's name");
    if (!text) return;
    const auto& groups = live_.groups;
    const device::Group* group = find_named(groups, *text);
    if (group == nullptr)
      reading_.add_unknown(node, "a group", *text, names_of(groups));
    else if (group - groups.data() < static_cast<std::ptrdiff_t>(device::groups_max))
      when.groups |= device::GroupMask{1} << (group - groups.data());
  }

  void read_pattern(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a domain name");
    if (!text) return;
    if (text->size() > 1 && text->front() == '/' && text->back() == '/') {
      if (text->size() > expression_octets_max) {
        reading_.add(node, "the regular expression has more than " + std::to_string(expression_octets_max) + " octets");
        return;
      }
      auto expression = blocklist::Expression::compile(std::string_view(*text).substr(1, text->size() - 2));
      if (!expression)
        reading_.add(node, quote(*text) + " is not a regular expression: " + printable_line(expression.error()));
      else
        when.names.push_back({NamePattern::Kind::expression, {}, std::move(*expression)});
      return;
    }
    NamePattern pattern;
    std::string_view name = *text;
    if (name.starts_with('=')) {
      pattern.kind = NamePattern::Kind::exact;
      name.remove_prefix(1);
    } else if (name.starts_with("*.")) {
      pattern.kind = NamePattern::Kind::below;
      name.remove_prefix(2);
    }
    if (name.find('*') != std::string_view::npos) {
      auto wildcard = policy::compile_wildcard(*text);
      if (!wildcard)
        reading_.add(node, quote(*text) + " is not a name, with or without '*': " + wildcard.error());
      else
        when.names.push_back(std::move(*wildcard));
      return;
    }
    const auto read = read_name(reading_, node, name);
    if (!read) return;
    pattern.name = *read;
    when.names.push_back(pattern);
  }

  void read_interface(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "an interface's name");
    if (!text) return;
    if (text->size() > interface_octets_max || text->find_first_of("/ \t\n") != std::string::npos) {
      reading_.add(node, quote(*text) + " is not an interface's name", "`ip link` shows those of this machine");
      return;
    }
    auto& names = book_.interfaces;
    auto found = std::find(names.begin(), names.end(), *text);
    if (found == names.end()) {
      if (names.size() == policy::interfaces_max) {
        reading_.add(node, "rules name more than " + std::to_string(policy::interfaces_max) + " interfaces");
        return;
      }
      found = names.insert(found, *text);
    }
    when.interfaces |= policy::InterfaceMask{1} << (found - names.begin());
  }

  void read_service(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a service");
    if (!text) return;
    if (services_.empty())
      if (auto services = policy::read_services(policy::shipped_services())) services_ = std::move(*services);
    const policy::Service* service = find_named(services_, *text);
    if (service == nullptr) {
      std::vector<std::string_view> names;
      for (const policy::Service& one : services_) names.push_back(one.name);
      reading_.add_unknown(node, "a service that Doline knows (`doline services` lists them)", *text, names);
      return;
    }
    when.service_names.insert(when.service_names.end(), service->names.begin(), service->names.end());
  }

  std::optional<geo::Country> read_country(const Node& node, std::string_view text) {
    const auto country = geo::Country::parse(text);
    if (!country) reading_.add(node, quote(text) + " is not a country", "two letters as in ISO 3166: CN, DE, US");
    return country;
  }

  void read_meant_for(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "whom a query was meant for");
    if (!text) return;
    const std::string_view all = *text;
    if (all.starts_with("operator:") && all.size() > 9) {
      when.meant_for.operators.emplace_back(all.substr(9));
    } else if (all.starts_with("country:")) {
      if (const auto country = read_country(node, all.substr(8))) when.meant_for.countries.push_back(*country);
    } else if (const auto prefix = IpPrefix::parse(all)) {
      when.meant_for.networks.push_back(*prefix);
    } else {
      reading_.add(node, quote(all) + " is not whom a query was meant for",
                   "an address, a network, \"operator:Google\" or \"country:CN\" would be");
    }
  }

  void need_places(const Node& node, const std::filesystem::path& database, const std::string& key) {
    if (database.empty())
      reading_.add(node, "no database says where addresses are",
                   "'geo: {" + key + ": FILE}' names a MaxMind DB file that does");
  }

  void read_answer_country(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a country");
    if (!text) return;
    need_places(node, live_.country_file, "country");
    if (const auto country = read_country(node, *text)) when.answer.countries.push_back(*country);
  }

  void read_answer_asn(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "the number of an autonomous system");
    if (!text) return;
    need_places(node, live_.asn_file, "asn");
    std::string_view digits = *text;
    if (digits.starts_with("AS")) digits.remove_prefix(2);
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc{} || end != digits.data() + digits.size() || number == 0)
      reading_.add(node, quote(*text) + " is not the number of an autonomous system", "4134 or AS4134 would be");
    else
      when.answer.asns.push_back(number);
  }

  void read_type(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a record type");
    if (!text) return;
    if (const auto type = dns::parse_record_type(*text))
      when.types.push_back(*type);
    else
      reading_.add_unknown(node, "a record type", *text,
                           {"A", "AAAA", "ANY", "CNAME", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"});
  }

  void read_listed(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a list's name");
    if (!text) return;
    const auto list = lists_.find(*text);
    if (list == lists_.end())
      reading_.add_unknown(node, "an entry of 'lists'", *text, names_of(live_.lists));
    else
      when.lists.push_back(blocklist::ListId{list->second});
  }

  void read_period(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a time of day");
    if (!text) return;
    const auto dash = text->find('-');
    const auto from = minutes_of(std::string_view(*text).substr(0, dash), false);
    const auto to =
        dash == std::string::npos ? std::nullopt : minutes_of(std::string_view(*text).substr(dash + 1), true);
    if (!from || !to)
      reading_.add(node, quote(*text) + " is not a time of day", "\"21:00-07:00\" would be");
    else if (*from == *to && *from != 0)
      reading_.add(node, quote(*text) + " begins where it ends", "leave 'between' out for the whole day");
    else
      when.between.push_back({*from, *to});
  }

  void read_day(const Node& node, policy::Condition& when) {
    const auto text = read_text(reading_, node, "a day of the week");
    if (!text) return;
    for (std::size_t day = 0; day < day_names.size(); ++day)
      if (*text == day_names[day] || *text == long_day_names[day]) {
        when.days |= static_cast<std::uint8_t>(1u << day);
        return;
      }
    reading_.add_unknown(node, "a day of the week", *text, {day_names.begin(), day_names.end()});
  }

  Reading& reading_;
  Live& live_;
  policy::RuleBookSettings& book_;
  std::unordered_set<std::string_view> devices_;               // names
  std::unordered_map<std::string_view, std::uint16_t> lists_;  // and positions
  std::vector<policy::Service> services_;                      // read when the first rule names one
  std::map<std::string_view, policy::Rewrite> safe_targets_;   // of the engines that rules name
};

void read_rebinding(Reading& reading, const Node& node, policy::RebindingSettings& settings) {
  if (says_off(node)) return;
  const Keys keys(reading, node, "rebinding");
  if (const Node* protect = keys.find("protect")) settings.protect = read_bool(reading, *protect).value_or(false);
  if (const Node* allow = keys.find("allow"))
    for (const Node* value : to_list(reading, *allow, allowed_names_max, "names"))
      if (const auto name = read_name(reading, *value)) settings.allow.push_back(*name);
}

/// `300/s`, `6000/m`, `unlimited`.
void read_rate(Reading& reading, const Node& node, resolver::RateLimit& limit) {
  const auto text = read_text(reading, node, "queries over time");
  if (!text || *text == "unlimited" || says_off(node)) return;
  std::uint32_t queries = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), queries);
  const std::string_view unit(end, static_cast<std::size_t>(text->data() + text->size() - end));
  if (error != std::errc{} || queries == 0 || queries > resolver::rate_queries_max || (unit != "/s" && unit != "/m")) {
    reading.add(node, quote(*text) + " is not a number of queries over time", "300/s, 6000/m or unlimited would be");
    return;
  }
  limit.queries = queries;
  limit.period = unit == "/s" ? seconds(1) : seconds(60);
}

void read_rate_limit(Reading& reading, const Node& node, resolver::RateLimit& limit) {
  if (node.kind == Node::Kind::scalar && (node.text == "unlimited" || says_off(node))) return;
  const Keys keys(reading, node, "rate_limit");
  if (const Node* per_device = keys.find("per_device")) read_rate(reading, *per_device, limit);
}

}  // namespace

void read_policy(Reading& reading, const Keys& top, Settings& settings) {
  PolicySection section(reading, settings.live);
  if (const Node* node = top.find("rules")) section.read_rules(*node);
  if (const Node* node = top.find("otherwise")) section.read_otherwise(*node);
  if (const Node* node = top.find("block_response")) section.read_block_response(*node);
  if (const Node* node = top.find("rebinding")) read_rebinding(reading, *node, settings.live.rebinding);
  if (const Node* node = top.find("rate_limit")) read_rate_limit(reading, *node, settings.live.rate_limit);
  if (const Node* node = top.find("block_ttl"))
    if (const auto ttl = read_seconds(reading, *node, seconds(0), hours(24)))
      settings.live.block.ttl_seconds = static_cast<std::uint32_t>(ttl->count());
}

}  // namespace doline::config
