#include "policy/name_pattern.h"

#include <doctest/doctest.h>

using namespace doline::policy;
using doline::dns::Name;

namespace {

bool finds(const char* expression, const char* name) {
  return (*NameExpression::compile(expression))->finds(Name::parse(name)->lowered());
}
bool covers(const char* wildcard, const char* name) {
  return compile_wildcard(wildcard)->matches(Name::parse(name)->lowered());
}

}  // namespace

TEST_CASE("an expression is looked for in the name as it is written, in any case") {
  CHECK(finds("^ad[0-9]+\\.", "ad17.example.com"));
  CHECK(finds("^AD[0-9]+\\.", "Ad17.example.com"));
  CHECK_FALSE(finds("^ad[0-9]+\\.", "bad17.example.com"));
  CHECK(finds("\\.com$", "example.com"));
  CHECK_FALSE(finds("\\.com\\.$", "example.com"));
  CHECK(finds("^a\\\\\\.b\\.c$", "a\\.b.c"));
  CHECK(finds("^$", "."));
}

TEST_CASE("what is no expression is told with RE2's reason") {
  CHECK(NameExpression::compile("(ab").error() == "missing ): (ab");
  CHECK_FALSE(NameExpression::compile("(?=a)").has_value());
  CHECK_FALSE(NameExpression::compile("(a)\\1").has_value());
}

TEST_CASE("a star stands for letters of its label, with what is below, or without after '='") {
  CHECK(covers("ad*.example.com", "ad1.example.com"));
  CHECK(covers("ad*.example.com", "AD.example.com"));
  CHECK(covers("ad*.example.com", "x.ad1.example.com"));
  CHECK_FALSE(covers("ad*.example.com", "ad.x.example.com"));
  CHECK_FALSE(covers("ad*.example.com", "bad.example.com"));
  CHECK(covers("=ad*.example.com", "ad1.example.com"));
  CHECK_FALSE(covers("=ad*.example.com", "x.ad1.example.com"));
  CHECK(covers("cdn.*.example", "cdn.eu.example"));
  CHECK(compile_wildcard("ad*.b.Example")->name == *Name::parse("b.example"));
  CHECK(compile_wildcard("example.*")->name.is_root());
  CHECK_FALSE(compile_wildcard("a*..b").has_value());
}
