#include "listener/steering.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "loopback.h"

namespace doline::listener {
namespace {

using test::Octets;

std::string random_name(std::mt19937& random) {
  std::string name;
  const int labels = 1 + static_cast<int>(random() % 6);
  for (int label = 0; label < labels; ++label) {
    if (label > 0) name += '.';
    const int letters = 1 + static_cast<int>(random() % 20);
    for (int letter = 0; letter < letters; ++letter)
      name += "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_"[random() % 44];
  }
  return name;
}

/// Which worker's socket a datagram has come to; takes it from there.
int receiver_of(const std::vector<std::vector<SocketPair>>& of_worker) {
  for (int attempt = 0; attempt < 1'000; ++attempt) {
    for (std::size_t worker = 0; worker < of_worker.size(); ++worker) {
      std::uint8_t octet;
      if (recv(of_worker[worker][0].udp.get(), &octet, 1, MSG_TRUNC) >= 0) return static_cast<int>(worker);
    }
    usleep(100);
  }
  return -1;
}

void check_agreement_with_kernel(const IpAddress& address, int workers, unsigned seed) {
  INFO("seed " << seed << ", " << workers << " workers, " << address.to_string());
  Opened opened = open_sockets({{address, 0}}, SocketKind::ordinary, workers);
  if (!opened.faults.empty()) {
    MESSAGE("skipped: " << opened.faults[0].what);
    return;
  }
  std::mt19937 random(seed);
  test::UdpClient client(address, opened.of_worker[0][0].address);
  int disagreements = 0;
  for (int round = 0; round < 2'000; ++round) {
    Octets message = test::query_of(static_cast<std::uint16_t>(random()), random_name(random));
    if (round % 7 == 0) message.resize(random() % (message.size() + 1));  // shorter than its question
    if (round % 11 == 0)
      for (std::uint8_t& octet : message) octet = static_cast<std::uint8_t>(random());
    client.send(message);
    if (receiver_of(opened.of_worker) != owner_of(message, workers)) ++disagreements;
  }
  CHECK(disagreements == 0);
}

TEST_CASE("the kernel steers every datagram, whole or not, to the worker that owner_of names") {
  const unsigned seed = std::random_device{}();
  for (const int workers : {2, 3, 8}) {
    check_agreement_with_kernel(test::loopback, workers, seed);
    check_agreement_with_kernel(*IpAddress::parse("::1"), workers, seed);
  }
}

TEST_CASE("case, ID, flags and what follows the question do not change the owner") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 5'000; ++round) {
    const Octets message = test::query_of(0, random_name(random));
    Octets other = message;
    for (std::size_t at = 12; at < other.size() - 5; ++at)
      if (std::isalpha(other[at]) != 0 && random() % 2 == 0) other[at] ^= 0x20;
    for (std::size_t at = 0; at < 12; ++at) other[at] = static_cast<std::uint8_t>(random());
    for (std::size_t more = random() % 40; more > 0; --more) other.push_back(static_cast<std::uint8_t>(random()));
    REQUIRE(owner_of(other, 8) == owner_of(message, 8));
  }
}

TEST_CASE("every worker gets its share of names, those that differ in one letter included") {
  std::map<int, int> owned;
  for (int number = 0; number < 4'000; ++number)
    ++owned[owner_of(test::query_of(0, "host" + std::to_string(number) + ".example"), 4)];
  for (char letter = 'a'; letter <= 'z'; ++letter)
    for (char other = 'a'; other <= 'z'; ++other)
      ++owned[owner_of(test::query_of(0, std::string{letter, other} + "cdef.example"), 4)];
  for (int worker = 0; worker < 4; ++worker) CHECK(owned[worker] > (4'000 + 26 * 26) / 4 * 3 / 4);
}

TEST_CASE("a message without a question belongs to the first worker") {
  CHECK(owner_of({}, 8) == 0);
  CHECK(owner_of(Octets(12), 8) == 0);
  CHECK(owner_of(test::query_of(7, ""), 8) == 0);
}

TEST_CASE("a sole worker owns everything") {
  CHECK(owner_of(test::query_of(7, "www.example.com"), 1) == 0);
}

}  // namespace
}  // namespace doline::listener
