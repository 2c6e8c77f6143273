#include "flows/judge.h"

#include <doctest/doctest.h>

#include <set>

#include "packets.h"

using namespace doline;
using namespace doline::flows;
using namespace doline::flows::samples;

namespace {

Tuple to(const char* destination, std::uint16_t port, std::uint8_t protocol = IPPROTO_UDP) {
  return {protocol, {address("192.168.50.31"), 56'159}, {address(destination), port}};
}

}  // namespace

TEST_CASE("the reported connections are without lookup") {
  for (const char* destination : {"120.24.59.150", "61.188.37.216", "114.215.137.159"})
    CHECK(judge(to(destination, 10'240), Kind::connection, {}) == Explanation::without_lookup);
}

TEST_CASE("local destinations need no name, whatever else holds") {
  for (const char* destination : {"192.168.60.1", "10.1.2.3", "169.254.7.7", "224.0.0.251", "255.255.255.255",
                                  "fe80::1", "ff02::fb", "fd00::5", "127.0.0.1"})
    CHECK(judge(to(destination, 5'353), Kind::connection, {.was_given = true}) == Explanation::local);
}

TEST_CASE("clocks are told apart only over UDP to their port") {
  CHECK(judge(to("203.0.113.2", 123), Kind::connection, {}) == Explanation::time_sync);
  CHECK(judge(to("203.0.113.2", 123, IPPROTO_TCP), Kind::connection, {}) == Explanation::without_lookup);
  CHECK(judge(to("203.0.113.2", 124), Kind::connection, {}) == Explanation::without_lookup);
}

TEST_CASE("nobody is accused where an answer may have been missed, and an answer explains all the same") {
  const Tuple somewhere = to("203.0.113.2", 443);
  CHECK(judge(somewhere, Kind::connection, {.asked_elsewhere = true}) == Explanation::asked_elsewhere);
  CHECK(judge(somewhere, Kind::connection, {.is_warming_up = true}) == Explanation::warming_up);
  CHECK(judge(somewhere, Kind::connection, {.may_have_missed = true}) == Explanation::not_known);
  CHECK(judge(somewhere, Kind::connection,
              {.was_given = true, .asked_elsewhere = true, .is_warming_up = true, .may_have_missed = true}) ==
        Explanation::looked_up);
}

TEST_CASE("a resolver by its address is one, a resolver by its name was looked up") {
  CHECK(judge(to("8.8.8.8", 853), kind_of(LoggedBy::encrypted_dns), {}) == Explanation::resolver);
  CHECK(judge(to("8.8.8.8", 53), kind_of(LoggedBy::plain_dns), {}) == Explanation::resolver);
  CHECK(judge(to("8.8.8.8", 853), kind_of(LoggedBy::encrypted_dns), {.was_given = true}) == Explanation::looked_up);
}

TEST_CASE("every kind and explanation has a word of its own and comes back from its number") {
  std::set<std::string_view> words;
  for (std::int64_t number = -1; number < 20; ++number) {
    if (const auto kind = kind_of_number(number)) CHECK(words.insert(to_string(*kind)).second);
    if (const auto explanation = explanation_of_number(number)) CHECK(words.insert(to_string(*explanation)).second);
  }
  CHECK(words.size() == 11);
}
