// accept(): from a server's octets to words that may be believed: the answer to *this* question and nothing else.
//
// Bailiwick: kept are the RRset asked for and the CNAME/DNAME chain to it, RRSIGs of these, and of Authority the SOA,
// NSEC, NSEC3 and their RRSIGs that deny or that prove a wildcard; all other records are left out (MaginotDNS and kin).
// Names are compressed anew by us; malformed RDATA is not relayed. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/question.h"

namespace doline::upstream {

enum class AcceptFault : std::uint8_t {
  malformed,
  other_question,  ///< does not answer what was asked: ignore it and keep waiting
  truncated,       ///< TC: ask again over TCP
  // Of these, try the next server:
  server_failed,   ///< SERVFAIL, REFUSED, NOTIMP, FORMERR
  referral,        ///< to other servers: it does not recurse
  contradiction,   ///< an answer, and a code that says there is none
  chain_too_long,  ///< more than cname_max links, or a loop
  too_large,
};
inline constexpr int cname_max = 11;

/// What TTLs are raised and cut to in the words, so that whoever is told them keeps them as long as we.
struct TtlBounds {
  std::uint32_t least = 0, most = UINT32_MAX;
  std::uint32_t most_negative = UINT32_MAX;  ///< instead of `most`, where it is less
};

struct Accepted {
  std::size_t size =
      0;  ///< octets written: header (ID 0, QR, AA 0, RA, AD as upstream said, RCODE), question, records; no OPT
  dns::ResponseCode code = dns::ResponseCode::noerror;
  seconds ttl{0};  ///< smallest of the answer; negative: min(SOA TTL, SOA MINIMUM) (RFC 2308 §5); 0: do not cache
  bool is_negative = false;  ///< NXDOMAIN or NODATA
  bool authentic_data = false;
};

/// `sent_qname`: QNAME in the case in which it was sent, which the answer must echo (draft-vixie-dnsext-dns0x20);
/// empty: in any case. The words have the question as `asked`, for whatever case was sent to confuse forgers is no
/// news. A negative answer without SOA keeps its TTL of 0, whatever the bounds.
[[nodiscard]] Result<Accepted, AcceptFault> accept(dns::Octets response, const dns::Question& asked,
                                                   dns::Octets sent_qname, std::span<std::uint8_t> out,
                                                   const TtlBounds& bounds = {});

}  // namespace doline::upstream
