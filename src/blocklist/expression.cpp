#include "blocklist/expression.h"

#include "blocklist/re2_options.h"

namespace doline::blocklist {

struct Expression::Impl {
  RE2 re2;
};

Expression::Expression(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Expression::~Expression() = default;

Result<std::shared_ptr<const Expression>, std::string> Expression::compile(std::string_view expression) {
  std::unique_ptr<Impl> impl(new Impl{RE2(piece_of(expression), re2_options())});
  if (!impl->re2.ok()) return fail(impl->re2.error());
  return std::shared_ptr<const Expression>(new Expression(std::move(impl)));
}

std::string Expression::quote(std::string_view text) {
  return RE2::QuoteMeta(piece_of(text));
}

bool Expression::finds(const dns::Name& lowered) const {
  return RE2::PartialMatch(piece_of(NameText(lowered).view()), impl_->re2);
}

std::string_view Expression::text() const {
  return impl_->re2.pattern();
}

}  // namespace doline::blocklist
