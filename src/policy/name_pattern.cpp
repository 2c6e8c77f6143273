#include "policy/name_pattern.h"

#include <re2/re2.h>

#include <array>

namespace doline::policy {

namespace {

constexpr std::int64_t expression_memory_max = 1 << 20;  // octets, of one expression and its automata

/// As Name::to_string() writes it, without allocation.
class NameText {
 public:
  explicit NameText(const dns::Name& name) {
    const auto wire = name.wire();
    for (std::size_t at = 0; wire[at] != 0; at += wire[at] + std::size_t{1}) {
      if (at > 0) letters_[size_++] = '.';
      for (std::size_t i = 1; i <= wire[at]; ++i) add(wire[at + i]);
    }
  }
  [[nodiscard]] std::string_view view() const { return {letters_.data(), size_}; }

 private:
  void add(std::uint8_t octet) {
    const bool is_printable = octet > ' ' && octet < 0x7f;
    if (!is_printable || octet == '.' || octet == '\\') letters_[size_++] = '\\';
    if (is_printable) {
      letters_[size_++] = static_cast<char>(octet);
      return;
    }
    letters_[size_++] = static_cast<char>('0' + octet / 100);
    letters_[size_++] = static_cast<char>('0' + octet / 10 % 10);
    letters_[size_++] = static_cast<char>('0' + octet % 10);
  }

  std::array<char, 4 * dns::name_octets_max> letters_;
  std::size_t size_ = 0;
};

}  // namespace

struct NameExpression::Impl {
  RE2 re2;
};

NameExpression::NameExpression(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NameExpression::~NameExpression() = default;

Result<std::shared_ptr<const NameExpression>, std::string> NameExpression::compile(std::string_view expression) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_case_sensitive(false);
  options.set_never_capture(true);
  options.set_encoding(RE2::Options::EncodingLatin1);
  options.set_max_mem(expression_memory_max);
  std::unique_ptr<Impl> impl(new Impl{RE2(expression, options)});
  if (!impl->re2.ok()) return fail(impl->re2.error());
  return std::shared_ptr<const NameExpression>(new NameExpression(std::move(impl)));
}

bool NameExpression::finds(const dns::Name& lowered) const {
  return RE2::PartialMatch(NameText(lowered).view(), impl_->re2);
}

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
    expression += letter == '*' ? "([^.\\\\]|\\\\.)*" : RE2::QuoteMeta(std::string(1, letter));
  auto compiled = NameExpression::compile(expression + "$");
  if (!compiled) return fail(compiled.error());
  pattern.expression = std::move(*compiled);
  return pattern;
}

}  // namespace doline::policy
