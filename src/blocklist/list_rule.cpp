#include "blocklist/list_rule.h"

#include <algorithm>

#include "dns/presentation.h"

namespace doline::blocklist {

namespace {

constexpr std::string_view drop_word = "DROP";
constexpr std::string_view tcp_only_word = "TCP-ONLY";

/// Calls `take(piece)` for the pieces between separators that no backslash stands before; false from it ends it.
template <class Take>
bool each_piece(std::string_view text, char separator, Take take) {
  std::size_t begin = 0;
  char quote = 0;
  const auto may_open = [&](std::size_t at) {
    return (text[at] == '"' || text[at] == '\'') &&
           (at == begin || std::string_view("=|~").find(text[at - 1]) != text.npos);
  };
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size()) {
      const bool is_escaped = at > 0 && text[at - 1] == '\\';
      if (quote != 0 ? text[at] == quote : may_open(at)) {
        if (!is_escaped) quote = quote != 0 ? '\0' : text[at];
        continue;
      }
      if (text[at] != separator || is_escaped || quote != 0) continue;
    }
    if (!take(text.substr(begin, at - begin))) return false;
    begin = at + 1;
  }
  return true;
}

/// Backslashes before what they protect taken away, quotes around it too.
std::string unescape(std::string_view text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && std::string_view(",|\\\"'").find(text[at + 1]) != text.npos) ++at;
    plain += text[at];
  }
  return plain;
}

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    if (std::string_view(",|\\\"'").find(letter) != std::string_view::npos) escaped += '\\';
    escaped += letter;
  }
  return escaped;
}

/// Values between `|`, those behind a `~` into the second list. False where there is none, or one is not taken.
template <class T, class Parse>
bool read_values(std::string_view text, std::vector<T>& some, std::vector<T>& none, Parse parse) {
  return each_piece(text, '|', [&](std::string_view piece) {
    const bool is_not = piece.starts_with('~');
    if (is_not) piece.remove_prefix(1);
    const std::string value = unescape(piece);
    std::optional<T> parsed = value.empty() ? std::nullopt : parse(value);
    if (parsed) (is_not ? none : some).push_back(std::move(*parsed));
    return parsed.has_value();
  });
}

std::optional<ClientMatch> parse_client(const std::string& text) {
  return ClientMatch{text, IpPrefix::parse(text)};
}

std::optional<std::string> parse_origin(std::string text) {
  for (char& letter : text)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 32);
  const bool is_country = text.size() == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z';
  const bool is_system = text.size() > 2 && text.size() <= 12 && text.starts_with("AS") &&
                         text.find_first_not_of("0123456789", 2) == std::string::npos;
  return is_country || is_system ? std::optional(text) : std::nullopt;
}

std::optional<LineAnswer> parse_rewrite(std::string_view text) {
  LineAnswer answer;
  if (const std::size_t first = text.find(';'); first != text.npos) {
    // RCODE;TYPE;VALUE
    const std::size_t second = text.find(';', first + 1);
    const auto code = dns::parse_response_code(text.substr(0, first));
    if (second == text.npos || !code) return std::nullopt;
    const std::string_view type_text = text.substr(first + 1, second - first - 1), value = text.substr(second + 1);
    if (*code != dns::ResponseCode::noerror || (type_text.empty() && value.empty())) {
      if (static_cast<std::uint16_t>(*code) > 15) return std::nullopt;
      answer.code = *code;
      return answer;
    }
    const auto type = dns::parse_record_type(type_text);
    return type ? make_answer(*type, value) : std::nullopt;
  }
  if (text == drop_word || text == tcp_only_word) {
    answer.kind = text == drop_word ? LineAnswer::Kind::drop : LineAnswer::Kind::tcp_only;
    return answer;
  }
  // AdBlock's short forms are in capitals: a name may be called `refused`.
  for (const std::string_view word : {"NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL", "FORMERR", "NOTIMP"})
    if (text == word) {
      answer.code = *dns::parse_response_code(word);
      return answer;
    }
  if (const auto address = IpAddress::parse(text)) return make_answer(*address);
  return make_answer(dns::RecordType::cname, text);
}

