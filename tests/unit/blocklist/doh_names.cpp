#include "blocklist/doh_names.h"

#include <doctest/doctest.h>

#include "../policy/compiled_lists.h"

using namespace doline;
using blocklist::DohNames;

TEST_CASE("a DoH name is one of the names, or one that such a list names") {
  const auto set = compile_lists({"ads.example\n", "doh.example\n"});
  const DohNames doh{.names = {*dns::Name::parse("dns.quad9.net")}, .lists = {{1}}};
  CHECK(doh.hold(*dns::Name::parse("DNS.quad9.net"), *set));
  CHECK(doh.hold(*dns::Name::parse("Doh.example"), *set));
  CHECK_FALSE(doh.hold(*dns::Name::parse("quad9.net"), *set));
  CHECK_FALSE(doh.hold(*dns::Name::parse("ads.example"), *set));
  CHECK_FALSE(DohNames().hold(*dns::Name::parse("dns.quad9.net"), *set));
}
