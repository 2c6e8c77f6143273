#include <algorithm>

#include "blocklist/line_item.h"

namespace doline::blocklist {

namespace {

constexpr std::string_view octets_of_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

bool is_spelled_like_a_name(std::string_view text) {
  return !text.empty() && text.find_first_not_of(octets_of_names) == text.npos;
}

/// Where the modifiers' `$` stands, or the end. Behind a regular expression only right behind it.
std::size_t find_modifiers(std::string_view text) {
  if (text.starts_with('/')) {
    const std::size_t last = text.rfind('/');
    if (last > 0 && (last + 1 == text.size() || text[last + 1] == '$')) return last + 1;
    // The modifiers may hold a `/` themselves: `/re/$client=10.0.0.0/8`.
    const std::size_t behind = text.find("/$", 1);
    if (behind != text.npos) return behind + 1;
  }
  for (std::size_t at = text.find('$'); at != text.npos; at = text.find('$', at + 1))
    if (at == 0 || text[at - 1] != '\\') return at;
  return text.size();
}

/// Rules of pages' elements: `##`, `#@#`, `#?#`, `#$#`, `#%#`, `$$`.
bool is_cosmetic(std::string_view line) {
  for (std::size_t at = line.find('#'); at != line.npos; at = line.find('#', at + 1)) {
    const std::string_view rest = line.substr(at + 1, 3);
    if (rest.starts_with('#') || rest.starts_with("@#") || rest.starts_with("?#") || rest.starts_with("$#") ||
        rest.starts_with("%#") || rest.starts_with("@$#") || rest.starts_with("@?") || rest.starts_with("$?"))
      return true;
  }
  return line.find("$$") != line.npos || line.find("$@$") != line.npos;
}

/// The name's octets as they are, `*` for any.
std::string to_expression(std::string_view wildcard) {
  std::string expression;
  for (const char letter : wildcard) {
    if (letter == '.') expression += '\\';
    expression += letter == '*' ? std::string(".*") : std::string(1, letter);
  }
  return expression;
}

}  // namespace

void read_adblock_line(std::string_view line, LineItems& items) {
  // 1. What is none of DNS's rules.
  if (line.starts_with('!') || (line.starts_with('[') && line.ends_with(']'))) return;
  if (is_cosmetic(line)) return items.add_fault(0, LineFault::cosmetic);
  if (line.starts_with('#')) return;

  // 2. Lines of hosts files and plain names stand in such lists too.
  if (const std::size_t blank = line.find_first_of(" \t"); blank != line.npos) {
    const auto address = IpAddress::parse(line.substr(0, blank));
    if (!address) {
      const bool is_comment = line.find_first_not_of(" \t", blank) != line.npos &&
                              line[line.find_first_not_of(" \t", blank)] == '#' &&
                              is_spelled_like_a_name(line.substr(0, blank));
      if (!is_comment && !line.starts_with('/') && line.find('$') > blank)
        return items.add_fault(blank, LineFault::bad_name);
      if (is_comment) line = line.substr(0, blank);
    } else {
      for (std::size_t at = blank; at < line.size();) {
        const std::size_t begin = line.find_first_not_of(" \t", at);
        if (begin == line.npos || line[begin] == '#') return;
        at = std::min(line.find_first_of(" \t", begin), line.size());
        if (line.substr(begin, at - begin) == ".") {
          items.add_fault(begin, LineFault::no_name);
          continue;
        }
        LineItem& item = items.add();
        item.name = line.substr(begin, at - begin);
        item.column = begin;
        item.covers_below = false;
        if (!address->is_unspecified() && !address->is_loopback()) {
          item.rule.effect = ListRule::Effect::answer;
          item.rule.answer = make_answer(*address);
        }
      }
      return;
    }
  }

  // 3. Exception, modifiers, pattern.
  std::string_view text = line;
  const bool is_exception = text.starts_with("@@");
  if (is_exception) text.remove_prefix(2);
  const auto column = [&](std::string_view part) { return static_cast<std::size_t>(part.data() - line.data()); };
  const std::size_t modifiers_at = find_modifiers(text);
  std::string_view pattern = text.substr(0, modifiers_at);
  ListRule rule;
  rule.is_exception = is_exception;
  rule.effect = is_exception ? ListRule::Effect::allow : ListRule::Effect::block;
  if (modifiers_at < text.size()) {
    const std::string_view modifiers = text.substr(modifiers_at + 1);
    auto parsed = modifiers.empty() ? Result<ListRule, RuleFault>(fail(RuleFault::bad_value))
                                    : parse_modifiers(modifiers, is_exception);
    if (parsed && parsed->effect == ListRule::Effect::pass) parsed = fail(RuleFault::unknown_modifier);
    if (!parsed)
      return items.add_fault(column(modifiers), parsed.error() == RuleFault::unknown_modifier
                                                    ? LineFault::unknown_modifier
                                                    : LineFault::bad_modifier);
    rule = std::move(*parsed);
  }

  // 4. A regular expression.
  const auto add_pattern = [&](std::string expression) {
    LineItem& item = items.add();
    item.of = Listed::pattern;
    item.column = column(pattern);
    item.pattern = std::move(expression);
    item.rule = std::move(rule);
  };
  if (pattern.size() > 2 && pattern.starts_with('/') && pattern.ends_with('/'))
    return add_pattern(std::string(pattern.substr(1, pattern.size() - 2)));

  // 5. The ends of a pattern. A scheme and the path's first `/` say nothing of a name.
  const std::string_view whole = pattern;
  bool begins_at_label = false, begins_name = false, ends_name = false;
  if (pattern.starts_with("||")) {
    begins_at_label = true;
    pattern.remove_prefix(2);
  } else if (pattern.starts_with('|')) {
    begins_name = true;
    pattern.remove_prefix(1);
  }
  for (const std::string_view scheme : {"https://", "http://", "://"})
    if (!begins_at_label && pattern.starts_with(scheme)) {
      begins_name = true;
      pattern.remove_prefix(scheme.size());
      break;
    }
  if (pattern.ends_with('|')) {
    ends_name = true;
    pattern.remove_suffix(1);
  }
  if (pattern.ends_with('^')) {
    ends_name = true;
    pattern.remove_suffix(1);
  } else if (pattern.ends_with("^*")) {
    ends_name = true;
    pattern.remove_suffix(2);
  }
  if (pattern.ends_with('/') && begins_at_label) {
    ends_name = true;
    pattern.remove_suffix(1);
  }
  if (const std::size_t bad = pattern.find_first_of("/?=&:^|"); bad != pattern.npos && !IpPrefix::parse(pattern))
    return items.add_fault(column(pattern) + bad, LineFault::url_rule);

  // 6. An address: answers that hold it.
  if (const auto prefix = IpPrefix::parse(pattern)) {
    LineItem& item = items.add();
    item.of = Listed::answer_address;
    item.column = column(pattern);
    item.prefix = *prefix;
    item.rule = std::move(rule);
    return;
  }

  // 7. A name: `||name^` and all below, `|name^` alone, `*.name^` and `.name^` what is below.
  const auto add_name = [&](std::string_view name, bool covers_name, bool covers_below) {
    LineItem& item = items.add();
    item.name = name;
    item.column = column(name);
    item.covers_name = covers_name;
    item.covers_below = covers_below;
    item.rule = std::move(rule);
  };
  if (pattern.find_first_not_of('*') == pattern.npos) {
    // `*`, or modifiers alone: every name, of somebody, of a type or with an answer. Alone it is void, as the field has
    // it: nobody means to block the Internet.
    const bool is_of_all = rule.effect == ListRule::Effect::block && !rule.conditions;
    if (is_of_all || (pattern.empty() && !whole.empty())) return items.add_fault(0, LineFault::no_name);
    LineItem& item = items.add();
    item.name = ".";
    item.column = column(text);
    item.rule = std::move(rule);
    return;
  }
  if (pattern.find_first_not_of("*.") == pattern.npos) return items.add_fault(0, LineFault::no_name);
  if (is_spelled_like_a_name(pattern) && !pattern.ends_with('.')) {
    const bool has_dot_before = pattern.starts_with('.');
    if (begins_at_label && !has_dot_before) return add_name(pattern, true, true);
    if (begins_name && ends_name && !has_dot_before) return add_name(pattern, true, false);
    if (!begins_at_label && !begins_name && has_dot_before && ends_name && pattern.size() > 1)
      return add_name(pattern.substr(1), false, true);
    // A bare name stands for itself; with `@@` or modifiers it is a pattern like others.
    if (pattern.size() == line.size() && !has_dot_before && pattern.find('.') != pattern.npos)
      return add_name(pattern, true, false);
  } else if (pattern.starts_with("*.") && is_spelled_like_a_name(pattern.substr(2)) && pattern[2] != '.' &&
             (ends_name || !begins_name)) {
    return add_name(pattern.substr(2), false, true);
  }

  // 8. What is left has its wildcards inside, or no ends.
  if (const std::size_t bad = pattern.find_first_not_of(std::string(octets_of_names) + '*'); bad != pattern.npos)
    return items.add_fault(column(pattern) + bad, LineFault::bad_name);
  if (!begins_at_label && !begins_name && !ends_name && pattern.find_first_of(".*") == pattern.npos)
    return items.add_fault(column(pattern), LineFault::url_rule);
  add_pattern((begins_at_label ? "(?:^|\\.)"
               : begins_name   ? "^"
                               : "") +
              to_expression(pattern) + (ends_name ? "$" : ""));
}

void read_wildcard_line(std::string_view line, LineItems& items) {
  if (line.find_first_not_of(std::string(octets_of_names) + '*') != line.npos ||
      line.find_first_not_of("*.") == line.npos)
    return items.add_fault(0, LineFault::bad_name);
  LineItem& item = items.add();
  item.of = Listed::pattern;
  item.pattern = '^' + to_expression(line) + '$';
}

namespace {

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& letter : small)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
  return small;
}