std::string to_text(const LineAnswer& answer) {
  switch (answer.kind) {
    case LineAnswer::Kind::drop:
      return std::string(drop_word);
    case LineAnswer::Kind::tcp_only:
      return std::string(tcp_only_word);
    case LineAnswer::Kind::code:
      return dns::to_string(answer.code) + ";;";
    case LineAnswer::Kind::record:
      break;
  }
  std::string value;
  if (answer.type == dns::RecordType::a || answer.type == dns::RecordType::aaaa)
    value = IpAddress::from_octets(answer.rdata).to_string();
  else if (const auto name = dns::Name::from_wire(answer.rdata); answer.type == dns::RecordType::cname && name)
    value = name->to_string();
  else
    value = dns::to_generic_rdata(answer.rdata);
  return "NOERROR;" + dns::to_string(answer.type) + ';' + escape(value);
}

template <class T, class ToText>
void append_values(std::string& text, std::string_view word, const std::vector<T>& some, const std::vector<T>& none,
                   ToText to) {
  if (some.empty() && none.empty()) return;
  std::vector<std::string> values;
  for (const T& value : some) values.push_back(escape(to(value)));
  for (const T& value : none) values.push_back('~' + escape(to(value)));
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  text += text.empty() ? "" : ",";
  text += word;
  for (std::size_t at = 0; at < values.size(); ++at) text += (at == 0 ? "=" : "|") + values[at];
}

}  // namespace

LineAnswer make_answer(const IpAddress& address) {
  const auto octets = address.octets();
  return {LineAnswer::Kind::record,
          dns::ResponseCode::noerror,
          address.is_v4() ? dns::RecordType::a : dns::RecordType::aaaa,
          {octets.begin(), octets.end()}};
}

LineAnswer make_answer(const dns::Name& cname) {
  const auto wire = cname.wire();
  return {LineAnswer::Kind::record, dns::ResponseCode::noerror, dns::RecordType::cname, {wire.begin(), wire.end()}};
}

std::optional<LineAnswer> make_answer(dns::RecordType type, std::string_view value) {
  using dns::RecordType;
  if (type == RecordType::a || type == RecordType::aaaa) {
    const auto address = IpAddress::parse(value);
    return address && address->is_v4() == (type == RecordType::a) ? std::optional(make_answer(*address)) : std::nullopt;
  }
  if (type == RecordType::cname) {
    const auto name = dns::Name::parse(value);
    return name && !value.empty() && value.find_first_of(" \t;") == value.npos ? std::optional(make_answer(*name))
                                                                               : std::nullopt;
  }
  LineAnswer answer{LineAnswer::Kind::record, dns::ResponseCode::noerror, type, {}};
  if (auto octets = dns::parse_generic_rdata(value)) {
    answer.rdata = std::move(*octets);
    if (!dns::rdata_is_sound(type, answer.rdata)) return std::nullopt;
    return answer;
  }
  if (value.empty() || value.find_first_of("\n\r") != value.npos) return std::nullopt;
  auto record = dns::parse_record(". 0 IN " + dns::to_string(type) + ' ' + std::string(value), 0);
  if (!record || record->type != type || !dns::rdata_is_sound(type, record->rdata)) return std::nullopt;
  answer.rdata = std::move(record->rdata);
  return answer;
}

