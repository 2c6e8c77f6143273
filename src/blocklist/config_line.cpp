// Lines of dnsmasq's and Unbound's configuration.
#include <algorithm>

#include "blocklist/line_item.h"

namespace doline::blocklist {

namespace {

constexpr std::string_view blanks = " \t";

std::string_view without_blanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool is_null(const IpAddress& address) {
  return address.is_unspecified() || address.is_loopback();
}

/// What stands between quotes, or up to a blank; takes it and the blanks behind from `text`.
std::string_view take_word(std::string_view& text) {
  text = without_blanks(text);
  std::string_view word;
  if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
    const std::size_t end = text.find(text.front(), 1);
    word = text.substr(1, end == text.npos ? text.npos : end - 1);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  } else {
    word = text.substr(0, text.find_first_of(blanks));
    text.remove_prefix(word.size());
  }
  text = without_blanks(text);
  return word;
}

}  // namespace

void read_dnsmasq_line(std::string_view line, LineItems& items) {
  if (line.starts_with('#')) return;
  if (const std::size_t comment = line.find(" #"); comment != line.npos) line = without_blanks(line.substr(0, comment));
  if (const std::size_t dashes = line.find_first_not_of('-'); dashes == 2) line.remove_prefix(2);
  const std::size_t equals = line.find('=');
  const std::string_view word = without_blanks(line.substr(0, equals));
  const bool is_address = word == "address";
  if (equals == line.npos || (!is_address && word != "server" && word != "local"))
    return items.add_fault(0, LineFault::not_for_lists);
  // `/name/name/value`
  const std::string_view value = without_blanks(line.substr(equals + 1));
  const std::size_t last = value.rfind('/');
  if (!value.starts_with('/') || last == 0) return items.add_fault(equals + 1, LineFault::not_for_lists);
  const std::string_view target = value.substr(last + 1);
  ListRule rule;
  if (is_address && !target.empty() && target != "#") {
    const auto address = IpAddress::parse(target);
    if (!address) return items.add_fault(static_cast<std::size_t>(target.data() - line.data()), LineFault::bad_address);
    if (!is_null(*address)) {
      rule.effect = ListRule::Effect::answer;
      rule.answer = make_answer(*address);
    }
  } else if (!is_address && target == "#") {
    rule.effect = ListRule::Effect::allow;  // asked of the servers that all is asked of
    rule.is_exception = true;
  } else if (!is_address && !target.empty()) {
    return items.add_fault(static_cast<std::size_t>(target.data() - line.data()), LineFault::not_for_lists);
  }
  for (std::size_t at = 1; at <= last;) {
    const std::size_t end = value.find('/', at);
    std::string_view name = value.substr(at, end - at);
    at = end + 1;
    LineItem& item = items.add();
    item.column = static_cast<std::size_t>(name.data() - line.data());
    item.rule = rule;
    if (name.starts_with("*.")) {
      item.covers_name = false;
      name.remove_prefix(2);
    } else if (name.starts_with('.')) {
      name.remove_prefix(1);
    }
    item.name = name == "#" ? "." : name;
  }
}

namespace {

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string without_final_dot(std::string_view name) {
  std::string plain(name.substr(0, name.size() - (name.ends_with('.') ? 1 : 0)));
  for (char& letter : plain)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
  return plain;
}

std::shared_ptr<const LineConditions> of_type(dns::RecordType type) {
  LineConditions when;
  when.types.push_back(type);
  return std::make_shared<const LineConditions>(std::move(when));
}

}  // namespace

void UnboundReader::read_line(std::string_view line, LineItems& items) {
  if (line.starts_with('#') || line == "server:") return;
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view word = line.substr(0, colon), rest = line.substr(std::min(colon + 1, line.size()));
  if (word == "local-zone") return read_zone(line, rest, items);
  if (word == "local-data") return read_data(line, rest, items);
  items.add_fault(0, LineFault::not_for_lists);
}

void UnboundReader::read_zone(std::string_view line, std::string_view rest, LineItems& items) {
  const auto column = [&](std::string_view part) { return static_cast<std::size_t>(part.data() - line.data()); };
  const std::size_t begin = column(rest);
  const std::string_view name = take_word(rest);
  const std::size_t type_at = column(rest);
  const std::string_view type = take_word(rest);
  if (name.empty()) return items.add_fault(begin, LineFault::no_name);
  const bool blocks =
      is_one_of(type, {"always_nxdomain", "always_nodata", "always_null", "always_refuse", "always_deny", "static",
                       "refuse", "deny", "inform_deny", "inform_redirect", "redirect"});
  // They only end the zone that is above them.
  const bool passes = is_one_of(type, {"transparent", "typetransparent", "inform", "block_a"});
  if (!blocks && !passes && type != "always_transparent") return items.add_fault(type_at, LineFault::not_for_lists);
  zone_ = without_final_dot(name);
  type_ = type;
  const auto add = [&]() -> ListRule& {
    LineItem& item = items.add();
    item.name = name;
    item.column = column(name);
    return item.rule;
  };
  ListRule& rule = add();
  if (passes) rule.effect = ListRule::Effect::pass;
  if (type == "always_transparent") {
    rule.effect = ListRule::Effect::allow;
    rule.is_exception = true;
  }
  if (type != "block_a") return;
  ListRule& of_addresses = add();
  of_addresses.effect = ListRule::Effect::answer;
  of_addresses.answer = LineAnswer{};  // NODATA
  of_addresses.conditions = of_type(dns::RecordType::a);
}

bool UnboundReader::is_in_zone(const std::string& name) const {
  if (name.size() <= zone_.size()) return name == zone_;
  return name.ends_with(zone_) && (zone_.empty() || name[name.size() - zone_.size() - 1] == '.');
}

void UnboundReader::read_data(std::string_view line, std::string_view rest, LineItems& items) {
  const auto column = [&](std::string_view part) { return static_cast<std::size_t>(part.data() - line.data()); };
  const std::size_t begin = column(rest);
  std::string_view data = take_word(rest);
  // `name [ttl] [IN] type value`
  const std::string_view name = take_word(data);
  std::string_view type = take_word(data);
  if (!type.empty() && type.find_first_not_of("0123456789") == type.npos) type = take_word(data);
  if (type == "IN" || type == "in") type = take_word(data);
  const auto known = dns::parse_record_type(type);
  if (name.empty()) return items.add_fault(begin, LineFault::no_name);
  if (!known) return items.add_fault(column(type), LineFault::not_for_lists);
  const auto answer = make_answer(*known, data);
  if (!answer) return items.add_fault(column(data), LineFault::bad_record);
  const std::string zone_type = !type_.empty() && is_in_zone(without_final_dot(name)) ? type_ : "";
  if (zone_type.starts_with("always_")) return items.add_fault(column(name), LineFault::not_for_lists);
  LineItem& item = items.add();
  item.name = name;
  item.column = column(name);
  item.covers_below = is_one_of(zone_type, {"redirect", "inform_redirect"}) && without_final_dot(name) == zone_;
  if (zone_type == "typetransparent") item.rule.conditions = of_type(*known);
  const auto address = IpAddress::parse(data);
  if (address && is_null(*address)) return;
  item.rule.effect = ListRule::Effect::answer;
  item.rule.answer = answer;
}

}  // namespace doline::blocklist
