// DNS cookies, server side (RFC 7873, RFC 9018): proof that a UDP client receives at the address it sends from.
//
// Stateless: the 16-octet server cookie is version 1, reserved, a timestamp and SipHash-2-4 over client cookie,
// version, timestamp and client address (RFC 9018 §4). Secrets roll: a cookie of the previous secret is still good.
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/ip_address.h"
#include "base/time.h"
#include "dns/message.h"

namespace doline::dns {

using SipKey = std::array<std::uint8_t, 16>;
/// SipHash-2-4, 64 bits.
[[nodiscard]] std::uint64_t siphash(const SipKey& key, Octets octets);
/// With fewer rounds: for tables in memory, of whose hashes nobody outside sees any.
[[nodiscard]] std::uint64_t siphash_13(const SipKey& key, Octets octets);

enum class CookieState : std::uint8_t { absent, client_only, good, bad };

inline constexpr std::size_t full_cookie_octets = 24;

class CookieSecrets {
 public:
  CookieSecrets(SipKey current, SipKey previous) : current_(current), previous_(previous) {}
  /// `cookie`: the option's octets. Good for an hour back and five minutes ahead (RFC 9018 §4.3).
  [[nodiscard]] CookieState judge(Octets cookie, const IpAddress& client, WallTime now) const;
  /// Client cookie (the first 8 octets of `cookie`) and a fresh server cookie.
  [[nodiscard]] std::array<std::uint8_t, full_cookie_octets> make(Octets cookie, const IpAddress& client,
                                                                  WallTime now) const;

 private:
  SipKey current_, previous_;
};

}  // namespace doline::dns
