#include "policy/name_pattern.h"

#include <string>

namespace doline::policy {

using blocklist::Expression;

bool NamePattern::matches(const dns::Name& lowered) const {
  switch (kind) {
    case Kind::subtree:
      return lowered.is_within(name);
    case Kind::exact:
      return lowered == name;
    case Kind::below:
      return lowered.size() > name.size() && lowered.is_within(name);
    case Kind::expression:
      return expression->finds(lowered);
  }
  return false;
}

Result<NamePattern, std::string> compile_wildcard(std::string_view text) {
  NamePattern pattern{NamePattern::Kind::expression, {}, {}};
  std::string expression = "^(.*\\.)?";
  if (text.starts_with('=')) {
    text.remove_prefix(1);
    expression = "^";
  }
  if (text.ends_with('.')) text.remove_suffix(1);
  // Whatever the stars stand for, the rest has to be a name.
  std::string without_stars(text);
  for (char& letter : without_stars)
    if (letter == '*') letter = 'x';
  if (const auto name = dns::Name::parse(without_stars); !name) return fail(std::string(dns::to_string(name.error())));
  if (text.find('\\') != std::string_view::npos) return fail(std::string("a '*' and a '\\' do not go together"));
  const auto last_star = text.rfind('*');
  const auto dot = text.find('.', last_star == std::string_view::npos ? 0 : last_star);
  if (dot != std::string_view::npos)
    if (const auto suffix = dns::Name::parse(text.substr(dot + 1))) pattern.name = suffix->lowered();
  for (const char letter : text)
    expression += letter == '*' ? "([^.\\\\]|\\\\.)*" : Expression::quote(std::string_view(&letter, 1));
  auto compiled = Expression::compile(expression + "$");
  if (!compiled) return fail(compiled.error());
  pattern.expression = std::move(*compiled);
  return pattern;
}

}  // namespace doline::policy
