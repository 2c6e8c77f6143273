#include "policy/name_pattern.h"

#include <doctest/doctest.h>

using namespace doline::policy;
using doline::dns::Name;

namespace {

bool covers(const char* wildcard, const char* name) {
  return compile_wildcard(wildcard)->matches(Name::parse(name)->lowered());
}

}  // namespace

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
