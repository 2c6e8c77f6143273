#include <algorithm>
#include <array>
#include <charconv>

#include "blocklist/line_item.h"

namespace doline::blocklist {

namespace {

constexpr std::string_view blank_octets = " \t";

/// A record over several lines is no longer than this.
constexpr std::size_t record_octets_max = 16 * 1024;

std::string_view next_word(std::string_view& text) {
  const std::size_t begin = std::min(text.find_first_not_of(blank_octets), text.size());
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find_first_of(blank_octets));
  text.remove_prefix(word.size());
  return word;
}

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& letter : small)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
  return small;
}

/// `1h30m`, `3600`.
bool is_ttl(std::string_view word) {
  return !word.empty() && word.front() >= '0' && word.front() <= '9' &&
         word.find_first_not_of("0123456789smhdwSMHDW") == word.npos;
}

bool is_class(std::string_view word) {
  const std::string small = in_small_letters(word);
  return small == "in" || small == "ch" || small == "hs";
}

/// `32.4.3.2.1` and `48.zz.2.1.2001`: the length, then the address from its end.
std::optional<IpPrefix> parse_trigger_address(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t dot = text.find('.');
    parts.push_back(text.substr(0, dot));
    if (dot == text.npos) break;
    text.remove_prefix(dot + 1);
    if (parts.size() > 9) return std::nullopt;
  }
  int length = 0;
  const auto [end, error] = std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), length);
  if (error != std::errc{} || end != parts[0].data() + parts[0].size() || parts.size() < 2) return std::nullopt;
  const bool is_v4 = parts.size() == 5 && std::none_of(parts.begin() + 1, parts.end(), [](std::string_view part) {
                       return part == "zz" || part.find_first_not_of("0123456789") != part.npos;
                     });
  std::string address;
  for (std::size_t at = parts.size(); at-- > 1;) {
    if (is_v4) {
      address += std::string(parts[at]) + (at > 1 ? "." : "");
    } else if (parts[at] == "zz") {
      address += address.empty() || address.back() != ':' ? "::" : ":";
    } else {
      address += parts[at];
      if (at > 1 && parts[at - 1] != "zz") address += ':';
    }
  }
  const auto parsed = IpAddress::parse(address);
  if (!parsed || parsed->is_v4() != is_v4 || length < 1 || length > (is_v4 ? 32 : 128)) return std::nullopt;
  return IpPrefix(*parsed, length);
}

/// Is its last octet a dot between labels, behind one? An escaped one is part of a label.
bool ends_label(std::string_view text) {
  if (text.size() < 2 || text.back() != '.') return false;
  std::size_t escapes = 0;
  while (escapes + 1 < text.size() && text[text.size() - 2 - escapes] == '\\') ++escapes;
  return escapes % 2 == 0;
}

