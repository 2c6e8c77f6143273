#include "redirect/suggest.h"

#include <doctest/doctest.h>

using namespace doline;
using namespace doline::redirect;

namespace {

InterfaceFacts interface(const std::string& name, const std::string& network, bool leads_out = false) {
  InterfaceFacts facts;
  facts.name = name;
  facts.networks = {*IpPrefix::parse(network)};
  facts.leads_out = leads_out;
  return facts;
}

}  // namespace

TEST_CASE("a router's inner interfaces are suggested, not the one that leads out, nor those of containers") {
  HostFacts facts;
  facts.forwards_v4 = true;
  facts.interfaces = {interface("lo", "127.0.0.1/8"),        interface("wan", "192.168.178.2/24", true),
                      interface("br-lan", "192.168.1.1/24"), interface("br-iot", "10.20.0.1/24"),
                      interface("docker0", "172.17.0.1/16"), interface("ppp0", "203.0.113.9/32")};
  const auto options = suggest(facts);
  REQUIRE(options.has_value());
  CHECK(options->mode == Mode::tproxy);
  CHECK(options->interfaces == std::vector<std::string>{"br-lan", "br-iot"});
  CHECK(find_problems(*options).empty());
}

TEST_CASE("a machine that routes for nobody, or has no inner network, gets no suggestion") {
  HostFacts facts;
  facts.interfaces = {interface("br-lan", "192.168.1.1/24")};
  CHECK_FALSE(suggest(facts).has_value());
  facts.forwards_v4 = true;
  facts.interfaces = {interface("eth0", "192.168.1.1/24", true)};
  CHECK_FALSE(suggest(facts).has_value());
}
