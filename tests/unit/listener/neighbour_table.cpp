#include "listener/neighbour_table.h"

#include <doctest/doctest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "small_network.h"

using namespace doline;
using namespace doline::listener;

namespace {

using Octets = std::vector<std::uint8_t>;

const device::MacAddress camera{{0x94, 0x51, 0x3d, 0x13, 0x9a, 0x35}};

void append(Octets& octets, const void* value, std::size_t size) {
  const auto* begin = static_cast<const std::uint8_t*>(value);
  octets.insert(octets.end(), begin, begin + size);
  while (octets.size() % 4 != 0) octets.push_back(0);
}

void append_attribute(Octets& octets, std::uint16_t type, std::span<const std::uint8_t> value) {
  const rtattr header{static_cast<std::uint16_t>(sizeof(rtattr) + value.size()), type};
  append(octets, &header, sizeof header);
  append(octets, value.data(), value.size());
}

/// One message as the kernel sends it.
Octets message(const IpAddress& address, std::span<const std::uint8_t> mac, std::uint16_t state = NUD_REACHABLE,
               std::uint16_t type = RTM_NEWNEIGH) {
  Octets octets(sizeof(nlmsghdr));
  ndmsg neighbour{};
  neighbour.ndm_family = address.is_v4() ? AF_INET : AF_INET6;
  neighbour.ndm_state = state;
  neighbour.ndm_ifindex = 7;
  append(octets, &neighbour, sizeof neighbour);
  append_attribute(octets, NDA_DST, address.octets());
  append_attribute(octets, NDA_LLADDR, mac);
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(octets.size());
  header.nlmsg_type = type;
  std::memcpy(octets.data(), &header, sizeof header);
  return octets;
}

Octets operator+(Octets left, const Octets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

}  // namespace

TEST_CASE("neighbours are read of both families, several in one datagram") {
  const IpAddress four = IpAddress::v4(192, 0, 2, 5), six = *IpAddress::parse("2001:db8::5");
  const auto neighbours = parse_neighbours(message(four, camera.octets) + message(six, camera.octets, NUD_STALE));
  REQUIRE(neighbours.size() == 2);
  CHECK(neighbours[0].sighting.address == four);
  CHECK(neighbours[0].sighting.mac == camera);
  CHECK(neighbours[0].interface == 7);
  CHECK(neighbours[1].sighting.address == six);
}

TEST_CASE("rows that name no device are passed over") {
  const IpAddress address = IpAddress::v4(192, 0, 2, 5);
  const auto count = [](const Octets& datagram) { return parse_neighbours(datagram).size(); };
  CHECK(count(message(address, camera.octets)) == 1);
  CHECK(count(message(address, camera.octets, NUD_FAILED)) == 0);
  CHECK(count(message(address, camera.octets, NUD_INCOMPLETE)) == 0);
  CHECK(count(message(address, camera.octets, NUD_NOARP)) == 0);
  CHECK(count(message(address, camera.octets, NUD_REACHABLE, RTM_DELNEIGH)) == 0);
  CHECK(count(message(address, device::MacAddress{}.octets)) == 0);
  CHECK(count(message(address, Octets{0x01, 0, 0x5e, 0, 0, 1})) == 0);
  CHECK(count(message(address, Octets{1, 2, 3, 4})) == 0);  // a tunnel's
  CHECK(count(message(*IpAddress::parse("ff02::1"), camera.octets)) == 0);
}

TEST_CASE("a datagram that is cut off or garbled yields what stands before, and no more") {
  const Octets whole = message(IpAddress::v4(192, 0, 2, 5), camera.octets);
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(parse_neighbours(std::span(whole).first(size)).empty());
  const Octets two = whole + whole;
  for (std::size_t size = whole.size(); size < two.size(); ++size)
    CHECK(parse_neighbours(std::span(two).first(size)).size() == 1);
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    Octets garbled = two;
    for (int flips = 0; flips < 4; ++flips) garbled[random() % garbled.size()] = static_cast<std::uint8_t>(random());
    CHECK(parse_neighbours(garbled).size() <= 2);
  }
}

TEST_CASE("a client's MAC is found in the kernel's table, whenever it came there") {
  CHECK(tests::in_small_network([]() -> std::string {
          const IpAddress four = IpAddress::v4(192, 0, 2, 5), six = *IpAddress::parse("2001:db8::5");
          NeighbourTable table;
          if (table.find(four) || table.find(six)) return "a MAC was found that nobody has";
          if (!tests::run("ip neigh add 192.0.2.5 lladdr 94:51:3d:13:9a:35 dev lan0 nud stale")) return "no neighbour";
          if (!tests::run("ip neigh add 2001:db8::5 lladdr 94:51:3d:13:9a:35 dev lan0 nud reachable"))
            return "no IPv6 neighbour";
          if (table.find(four) != camera || table.find(six) != camera) return "the MAC was not found";
          if (!tests::run("ip neigh replace 192.0.2.5 lladdr 02:00:00:00:00:05 dev lan0 nud stale")) return "no change";
          if (table.find(four)->to_string() != "02:00:00:00:00:05") return "the change was not seen";
          // More rows than one datagram holds.
          std::string many;
          for (int i = 0; i < 900; ++i)
            many += "neigh add 192.0.2." + std::to_string(10 + i % 240) +
                    " lladdr 02:00:00:00:00:" + std::to_string(10 + i % 80) + " dev lan" + std::to_string(i % 2) + "\n";
          if (!tests::run("printf '" + many + "' | ip -force -batch - >/dev/null 2>&1; true"))
            return "no more neighbours";
          if (!table.find(*IpAddress::parse("192.0.2.249")) || table.find(six) != camera) return "lost among many";
          return "";
        }) == "");
}

TEST_CASE("the kernel is told to meet a neighbour that it does not know, and nobody beyond a router") {
  CHECK(tests::in_small_network([]() -> std::string {
          NeighbourTable table;
          if (!tests::run("ip route add default via 192.0.2.254 && ip -6 route add default via 2001:db8::fe"))
            return "no way out";
          for (const char* address : {"192.0.2.7", "2001:db8::7"})
            if (!table.meet(*IpAddress::parse(address))) return std::string(address) + " is not met";
          for (const char* address : {"203.0.113.7", "2001:db8:9::7", "127.0.0.1", "::1", "192.0.2.1"})
            if (table.meet(*IpAddress::parse(address))) return std::string(address) + " is no neighbour";
          if (!tests::run("ip neigh replace 192.0.2.7 lladdr 94:51:3d:13:9a:35 dev lan0 nud reachable"))
            return "no neighbour";
          return table.meet(IpAddress::v4(192, 0, 2, 7)) && table.find(IpAddress::v4(192, 0, 2, 7)) == camera
                     ? ""
                     : "a known one is not met";
        }) == "");
}
