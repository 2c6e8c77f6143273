#include "transfer/tsig.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <type_traits>
#include <utility>

#include "dns/read_octets.h"
#include "dns/write_octets.h"

namespace doline::transfer {

namespace {

constexpr std::uint16_t fudge_seconds = 300;  // RFC 8945 §10
constexpr std::uint16_t bad_signature = 16, bad_key = 17, bad_time = 18;

/// The functions of libcrypto's that we call.
struct CryptoLibrary {
  decltype(&::HMAC) hmac;
  decltype(&::EVP_sha256) sha256;
  decltype(&::EVP_sha384) sha384;
  decltype(&::EVP_sha512) sha512;

  static const Result<CryptoLibrary, std::string>& load() {
    static const Result<CryptoLibrary, std::string> loaded = open();
    return loaded;
  }

 private:
  static Result<CryptoLibrary, std::string> open() {
    void* const library = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
      return fail("a TSIG key needs libcrypto, in Debian the package libssl3: " + std::string(::dlerror()));
    CryptoLibrary crypto{};
    bool is_whole = true;
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
      is_whole = is_whole && function != nullptr;
    };
    find(crypto.hmac, "HMAC");
    find(crypto.sha256, "EVP_sha256");
    find(crypto.sha384, "EVP_sha384");
    find(crypto.sha512, "EVP_sha512");
    if (!is_whole) return fail(std::string("libcrypto.so.3 of this machine lacks a digest that TSIG keys need"));
    return crypto;
  }
};

Result<std::vector<std::uint8_t>, std::string> digest(const TsigKey& key, dns::Octets octets) {
  const auto& crypto = CryptoLibrary::load();
  if (!crypto) return fail(crypto.error());
  const EVP_MD* hash = key.algorithm == Algorithm::hmac_sha512   ? crypto->sha512()
                       : key.algorithm == Algorithm::hmac_sha384 ? crypto->sha384()
                                                                 : crypto->sha256();
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  if (crypto->hmac(hash, key.secret.data(), static_cast<int>(key.secret.size()), octets.data(), octets.size(),
                   mac.data(), &size) == nullptr)
    return fail(std::string("libcrypto makes no such digest"));
  return std::vector<std::uint8_t>(mac.begin(), mac.begin() + size);
}

void append(std::vector<std::uint8_t>& to, dns::Octets octets) {
  to.insert(to.end(), octets.begin(), octets.end());
}
void append_16(std::vector<std::uint8_t>& to, std::uint16_t value) {
  to.push_back(static_cast<std::uint8_t>(value >> 8));
  to.push_back(static_cast<std::uint8_t>(value));
}
void append_48(std::vector<std::uint8_t>& to, std::uint64_t value) {
  for (int shift = 40; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
}

dns::Name algorithm_name(Algorithm algorithm) {
  return *dns::Name::parse(to_string(algorithm));
}

/// RFC 8945 §4.3.3.
void append_variables(std::vector<std::uint8_t>& to, const TsigKey& key, std::uint64_t time, std::uint16_t fudge,
                      std::uint16_t error, dns::Octets other) {
  append(to, key.name.wire());
  append_16(to, static_cast<std::uint16_t>(dns::RecordClass::any));
  append_16(to, 0);  // the TTL
  append_16(to, 0);
  append(to, algorithm_name(key.algorithm).wire());
  append_48(to, time);
  append_16(to, fudge);
  append_16(to, error);
  append_16(to, static_cast<std::uint16_t>(other.size()));
  append(to, other);
}

bool is_equal(dns::Octets left, dns::Octets right) {  // in a time that tells nothing of where they differ
  if (left.size() != right.size()) return false;
  std::uint8_t difference = 0;
  for (std::size_t at = 0; at < left.size(); ++at) difference |= static_cast<std::uint8_t>(left[at] ^ right[at]);
  return difference == 0;
}

std::uint64_t seconds_of(WallTime time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<seconds>(time.time_since_epoch()).count());
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::hmac_sha256:
      return "hmac-sha256";
    case Algorithm::hmac_sha384:
      return "hmac-sha384";
    case Algorithm::hmac_sha512:
      return "hmac-sha512";
  }
  return "?";
}

