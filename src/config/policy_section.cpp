#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "config/sections.h"
#include "dns/code.h"

namespace doline::config {

namespace {

using policy::Action;
using policy::NamePattern;
using std::chrono::hours;

constexpr std::size_t condition_values_max = 4'096;  // of one condition
constexpr std::size_t rewrites_max = 0xffff;         // Rewrite::target
constexpr std::size_t rewrite_addresses_max = 32;    // of one name; they fit a response without truncation

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
        if (const auto action = read_action(*then, "rules.*.then")) rule.then = *action;
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
    if (const auto action = read_action(node, "otherwise")) book_.otherwise = *action;
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
  std::optional<Action> read_action(const Node& node, const std::string& path) {
    if (node.kind == Node::Kind::scalar)
      return read_word<Action>(reading_, node, "an action",
                               {{"forward", policy::Forward{}},
                                {"block", policy::Sinkhole{}},
                                {"nxdomain", policy::NxDomain{}},
                                {"nodata", policy::NoData{}},
                                {"refuse", policy::Refuse{}},
                                {"drop", policy::Drop{}}});
    const std::size_t problems_before = reading_.problem_count();
    const Keys keys(reading_, node, path);
    const Node* forward = keys.find("forward");
    const Node* rewrite = keys.find("rewrite");
    if ((forward == nullptr) == (rewrite == nullptr)) {
      if (reading_.problem_count() == problems_before)
        reading_.add(node, forward == nullptr ? "this says nothing to do" : "one action, not two");
      return {};
    }
    if (forward != nullptr) return read_route(*forward);
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
    each("name", [&](const Node& value) { read_pattern(value, when); });
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
      reading_.add_not_yet(node, "a regular expression");
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
      reading_.add(node, quote(*text) + " is not a name or '*.name'", "a '*' stands for whole labels at the left only");
      return;
    }
    const auto read = read_name(reading_, node, name);
    if (!read) return;
    pattern.name = *read;
    when.names.push_back(pattern);
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
};

}  // namespace

void read_policy(Reading& reading, const Keys& top, Settings& settings) {
  PolicySection section(reading, settings.live);
  if (const Node* node = top.find("rules")) section.read_rules(*node);
  if (const Node* node = top.find("otherwise")) section.read_otherwise(*node);
  if (const Node* node = top.find("block_response")) section.read_block_response(*node);
  if (const Node* node = top.find("block_ttl"))
    if (const auto ttl = read_seconds(reading, *node, seconds(0), hours(24)))
      settings.live.block.ttl_seconds = static_cast<std::uint32_t>(ttl->count());
}

}  // namespace doline::config
