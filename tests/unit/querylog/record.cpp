#include "querylog/record.h"

#include <doctest/doctest.h>

using namespace doline::querylog;

TEST_CASE("every verdict has a name, and the name leads back") {
  for (int number = 0; number <= static_cast<int>(VerdictKind::rejected); ++number) {
    const auto kind = static_cast<VerdictKind>(number);
    CHECK(parse_verdict_kind(to_string(kind)) == kind);
  }
  CHECK_FALSE(parse_verdict_kind("allow").has_value());
  CHECK_FALSE(parse_verdict_kind("unknown").has_value());
}

TEST_CASE("numbers that a later Doline wrote have a name too") {
  CHECK(to_string(static_cast<Transport>(200)) == "unknown");
  CHECK(to_string(static_cast<VerdictKind>(200)) == "unknown");
  CHECK(to_string(static_cast<Source>(200)) == "unknown");
  CHECK(to_string(static_cast<Dnssec>(200)) == "unknown");
}
