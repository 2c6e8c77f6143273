// What a connection is called follows from what its device was told, and from nothing else: a book of answers with
// bounds and generations says what a plain list of all that was ever given says, and where it has had to forget, it
// says that it has.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <algorithm>
#include <vector>

#include "flows/answer_book.h"
#include "flows/judge.h"
#include "seeded.h"

using namespace doline;
using namespace doline::flows;

namespace {

constexpr MonotonicTime start{std::chrono::hours(1)};

struct Given {
  std::size_t holder, address;
  std::string name;
  MonotonicTime at, until;
};

Holder holder_of(std::size_t number) {
  device::MacAddress mac;
  mac.octets[5] = static_cast<std::uint8_t>(number + 1);
  return number % 3 == 2 ? Holder::of(IpAddress::v4(192, 168, 50, static_cast<std::uint8_t>(number))) : Holder::of(mac);
}

IpAddress address_of(std::size_t number) {
  return IpAddress::v4(20, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                       static_cast<std::uint8_t>(number));
}

/// The reference: the chain of times, each begun before the last one's end, that holds `at`.
std::optional<std::string> told(const std::vector<Given>& all, std::size_t holder, std::size_t address,
                                MonotonicTime at) {
  std::optional<MonotonicTime> since;
  MonotonicTime until{};
  std::string name;
  for (const Given& given : all) {
    if (given.holder != holder || given.address != address) continue;
    if (!since || until < given.at) since = given.at;
    until = std::max(until, given.until);
    name = given.name;
  }
  if (!since || at < *since || at > until) return std::nullopt;
  return name;
}

}  // namespace

TEST_CASE("a connection is explained exactly where its device was told, unless the book says that it has forgotten") {
  tests::Seeded random;
  INFO(random.replay());
  std::size_t explained = 0, accused = 0, forgotten = 0;
  for (int round = 0; round < 30; ++round) {
    AnswerBook book;
    std::vector<Given> all;
    MonotonicTime now = start;
    const std::size_t holders = random.between(1, 6), addresses = random.between(1, 400);
    const bool floods = random.once_in(5);
    if (floods)
      for (std::size_t number = 0; number < answers_of_device_remembered + 200; ++number) {
        const IpAddress one = address_of(number);
        book.give(holder_of(0), *dns::Name::parse("flood.example"), std::span(&one, 1), seconds(60), now);
        all.push_back({0, number, "flood.example", now, now + seconds(60) + answer_grace});
      }
    for (int step = 0; step < 600; ++step) {
      now += milliseconds(random.below(random.once_in(50) ? 4'000'000 : 3'000));
      if (random.once_in(40)) book.prune(now);
      const std::size_t holder = random.below(holders), address = random.below(addresses);
      if (random.once_in(2)) {
        const seconds ttl(random.below(900));
        const std::string name = "n" + std::to_string(random.below(50)) + ".example";
        const IpAddress one = address_of(address);
        book.give(holder_of(holder), *dns::Name::parse(name), std::span(&one, 1), ttl, now);
        all.push_back({holder, address, name, now, now + std::max(ttl, answer_ttl_least) + answer_grace});
        continue;
      }
      const auto found = book.find(holder_of(holder), address_of(address), now);
      const auto expected = told(all, holder, address, now);
      const bool has_forgotten = book.has_forgotten(holder_of(holder), now);
      if (found || !has_forgotten) CHECK((found ? std::optional(found->to_string()) : std::nullopt) == expected);
      const Tuple tuple{IPPROTO_TCP, {IpAddress::v4(192, 168, 50, 31), 1}, {address_of(address), 443}};
      const Explanation explanation =
          judge(tuple, Kind::connection, {.was_given = found.has_value(), .may_have_missed = has_forgotten});
      // Nobody is accused who was told; and who was not told is, while nothing was forgotten.
      if (explanation == Explanation::without_lookup) CHECK_FALSE(expected);
      if (!expected && !has_forgotten) CHECK(explanation == Explanation::without_lookup);
      explained += explanation == Explanation::looked_up ? 1 : 0;
      accused += explanation == Explanation::without_lookup ? 1 : 0;
      forgotten += explanation == Explanation::not_known ? 1 : 0;
    }
  }
  CHECK(explained > 500);
  CHECK(accused > 500);
  MESSAGE(explained << " explained, " << accused << " without lookup, " << forgotten << " not known");
}
