#include "warden/netlink.h"

#include <doctest/doctest.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <vector>

#include "own_network.h"

using namespace doline;
using namespace doline::warden;

TEST_CASE("Attributes and nests come out as they were put") {
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_ACK);
  message.header<rtmsg>().rtm_family = AF_INET;
  message.integer(1, std::uint32_t{0x01020304});
  message.nest(2, [&] {
    message.text(3, "lo");
    message.nest(4, [&] { message.attribute(5, std::vector<std::uint8_t>{9, 8, 7}); });
  });
  std::vector<int> types;
  each_attribute(*message.get(), sizeof(rtmsg), [&](const nlattr& attribute) {
    types.push_back(mnl_attr_get_type(&attribute));
    if (types.back() != 2) return;
    each_attribute(attribute, [&](const nlattr& inner) {
      types.push_back(mnl_attr_get_type(&inner));
      if (types.back() == 3) CHECK(octets_of(inner).size() == 3);  // with its zero
      if (types.back() != 4) return;
      each_attribute(inner, [&](const nlattr& innermost) {
        CHECK(mnl_attr_get_type(&innermost) == 5);
        CHECK(big_endian(innermost) == 0x090807);
      });
    });
  });
  CHECK(types == std::vector<int>{1, 2, 3, 4});
}

TEST_CASE("A dump is read to its end, and the kernel's no is a fault with its number") {
  Netlink netlink(NETLINK_ROUTE);
  NetlinkMessage dump(RTM_GETLINK, NLM_F_DUMP);
  dump.header<ifinfomsg>();
  int links = 0;
  CHECK(netlink.ask(dump, [&](const nlmsghdr&) { ++links; }));
  CHECK(links >= 1);

  NetlinkMessage missing(RTM_GETLINK, 0);
  missing.header<ifinfomsg>().ifi_index = 1'000'000;
  const auto asked = netlink.ask(missing);
  REQUIRE_FALSE(asked);
  CHECK(asked.error().error == ENODEV);

  // The socket serves on after a fault.
  NetlinkMessage loopback(RTM_GETLINK, 0);
  loopback.header<ifinfomsg>().ifi_index = static_cast<int>(if_nametoindex("lo"));
  links = 0;
  CHECK(netlink.ask(loopback, [&](const nlmsghdr&) { ++links; }));
  CHECK(links == 1);
}
