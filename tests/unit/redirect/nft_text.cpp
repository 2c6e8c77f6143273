#include "redirect/nft_text.h"

#include <doctest/doctest.h>

#include "home.h"

using namespace doline::redirect;
using doline::tests::home_options;

TEST_CASE("What is exempt becomes a rule a prefix, and one for all MAC addresses, and nothing becomes nothing") {
  const Options options = home_options(Mode::tproxy);
  CHECK(interfaces_of(options) == R"({ "home0", "iot0" })");
  CHECK(return_for_exempt(options) ==
        "    ether saddr { b8:27:eb:00:50:53 } return\n"
        "    ip saddr 192.168.50.5/32 return\n    ip6 saddr 2001:db8:50::5/128 return\n"
        "    ip daddr 10.8.0.0/16 return\n    ip6 daddr 2001:db8:99::/48 return\n");
  CHECK(return_for_exempt({}).empty());
}
