// The numbers of DNS: record types, classes, opcodes, response codes, Extended DNS Errors, and their names.
//
// Enums are open: any 16-bit value may arrive and travels through unchanged. Names are IANA's; unknown values print as
// RFC 3597 §5 says (TYPE65280, CLASS4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doline::dns {

enum class RecordType : std::uint16_t {
  a = 1,
  ns = 2,
  cname = 5,
  soa = 6,
  ptr = 12,
  hinfo = 13,
  mx = 15,
  txt = 16,
  rp = 17,
  afsdb = 18,
  aaaa = 28,
  srv = 33,
  naptr = 35,
  kx = 36,
  cert = 37,
  dname = 39,
  opt = 41,
  ds = 43,
  sshfp = 44,
  rrsig = 46,
  nsec = 47,
  dnskey = 48,
  nsec3 = 50,
  nsec3param = 51,
  tlsa = 52,
  svcb = 64,
  https = 65,
  tsig = 250,
  ixfr = 251,
  axfr = 252,
  any = 255,
  uri = 256,
  caa = 257,
};

enum class RecordClass : std::uint16_t { in = 1, chaos = 3, none = 254, any = 255 };

enum class Opcode : std::uint8_t { query = 0, status = 2, notify = 4, update = 5 };

enum class ResponseCode : std::uint16_t {  // above 15: extended by EDNS (RFC 6891 §6.1.3)
  noerror = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  notauth = 9,
  badvers = 16,
  badcookie = 23,
};

/// RFC 8914 §4 and the IANA registry.
enum class ExtendedError : std::uint16_t {
  other = 0,
  stale_answer = 3,
  forged_answer = 4,
  dnssec_bogus = 6,
  cached_error = 13,
  not_ready = 14,
  blocked = 15,
  censored = 16,
  filtered = 17,
  prohibited = 18,
  stale_nxdomain_answer = 19,
  not_supported = 21,
  no_reachable_authority = 22,
  network_error = 23,
  invalid_data = 24,
};

[[nodiscard]] std::string to_string(RecordType type);    ///< `AAAA`, `TYPE65280`
[[nodiscard]] std::string to_string(RecordClass value);  ///< `IN`, `CLASS4`
[[nodiscard]] std::string to_string(ResponseCode code);  ///< `NXDOMAIN`, `RCODE12`
[[nodiscard]] std::string to_string(Opcode opcode);      ///< `QUERY`, `OPCODE3`
[[nodiscard]] std::string_view to_string(
    ExtendedError code);  ///< `Stale Answer`, as registered; `Other Error` where unknown
/// Any case; also `TYPE65`.
[[nodiscard]] std::optional<RecordType> parse_record_type(std::string_view text);
[[nodiscard]] std::optional<ResponseCode> parse_response_code(std::string_view text);

}  // namespace doline::dns