/// `A,AAAA`, `!A`: the modifier that says so.
std::string to_type_modifier(std::string_view types) {
  const bool is_not = types.starts_with('!');
  if (is_not) types.remove_prefix(1);
  std::string modifier = is_not ? "dnstype=~" : "dnstype=";
  for (const char letter : types) modifier += letter == ',' ? is_not ? "|~" : "|" : std::string(1, letter);
  return modifier;
}

/// A reply as the modifier that says so; "" for `IP`, which means what blocks in general.
std::optional<std::string> to_reply_modifier(std::string_view reply) {
  const std::string small = in_small_letters(reply);
  if (small == "ip") return "";
  if (small == "nodata") return "dnsrewrite=NOERROR;;";
  if (small == "nxdomain") return "dnsrewrite=NXDOMAIN";
  if (small == "refused") return "dnsrewrite=REFUSED";
  if (small == "none") return "dnsrewrite=DROP";  // no answer at all
  return IpAddress::parse(reply) ? std::optional("dnsrewrite=" + std::string(reply)) : std::nullopt;
}

}  // namespace

bool is_regex_word(std::string_view word) {
  const std::string small = in_small_letters(word.substr(0, word.find_first_of("=;")));
  return small == "querytype" || small == "reply" || small == "invert";
}

void read_regex_line(std::string_view line, LineItems& items) {
  if (line.starts_with('#')) return;
  // Pi-hole's words behind the expression: `;querytype=A,AAAA`, `;querytype=!A`, `;reply=NXDOMAIN`; several replies are
  // all answered.
  std::string_view expression = line.substr(0, line.find(';'));
  std::string types;
  std::vector<std::string> replies;
  for (std::size_t at = expression.size(); at < line.size();) {
    const std::size_t begin = at + 1;
    at = std::min(line.find(';', begin), line.size());
    const std::string_view word = line.substr(begin, at - begin);
    const std::size_t equals = word.find('=');
    const std::string key = in_small_letters(word.substr(0, equals));
    const std::string_view value = equals == word.npos ? "" : word.substr(equals + 1);
    if (key == "querytype" && types.empty()) {
      types = to_type_modifier(value);
      if (!parse_modifiers(types, false)) return items.add_fault(begin, LineFault::bad_modifier);
    } else if (key == "reply") {
      const auto reply = to_reply_modifier(value);
      if (!reply) return items.add_fault(begin, LineFault::bad_modifier);
      replies.push_back(*reply);
    } else {
      return items.add_fault(begin, LineFault::unknown_modifier);
    }
  }
  if (expression.size() > 2 && expression.starts_with('/') && expression.ends_with('/'))
    expression = expression.substr(1, expression.size() - 2);
  if (expression.empty()) return items.add_fault(0, LineFault::no_name);
  if (replies.empty()) replies.emplace_back();
  for (const std::string& reply : replies) {
    auto rule = parse_modifiers(types + (types.empty() || reply.empty() ? "" : ",") + reply, false);
    if (!rule) return items.add_fault(expression.size() + 1, LineFault::bad_modifier);
    LineItem& item = items.add();
    item.of = Listed::pattern;
    item.pattern = expression;
    item.rule = std::move(*rule);
  }
}

void read_address_line(std::string_view line, LineItems& items) {
  const std::string_view text = line.substr(0, line.find_first_of(" \t#;,"));
  if (text.empty()) return;
  const auto prefix = IpPrefix::parse(text);
  if (!prefix) return items.add_fault(0, LineFault::bad_address);
  LineItem& item = items.add();
  item.of = Listed::answer_address;
  item.prefix = *prefix;
}

}  // namespace doline::blocklist