std::optional<std::vector<std::uint8_t>> parse_secret(std::string_view base64) {
  std::vector<std::uint8_t> secret;
  std::uint32_t bits = 0;
  int count = 0, letters = 0, padding = 0;
  for (const char letter : base64) {
    if (letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n') continue;
    if (letter == '=') {
      ++padding;
      continue;
    }
    static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t value = alphabet.find(letter);
    if (value == alphabet.npos || padding > 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    ++letters;
    if (count < 8) continue;
    count -= 8;
    secret.push_back(static_cast<std::uint8_t>(bits >> count));
    if (secret.size() > secret_octets_max) return std::nullopt;
  }
  const bool is_whole = (letters + padding) % 4 == 0 && padding <= 2;
  return is_whole && !secret.empty() ? std::optional(std::move(secret)) : std::nullopt;
}

void TsigConversation::append_last_mac(std::vector<std::uint8_t>& to) const {
  if (last_mac_.empty()) return;
  append_16(to, static_cast<std::uint16_t>(last_mac_.size()));
  append(to, last_mac_);
}

Result<void, std::string> TsigConversation::sign(std::vector<std::uint8_t>& message, WallTime now) {
  const std::uint64_t time = seconds_of(now);
  std::vector<std::uint8_t> signed_octets;
  append_last_mac(signed_octets);
  append(signed_octets, message);
  append_variables(signed_octets, key_, time, fudge_seconds, 0, {});
  auto mac = digest(key_, signed_octets);
  if (!mac) return fail(mac.error());
  last_mac_ = *std::move(mac);

  const std::uint16_t id = dns::read16(message, 0);
  const std::uint16_t additional = dns::read16(message, 10);
  append(message, key_.name.wire());
  append_16(message, static_cast<std::uint16_t>(dns::RecordType::tsig));
  append_16(message, static_cast<std::uint16_t>(dns::RecordClass::any));
  append_16(message, 0);
  append_16(message, 0);
  const dns::Name algorithm = algorithm_name(key_.algorithm);
  append_16(message, static_cast<std::uint16_t>(algorithm.size() + 16 + last_mac_.size()));
  append(message, algorithm.wire());
  append_48(message, time);
  append_16(message, fudge_seconds);
  append_16(message, static_cast<std::uint16_t>(last_mac_.size()));
  append(message, last_mac_);
  append_16(message, id);
  append_16(message, 0);  // error
  append_16(message, 0);  // other
  dns::put16(message.data() + 10, static_cast<std::uint16_t>(additional + 1));
  return {};
}

Result<bool, std::string> TsigConversation::check(dns::Octets message, const dns::TransferMessage& read, WallTime now) {
  if (!read.tsig) {
    if (is_first_) return fail(std::string("its answer is not signed"));
    if (++unsigned_messages_ > unsigned_messages_max) return fail(std::string("too much of its answer is not signed"));
    append(unsigned_, message);
    return false;
  }
  const dns::TsigRecord& tsig = *read.tsig;
  const std::string name = key_.name.to_string();
  if (tsig.error == bad_key) return fail("it does not know the key " + name + " (BADKEY)");
  if (tsig.error == bad_signature) return fail("it has another secret for the key " + name + " (BADSIG)");
  if (tsig.key != key_.name || tsig.algorithm != algorithm_name(key_.algorithm))
    return fail("its answer is not signed with the key " + name);

  std::vector<std::uint8_t> octets;
  append_last_mac(octets);
  append(octets, unsigned_);
  const std::size_t begin = octets.size();
  append(octets, message.first(tsig.at));
  dns::put16(octets.data() + begin, tsig.original_id);
  dns::put16(octets.data() + begin + 10, static_cast<std::uint16_t>(dns::read16(message, 10) - 1));
  if (is_first_) {
    append_variables(octets, key_, tsig.time_signed, tsig.fudge, tsig.error, tsig.other);
  } else {
    append_48(octets, tsig.time_signed);
    append_16(octets, tsig.fudge);
  }
  auto mac = digest(key_, octets);
  if (!mac) return fail(mac.error());
  if (!is_equal(*mac, tsig.mac)) return fail("its signature is not that of the key " + name);
  const std::uint64_t time = seconds_of(now);
  const std::uint64_t apart = time > tsig.time_signed ? time - tsig.time_signed : tsig.time_signed - time;
  if (tsig.error == bad_time || apart > tsig.fudge)
    return fail(std::string("its clock and ours are too far apart (BADTIME)"));
  if (tsig.error != 0) return fail("it refuses the key " + name + " (error " + std::to_string(tsig.error) + ")");
  last_mac_ = *std::move(mac);
  unsigned_.clear();
  unsigned_messages_ = 0;
  is_first_ = false;
  return true;
}

}  // namespace doline::transfer
