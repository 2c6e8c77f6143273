#include "blocklist/expression.h"

#include <doctest/doctest.h>

using namespace doline::blocklist;
using doline::dns::Name;

namespace {

bool finds(std::string_view expression, const char* name) {
  return (*Expression::compile(expression))->finds(Name::parse(name)->lowered());
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
  CHECK(finds("^" + Expression::quote("a+b.c") + "$", "a+b.c"));
}

TEST_CASE("a name's text is that of Name::to_string()") {
  for (const char* text : {"example.com", "a\\.b.c", "\\000\\255.x", "a\\\\b", "\\032"}) {
    const Name name = *Name::parse(text);
    CHECK(NameText(name).view() == name.to_string());
  }
  CHECK(NameText(Name()).view() == "");
}

TEST_CASE("what is no expression is told with RE2's reason, and what would backtrack is none") {
  CHECK(Expression::compile("(ab").error() == "missing ): (ab");
  CHECK_FALSE(Expression::compile("(?=a)").has_value());
  CHECK(Expression::compile("(?=a)").error().find("(?=") != std::string::npos);
  CHECK_FALSE(Expression::compile("(a)\\1").has_value());
  CHECK(Expression::compile("^(a+)+$").has_value());
}
