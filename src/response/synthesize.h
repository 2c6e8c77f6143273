// synthesize(): the responses that Doline makes itself: blocks, rewrites, refusals, and errors for queries it cannot
// take.
//
// Writes into the caller's octets, allocation-free; the ID, question and EDNS of the query are honoured. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/ip_address.h"
#include "dns/message.h"
#include "dns/writer.h"
#include "policy/rule.h"
#include "response/dns64.h"
#include "response/local_records.h"
#include "response/special_use.h"

namespace doline::response {

enum class BlockResponse : std::uint8_t { null_address, nxdomain, nodata, refused, drop, address };

struct BlockSettings {
  BlockResponse response = BlockResponse::null_address;
  std::optional<IpAddress> v4, v6;  ///< with BlockResponse::address
  std::uint32_t ttl_seconds = 10;
};

/// How far a response may go and what it carries beside its sections; made once per query from transport and EDNS.
struct Fit {
  std::size_t octets_max = 512;  ///< UDP: what the client's EDNS allows, at most udp_octets_max; TCP: 65535
  bool has_edns = false;         ///< the query had OPT: so has the response
  bool dnssec_ok = false;
  std::array<std::uint8_t, 24> cookie{};  ///< full cookie for the client, where cookie_octets > 0
  std::uint8_t cookie_octets = 0;
};
inline constexpr std::size_t udp_octets_max = 1232;  ///< DNS flag day 2020; our advertised payload size too

/// What a verdict other than Forward answers. `error_text` rides in EDE. Returns the octets written; 0 means: send
/// nothing (drop).
[[nodiscard]] std::size_t synthesize(const dns::QueryView& query, const policy::Action& action,
                                     const policy::RewriteTarget* rewrite, const BlockSettings& block, const Fit& fit,
                                     std::string_view error_text, std::span<std::uint8_t> out);

/// A record that a list's line or the operator gives; RDATA uncompressed.
struct OwnRecord {
  dns::RecordType type;
  dns::Octets rdata;
};
inline constexpr std::size_t own_records_max = 64;
/// Those of the type asked for, a CNAME for any type, all for ANY; NODATA where none is left.
[[nodiscard]] std::size_t answer(const dns::QueryView& query, std::span<const OwnRecord> records,
                                 std::uint32_t ttl_seconds, const Fit& fit, std::string_view error_text,
                                 std::span<std::uint8_t> out);

/// What is answered here whatever anybody says (special_use.h); authoritative.
[[nodiscard]] std::size_t answer_locally(const dns::QueryView& query, const LocalAnswer& answer, const Fit& fit,
                                         std::span<std::uint8_t> out);

/// What a local name has, and the local names that its CNAMEs lead to; authoritative, NODATA for other types. A CNAME
/// that leads elsewhere ends it; `end`: what is answered here of that name (RFC 6604 §2.1). `dns64`: AAAA records are
/// made of A records where there are none; null: they are not.
[[nodiscard]] std::size_t answer_locally(const dns::QueryView& query, const LocalRecords& all,
                                         std::span<const LocalRecord> records, const std::optional<LocalAnswer>& end,
                                         const Dns64* dns64, const Fit& fit, std::span<std::uint8_t> out);

/// How upstream's words are told to the client where they must not be copied: those of the name that a CNAME of ours
/// leads to, by DNS64 those of A for AAAA and those with excluded AAAA records, which are left out.
struct Retelling {
  const dns::Name* target = nullptr;       ///< null: the words are of the name asked for
  std::uint32_t target_ttl_seconds = 0;    ///< of the CNAME to it
  const Dns64* dns64 = nullptr;            ///< null: records stay what they are
  std::uint32_t ipv6_ttl_seconds_max = 0;  ///< of the AAAA records that are made (RFC 6147 §5.1.7)
  std::uint32_t age_seconds = 0;           ///< as Touches say; what is ours does not age
  std::optional<std::uint32_t> ttl_seconds = {};
};
/// Are there AAAA records in the answer that `dns64` excludes?
[[nodiscard]] bool has_excluded(dns::Octets words, const Dns64& dns64);
/// Words that answer `question`. Nothing of them is authentic. Octets written to `out`, which has room for any message.
[[nodiscard]] std::size_t retell(const dns::Question& question, dns::Octets words, const Retelling& how,
                                 std::span<std::uint8_t> out);

/// An answerless response with `code` and, where the client speaks EDNS, `error`.
[[nodiscard]] std::size_t refuse(const dns::QueryView& query, dns::ResponseCode code,
                                 std::optional<dns::ExtendedError> error, std::string_view error_text, const Fit& fit,
                                 std::span<std::uint8_t> out);

/// For octets that did not parse: FORMERR, or NOTIMP for another opcode, with the question where that can be read; 0
/// for what must not be answered (QR=1, too short). No OPT (RFC 6891 §7). `out`: at least 12 octets.
[[nodiscard]] std::size_t reject(dns::Octets message, dns::MessageFault fault, std::span<std::uint8_t> out);

}  // namespace doline::response