Result<ListRule, RuleFault> parse_modifiers(std::string_view text, bool is_exception) {
  ListRule rule;
  rule.effect = is_exception ? ListRule::Effect::allow : ListRule::Effect::block;
  rule.is_exception = is_exception;
  LineConditions conditions;
  bool is_cancel = false, is_rewrite = false, is_pass = false;
  std::optional<RuleFault> fault;
  const auto take = [&](std::string_view piece) {
    const std::size_t equals = piece.find('=');
    const bool has_value = equals != piece.npos;
    const std::string_view word = piece.substr(0, equals);
    const std::string_view value = has_value ? piece.substr(equals + 1) : "";
    const auto needs = [&](bool is_good) {
      if (!is_good) fault = RuleFault::bad_value;
      return is_good;
    };
    if (word == "important") return needs(!has_value) && (rule.is_important = true);
    if (word == "badfilter") return needs(!has_value) && (is_cancel = true);
    if (word == "transparent") return needs(!has_value && !is_exception) && (is_pass = true);
    if (word == "client") return needs(read_values(value, conditions.clients, conditions.not_clients, parse_client));
    if (word == "ctag")
      return needs(read_values(value, conditions.tags, conditions.not_tags,
                               [](const std::string& tag) { return std::optional(tag); }));
    if (word == "dnstype")
      return needs(read_values(value, conditions.types, conditions.not_types,
                               [](const std::string& type) { return dns::parse_record_type(type); }));
    if (word == "respgeo") return needs(read_values(value, conditions.origins, conditions.not_origins, parse_origin));
    if (word == "denyallow") {
      std::vector<dns::Name> none;
      return needs(read_values(value, conditions.but_within, none,
                               [](const std::string& name) {
                                 const auto parsed = dns::Name::parse(name);
                                 return parsed && !parsed->is_root() ? std::optional(parsed->lowered()) : std::nullopt;
                               }) &&
                   none.empty());
    }
    if (word == "dnsrewrite") {
      is_rewrite = true;
      if (!has_value) return needs(is_exception);
      rule.answer = parse_rewrite(unescape(value));
      return needs(rule.answer.has_value());
    }
    fault = RuleFault::unknown_modifier;
    return false;
  };
  if (!text.empty() && !each_piece(text, ',', take)) return fail(*fault);
  if (is_rewrite) rule.effect = is_exception ? ListRule::Effect::no_rewrite : ListRule::Effect::answer;
  if (is_pass) rule.effect = ListRule::Effect::pass;
  if (is_cancel && is_rewrite && !rule.answer) return fail(RuleFault::bad_value);  // has no text of its own
  if (is_cancel) rule.effect = ListRule::Effect::cancel;
  if (conditions != LineConditions{}) rule.conditions = std::make_shared<const LineConditions>(std::move(conditions));
  return rule;
}

std::string to_string(const ListRule& rule) {
  std::string text;
  const auto add = [&](std::string_view word) {
    text += text.empty() ? "" : ",";
    text += word;
  };
  if (rule.effect == ListRule::Effect::cancel) add("badfilter");
  if (rule.effect == ListRule::Effect::pass) add("transparent");
  if (rule.is_important) add("important");
  if (rule.conditions) {
    const LineConditions& when = *rule.conditions;
    const auto itself = [](const std::string& value) { return value; };
    append_values(text, "client", when.clients, when.not_clients,
                  [](const ClientMatch& client) { return client.text; });
    append_values(text, "ctag", when.tags, when.not_tags, itself);
    append_values(text, "denyallow", when.but_within, {}, [](const dns::Name& name) { return name.to_string(); });
    append_values(text, "dnstype", when.types, when.not_types,
                  [](dns::RecordType type) { return dns::to_string(type); });
    append_values(text, "respgeo", when.origins, when.not_origins, itself);
  }
  if (rule.answer)
    add("dnsrewrite=" + to_text(*rule.answer));
  else if (rule.effect == ListRule::Effect::no_rewrite)
    add("dnsrewrite");
  if (!text.empty()) text.insert(0, 1, '$');
  return (rule.is_exception ? "@@" : "") + text;
}

Result<ListRule, RuleFault> parse_rule(std::string_view text) {
  const bool is_exception = text.starts_with("@@");
  if (is_exception) text.remove_prefix(2);
  if (text.empty()) return parse_modifiers("", is_exception);
  if (!text.starts_with('$') || text.size() == 1) return fail(RuleFault::bad_value);
  return parse_modifiers(text.substr(1), is_exception);
}

}  // namespace doline::blocklist
