// ZoneSource: which zone a list is, who has it, and the key by which they know each other. A value; the secret stays in
// its file until it is needed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "dns/name.h"
#include "transfer/tsig.h"

namespace doline::transfer {

inline constexpr std::size_t primaries_max = 8;

struct KeySource {
  dns::Name name;  ///< small letters
  Algorithm algorithm = Algorithm::hmac_sha256;
  std::filesystem::path secret_file;  ///< base64
  bool operator==(const KeySource&) const = default;
};

struct ZoneSource {
  dns::Name zone;                   ///< small letters
  std::vector<Endpoint> primaries;  ///< asked in this order
  std::optional<KeySource> key;     ///< of all of them
  bool operator==(const ZoneSource&) const = default;

  /// `rpz.example from 192.0.2.1:53`, for messages; equal texts are copies of one zone's history.
  [[nodiscard]] std::string to_string() const {
    std::string text = zone.to_string() + " from";
    for (const Endpoint& primary : primaries) text += ' ' + primary.to_string();
    return text;
  }
};

}  // namespace doline::transfer
