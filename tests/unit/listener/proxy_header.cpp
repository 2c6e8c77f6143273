#include "listener/proxy_header.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "proxy_octets.h"

using namespace doline;
using namespace doline::listener;
using doline::tests::proxy_octets;

namespace {

using Octets = std::vector<std::uint8_t>;

Endpoint endpoint(std::string_view text) {
  return *Endpoint::parse(text, 53);
}

Octets with(Octets octets, std::size_t at, std::uint8_t value) {
  octets[at] = value;
  return octets;
}

ProxyFault fault_of(const Octets& octets) {
  const auto header = parse_proxy_header(octets);
  REQUIRE_FALSE(header.has_value());
  return header.error();
}

}  // namespace

TEST_CASE("A header says whose a query is and whom it was meant for, in both families") {
  for (const auto& [client, destination] : {std::pair{"192.168.50.31:5555", "114.114.114.114:53"},
                                            std::pair{"[2001:db8:50::31]:5555", "[2400:3200::1]:5353"}}) {
    const auto header = parse_proxy_header(proxy_octets(endpoint(client), endpoint(destination)));
    REQUIRE(header.has_value());
    REQUIRE(header->ends.has_value());
    CHECK(header->ends->client == endpoint(client));
    CHECK(header->ends->destination == endpoint(destination));
    CHECK(header->octets == (header->ends->client.address.is_v4() ? 28u : 52u));
  }
}

TEST_CASE("What is attached to a header belongs to it and is passed over") {
  Octets octets = proxy_octets(endpoint("192.168.50.31:5555"), endpoint("8.8.8.8:53"));
  octets[15] = 12 + 5;
  for (const std::uint8_t octet : {0x04, 0x00, 0x02, 0x00, 0x00, 0xab}) octets.push_back(octet);
  const auto header = parse_proxy_header(octets);
  REQUIRE(header.has_value());
  CHECK(header->octets == octets.size() - 1);
}

TEST_CASE("A router that asks for itself names nobody") {
  const Octets octets = proxy_octets(endpoint("192.168.50.31:5555"), endpoint("8.8.8.8:53"));
  const auto local = parse_proxy_header(with(octets, 12, 0x20));
  REQUIRE(local.has_value());
  CHECK_FALSE(local->ends.has_value());
  CHECK(local->octets == octets.size());
  const auto unspecified = parse_proxy_header(with(octets, 13, 0x00));
  REQUIRE(unspecified.has_value());
  CHECK_FALSE(unspecified->ends.has_value());
}

TEST_CASE("Every beginning of a header is incomplete, and nothing else is") {
  const Octets octets = proxy_octets(endpoint("192.168.50.31:5555"), endpoint("8.8.8.8:53"));
  for (std::size_t size = 0; size < octets.size(); ++size)
    CHECK(fault_of(Octets(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(size))) ==
          ProxyFault::incomplete);
  for (std::size_t at = 0; at < proxy_signature.size(); ++at)
    CHECK(fault_of(with(octets, at, static_cast<std::uint8_t>(octets[at] ^ 1))) == ProxyFault::absent);
}

TEST_CASE("What this program does not know is malformed") {
  const Octets octets = proxy_octets(endpoint("192.168.50.31:5555"), endpoint("8.8.8.8:53"));
  CHECK(fault_of(with(octets, 12, 0x11)) == ProxyFault::malformed);  // version 1
  CHECK(fault_of(with(octets, 12, 0x22)) == ProxyFault::malformed);  // a command to come
  CHECK(fault_of(with(octets, 13, 0x31)) == ProxyFault::malformed);  // a Unix socket
  CHECK(fault_of(with(octets, 13, 0x13)) == ProxyFault::malformed);  // neither stream nor datagram
  CHECK(fault_of(with(octets, 14, 0x04)) == ProxyFault::malformed);  // too long
  CHECK(fault_of(with(octets, 15, 11)) == ProxyFault::malformed);    // too short for its addresses
  CHECK(fault_of(with(octets, 16, 224)) == ProxyFault::malformed);   // nobody's query
}

TEST_CASE("A query that was meant for the router itself was meant for whoever answers there") {
  const std::vector<IpPrefix> routers{*IpPrefix::parse("192.168.50.1")};
  const device::Destination ours{endpoint("192.168.50.53:53"), device::DestinationSource::local};
  IpAddress behind;
  device::Destination destination = ours;
  pass_on({endpoint("192.168.50.31:5555"), endpoint("192.168.50.1:53")}, routers, behind, destination);
  CHECK(behind == endpoint("192.168.50.31").address);
  CHECK(destination == ours);
  pass_on({endpoint("192.168.50.31:5555"), endpoint("8.8.8.8:5353")}, routers, behind, destination);
  CHECK(destination == device::Destination{endpoint("8.8.8.8:5353"), device::DestinationSource::proxy});
}