/// What a zone holds for its own sake; of a trigger it says nothing.
bool is_of_the_zone(dns::RecordType type) {
  switch (type) {
    case dns::RecordType::ns:
    case dns::RecordType::dname:
    case dns::RecordType::ds:
    case dns::RecordType::rrsig:
    case dns::RecordType::nsec:
    case dns::RecordType::dnskey:
    case dns::RecordType::nsec3:
    case dns::RecordType::nsec3param:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string ZoneReader::absolute(std::string_view name) const {
  if (name == "@") return origin_.empty() ? "." : origin_;
  std::string whole = in_small_letters(name);
  if (whole.ends_with('.')) return whole;
  whole += '.';
  return origin_.empty() || origin_ == "." ? whole : whole + origin_;
}

void ZoneReader::read_line(std::string_view line, LineItems& items) {
  // Comments go, parentheses join lines (RFC 1035 §5.1); neither inside quotes.
  const bool is_first = open_parentheses_ == 0;
  if (is_first) record_.clear();
  bool is_quoted = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char letter = line[at];
    if (letter == '\\' && at + 1 < line.size()) {
      record_ += letter;
      record_ += line[++at];
      continue;
    }
    if (letter == '"') is_quoted = !is_quoted;
    if (!is_quoted && letter == ';') break;
    if (!is_quoted && letter == '(') {
      ++open_parentheses_;
      record_ += ' ';
    } else if (!is_quoted && letter == ')') {
      if (open_parentheses_ == 0) return items.add_fault(at, LineFault::bad_record);
      --open_parentheses_;
      record_ += ' ';
    } else {
      record_ += letter;
    }
  }
  if (record_.size() > record_octets_max) {
    open_parentheses_ = 0;
    return items.add_fault(0, LineFault::too_long);
  }
  if (open_parentheses_ > 0) {
    record_ += ' ';
    return;
  }
  read_record(items);
}

void ZoneReader::read_record(LineItems& items) {
  std::string_view text = record_;
  text = text.substr(0, text.find_last_not_of(" \t\r") + 1);
  if (text.empty()) return;
  if (text.starts_with('$')) {
    const std::string_view word = next_word(text);
    const std::string_view value = next_word(text);
    if (word == "$TTL") return;
    if (word != "$ORIGIN" || value.empty()) return items.add_fault(0, LineFault::not_for_lists);
    origin_ = absolute(value);
    return;
  }
  if (blank_octets.find(text.front()) == blank_octets.npos) {
    owner_ = absolute(next_word(text));
  } else if (owner_.empty()) {
    return items.add_fault(0, LineFault::no_name);
  }
  std::string_view type = next_word(text);
  while (is_ttl(type) || is_class(type)) type = next_word(text);
  text = text.substr(std::min(text.find_first_not_of(blank_octets), text.size()));
  const std::string small_type = in_small_letters(type);
  if (small_type == "soa") {
    apex_ = owner_;
    if (origin_.empty() && owner_ != ".") origin_ = owner_;
    return;
  }
  if (!apex_ && !origin_.empty()) apex_ = origin_;
  const std::string apex = apex_.value_or(".");
  if (owner_ == apex) return;  // the zone's own NS records and the like
  if (type.empty()) return items.add_fault(0, LineFault::bad_record);
  list_trigger(small_type, text, items);
}

void ZoneReader::list_trigger(std::string_view type, std::string_view rdata, LineItems& items) {
  // 1. The trigger: the owner without the zone's name.
  const std::string apex = apex_.value_or(".");
  std::string_view trigger = owner_;
  trigger.remove_suffix(1);
  if (apex != ".") {
    const std::string_view zone = std::string_view(apex).substr(0, apex.size() - 1);
    if (!trigger.ends_with(zone) || !ends_label(trigger.substr(0, trigger.size() - zone.size())))
      return items.add_fault(0, LineFault::other_zone);
    trigger.remove_suffix(zone.size() + 1);
  }

  // 2. The action.
  ListRule rule;
  rule.effect = ListRule::Effect::answer;
  const auto known = dns::parse_record_type(type);
  if (!known) return items.add_fault(0, LineFault::bad_record);
  if (is_of_the_zone(*known)) return items.add_fault(0, LineFault::not_for_lists);
  if (known == dns::RecordType::cname) {
    const std::string target = in_small_letters(rdata);
    const std::string lone = target.ends_with('.') && target.size() > 1 ? target.substr(0, target.size() - 1) : target;
    if (target == ".") {
      rule = {};
    } else if (lone == "*") {
      rule.answer = LineAnswer{};                            // NODATA
    } else if (lone == "rpz-passthru" || lone == trigger) {  // the trigger itself: as older zones say it
      rule.effect = ListRule::Effect::allow;
      rule.is_exception = true;
    } else if (lone == "rpz-drop" || lone == "rpz-tcp-only") {
      rule.answer = LineAnswer{};
      rule.answer->kind = lone == "rpz-drop" ? LineAnswer::Kind::drop : LineAnswer::Kind::tcp_only;
    } else if (lone.starts_with("rpz-")) {
      return items.add_fault(0, LineFault::not_for_lists);
    } else {
      rule.answer = make_answer(dns::RecordType::cname, absolute(rdata));
    }
  } else {
    rule.answer = make_answer(*known, rdata);
  }
  if (rule.effect == ListRule::Effect::answer && !rule.answer) return items.add_fault(0, LineFault::bad_record);

  // 3. Of what.
  const auto of_addresses = [&](std::string_view kind, Listed of) {
    if (!trigger.ends_with(kind)) return false;
    if (const auto prefix = parse_trigger_address(trigger.substr(0, trigger.size() - kind.size()))) {
      LineItem& item = items.add();
      item.of = of;
      item.prefix = *prefix;
      item.rule = rule;
    } else {
      items.add_fault(0, LineFault::bad_address);
    }
    return true;
  };
  if (of_addresses(".rpz-client-ip", Listed::client_address) || of_addresses(".rpz-ip", Listed::answer_address) ||
      of_addresses(".rpz-nsip", Listed::server_address))
    return;
  LineItem& item = items.add();
  if (trigger.size() > server_label.size() && trigger.ends_with(server_label) &&
      trigger[trigger.size() - server_label.size() - 1] == '.')
    item.of = Listed::server_name;
  item.covers_below = trigger.starts_with("*.");
  item.covers_name = !item.covers_below;
  if (item.covers_below) trigger.remove_prefix(2);
  if (trigger == "*") {
    trigger = ".";
    item.covers_name = false;
    item.covers_below = true;
  }
  item.name = trigger;
  item.rule = std::move(rule);
}

}  // namespace doline::blocklist
