// TSIG (RFC 8945): a secret shared with a primary, by which each can tell that a message is the other's, whole, and of
// this conversation.
//
// The digests are libcrypto's, loaded when the first key is used: a Doline without keys does without it. No I/O, no
// clock; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/transfer_message.h"

namespace doline::transfer {

inline constexpr std::size_t secret_octets_max = 512;
/// Messages in a row that may go unsigned (RFC 8945 §5.3.1); the last one of a transfer never may.
inline constexpr int unsigned_messages_max = 99;

enum class Algorithm : std::uint8_t { hmac_sha256, hmac_sha384, hmac_sha512 };
/// `hmac-sha256`, as configurations write it.
[[nodiscard]] std::string_view to_string(Algorithm algorithm);

struct TsigKey {
  dns::Name name;  ///< small letters
  Algorithm algorithm = Algorithm::hmac_sha256;
  std::vector<std::uint8_t> secret;
};

/// Base64 (RFC 4648 §4) with blanks and line ends anywhere; nothing where it is none, or no secret of 1 to
/// secret_octets_max octets.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_secret(std::string_view base64);

/// One query and the messages that answer it; ours and a primary's answers, or a primary's and our answer.
class TsigConversation {
 public:
  explicit TsigConversation(TsigKey key) : key_(std::move(key)) {}

  /// Appends the record to our query, or to our answer to what check() has taken, which has none. The fault is a
  /// sentence's end: no libcrypto.
  [[nodiscard]] Result<void, std::string> sign(std::vector<std::uint8_t>& message, WallTime now);
  /// Of the primary's messages each, in order. True: this one is signed, and with it all before; false: unsigned so
  /// far. The fault is a sentence's end: then nothing of this conversation may be believed.
  [[nodiscard]] Result<bool, std::string> check(dns::Octets message, const dns::TransferMessage& read, WallTime now);

 private:
  void append_last_mac(std::vector<std::uint8_t>& to) const;

  TsigKey key_;
  std::vector<std::uint8_t> last_mac_;
  std::vector<std::uint8_t> unsigned_;  // messages since the last that was signed
  int unsigned_messages_ = 0;
  bool is_first_ = true;
};

}  // namespace doline::transfer
