#include "redirect/rule_text.h"

#include <doctest/doctest.h>

#include "home.h"

using namespace doline;
using namespace doline::redirect;

TEST_CASE("Values become sets and words as nft reads them") {
  const Options options = tests::home_options(Mode::tproxy);
  CHECK(interfaces_of(options) == "{ \"home0\", \"iot0\" }");
  CHECK(port_set_of(options) == "{ 53, 5300, 5353, 8053 }");
  CHECK(hexadecimal(0x53) == "0x0053");
}

TEST_CASE("Each exempt prefix has a line of its family, and all MACs one") {
  CHECK(return_for_exempt(tests::home_options(Mode::tproxy)) ==
        "    ether saddr { b8:27:eb:00:50:53 } return\n"
        "    ip saddr 192.168.50.5/32 return\n"
        "    ip6 saddr 2001:db8:50::5/128 return\n"
        "    ip daddr 10.8.0.0/16 return\n"
        "    ip6 daddr 2001:db8:99::/48 return\n");
  CHECK(return_for_exempt(Options{}).empty());
}

TEST_CASE("A set of DoH servers is there for each family that has any") {
  CHECK(doh_sets({}).empty());
  CHECK(doh_sets({*IpPrefix::parse("1.1.1.1"), *IpPrefix::parse("45.90.28.0/24")}) ==
        "  set doh_servers4 {\n    type ipv4_addr\n    flags interval\n"
        "    elements = { 1.1.1.1/32, 45.90.28.0/24 }\n  }\n");
}
