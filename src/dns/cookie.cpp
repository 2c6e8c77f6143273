#include "dns/cookie.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace doline::dns {

namespace {

constexpr std::size_t client_cookie_octets = 8;
constexpr std::uint8_t cookie_version = 1;
constexpr std::int32_t age_seconds_max = 3600;
constexpr std::int32_t ahead_seconds_max = 300;

/// Up to eight.
std::uint64_t load_little(const std::uint8_t* octets, std::size_t count) {
  std::uint64_t word = 0;
  std::memcpy(&word, octets, count);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

template <int word_rounds, int last_rounds>
std::uint64_t sip(const SipKey& key, Octets octets) {
  const std::uint64_t k0 = load_little(key.data(), 8), k1 = load_little(key.data() + 8, 8);
  std::uint64_t v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
  std::uint64_t v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
  const auto round = [&] {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  };
  const auto take = [&](std::uint64_t word) {
    v3 ^= word;
    for (int i = 0; i < word_rounds; ++i) round();
    v0 ^= word;
  };
  std::size_t at = 0;
  for (; at + 8 <= octets.size(); at += 8) take(load_little(octets.data() + at, 8));
  const std::size_t left = octets.size() - at;
  const std::uint64_t last = left == 0 ? 0
                             : at > 0  ? load_little(octets.data() + octets.size() - 8, 8) >> (8 * (8 - left))
                                       : load_little(octets.data(), left);
  take(last | std::uint64_t{octets.size()} << 56);
  v2 ^= 0xff;
  for (int i = 0; i < last_rounds; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/// RFC 9018 §4.4: over client cookie, version, reserved, timestamp (the first 16 octets of the option) and client
/// address.
std::uint64_t hash_of(const SipKey& secret, const std::uint8_t* sixteen, const IpAddress& client) {
  std::array<std::uint8_t, 32> hashed;
  const auto address = client.octets();
  std::memcpy(hashed.data(), sixteen, 16);
  std::memcpy(hashed.data() + 16, address.data(), address.size());
  return siphash(secret, {hashed.data(), 16 + address.size()});
}

std::uint32_t unix_seconds(WallTime now) {
  return static_cast<std::uint32_t>(std::chrono::floor<seconds>(now).time_since_epoch().count());
}

}  // namespace

std::uint64_t siphash(const SipKey& key, Octets octets) {
  return sip<2, 4>(key, octets);
}
std::uint64_t siphash_13(const SipKey& key, Octets octets) {
  return sip<1, 3>(key, octets);
}

CookieState CookieSecrets::judge(Octets cookie, const IpAddress& client, WallTime now) const {
  if (cookie.empty()) return CookieState::absent;
  if (cookie.size() == client_cookie_octets) return CookieState::client_only;
  if (cookie.size() != full_cookie_octets || cookie[8] != cookie_version) return CookieState::bad;
  // Serial number arithmetic (RFC 1982), so that 2106 is no special year.
  const std::uint32_t made =
      std::uint32_t{cookie[12]} << 24 | std::uint32_t{cookie[13]} << 16 | std::uint32_t{cookie[14]} << 8 | cookie[15];
  const auto age = static_cast<std::int32_t>(unix_seconds(now) - made);
  if (age > age_seconds_max || age < -ahead_seconds_max) return CookieState::bad;
  const std::uint64_t claimed = load_little(cookie.data() + 16, 8);
  // The reserved octets are hashed as they came: another version of us may have set them (RFC 9018, A.3).
  const bool is_ours =
      claimed == hash_of(current_, cookie.data(), client) || claimed == hash_of(previous_, cookie.data(), client);
  return is_ours ? CookieState::good : CookieState::bad;
}

std::array<std::uint8_t, full_cookie_octets> CookieSecrets::make(Octets cookie, const IpAddress& client,
                                                                 WallTime now) const {
  check(cookie.size() >= client_cookie_octets);
  std::array<std::uint8_t, full_cookie_octets> made{};
  std::memcpy(made.data(), cookie.data(), client_cookie_octets);
  made[8] = cookie_version;
  const std::uint32_t time = unix_seconds(now);
  for (int i = 0; i < 4; ++i) made[12 + i] = static_cast<std::uint8_t>(time >> (24 - 8 * i));
  const std::uint64_t hash = hash_of(current_, made.data(), client);
  for (int i = 0; i < 8; ++i) made[16 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return made;
}

}  // namespace doline::dns
