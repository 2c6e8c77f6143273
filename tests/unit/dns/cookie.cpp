#include "dns/cookie.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

namespace doline::dns {
namespace {

std::vector<std::uint8_t> octets(std::string_view hex) {
  std::vector<std::uint8_t> result;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const auto digit = [](char letter) { return letter <= '9' ? letter - '0' : letter - 'a' + 10; };
    result.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return result;
}

SipKey key(std::string_view hex) {
  SipKey made{};
  const auto read = octets(hex);
  std::copy(read.begin(), read.end(), made.begin());
  return made;
}

WallTime at(std::int64_t unix_seconds) {
  return WallTime(seconds(unix_seconds));
}

bool makes(const CookieSecrets& secrets, std::string_view from, const IpAddress& client, WallTime now,
           std::string_view expected) {
  const auto made = secrets.make(octets(from), client, now);
  return std::vector(made.begin(), made.end()) == octets(expected);
}

TEST_CASE("SipHash-2-4 gives the value of its paper") {
  std::vector<std::uint8_t> message;
  for (std::uint8_t i = 0; i < 15; ++i) message.push_back(i);
  CHECK(siphash(key("000102030405060708090a0b0c0d0e0f"), message) == 0xa129ca6149be45e5ULL);
}

TEST_CASE("SipHash-1-3 gives the values of other programs") {
  CHECK(siphash_13(key("000102030405060708090a0b0c0d0e0f"), {}) == 0xabac0158050fc4dcULL);
}

TEST_CASE("RFC 9018 A.1: learning a new server cookie") {
  const CookieSecrets secrets(key("e5e973e5a6b2a43f48e7dc849e37bfcf"), SipKey{});
  const auto client = IpAddress::v4(198, 51, 100, 100);
  CHECK(secrets.judge(octets("2464c4abcf10c957"), client, at(1559731985)) == CookieState::client_only);
  CHECK(makes(secrets, "2464c4abcf10c957", client, at(1559731985), "2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
}

TEST_CASE("RFC 9018 A.2: the same client learning a renewed server cookie") {
  const CookieSecrets secrets(key("e5e973e5a6b2a43f48e7dc849e37bfcf"), SipKey{});
  const auto client = IpAddress::v4(198, 51, 100, 100);
  const auto sent = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
  CHECK(secrets.judge(octets(sent), client, at(1559734385)) == CookieState::good);
  CHECK(makes(secrets, sent, client, at(1559734385), "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"));
}

TEST_CASE("RFC 9018 A.3: another client, whose cookie has its reserved octets set") {
  const CookieSecrets secrets(key("e5e973e5a6b2a43f48e7dc849e37bfcf"), SipKey{});
  const auto client = IpAddress::v4(203, 0, 113, 203);
  const auto sent = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
  CHECK(secrets.judge(octets(sent), client, at(1559728000)) == CookieState::good);
  CHECK(makes(secrets, sent, client, at(1559734700), "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"));
}

TEST_CASE("RFC 9018 A.4: IPv6 and a secret that was rolled over") {
  const CookieSecrets secrets(key("445536bcd2513298075a5d379663c962"), key("dd3bdf9344b678b185a6f5cb60fca715"));
  const auto client = IpAddress::parse("2001:db8:220:1:59de:d0f4:8769:82b8").value();
  const auto sent = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
  CHECK(secrets.judge(octets(sent), client, at(1559741961)) == CookieState::good);
  CHECK(makes(secrets, sent, client, at(1559741961), "22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
}

TEST_CASE("a cookie is good for an hour back and five minutes ahead, at its address, and unchanged") {
  const CookieSecrets secrets(key("000102030405060708090a0b0c0d0e0f"), key("101112131415161718191a1b1c1d1e1f"));
  const auto client = IpAddress::v4(192, 0, 2, 7);
  const auto made = secrets.make(octets("0011223344556677"), client, at(1'000'000));
  CHECK(secrets.judge(made, client, at(1'000'000)) == CookieState::good);
  CHECK(secrets.judge(made, client, at(1'003'600)) == CookieState::good);
  CHECK(secrets.judge(made, client, at(1'003'601)) == CookieState::bad);
  CHECK(secrets.judge(made, client, at(999'700)) == CookieState::good);
  CHECK(secrets.judge(made, client, at(999'699)) == CookieState::bad);
  CHECK(secrets.judge(made, IpAddress::v4(192, 0, 2, 8), at(1'000'000)) == CookieState::bad);
  CHECK(secrets.judge({}, client, at(1'000'000)) == CookieState::absent);
  for (std::size_t i = 0; i < made.size(); ++i) {
    auto changed = made;
    changed[i] ^= 1;
    CHECK(secrets.judge(changed, client, at(1'000'000)) == CookieState::bad);
  }
}

}  // namespace
}  // namespace doline::dns
