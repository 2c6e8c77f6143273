// TransferMessage: one message of a zone transfer (RFC 5936 §2.2), or the notification that there is something to
// transfer (RFC 1996), read whole: its answers, and the TSIG record that signs it.
//
// What a ResponseView refuses stands here: messages without a question, many records, a signature. Names in RDATA come
// out uncompressed, so that records outlive their message. Allocates, at most some forty octets for each octet of the
// message; time linear in it. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dns/message.h"
#include "dns/presentation.h"
#include "dns/question.h"

namespace doline::dns {

/// RFC 8945 §4.2. Octets are borrowed from the message.
struct TsigRecord {
  Name key, algorithm;
  std::uint64_t time_signed = 0;  ///< seconds since 1970
  std::uint16_t fudge = 0;        ///< seconds
  Octets mac;
  std::uint16_t original_id = 0;
  std::uint16_t error = 0;
  Octets other;
  std::size_t at = 0;  ///< where the record begins: what stands before is signed
};

struct TransferMessage {
  std::uint16_t id = 0;
  ResponseCode code = ResponseCode::noerror;  ///< of the header alone
  std::optional<Question> question;           ///< of the first message; later ones need none
  std::vector<Record> answers;                ///< in order; a zone's meaning is in it
  std::optional<TsigRecord> tsig;             ///< the last record, if it is one
};

/// Every record of every section is checked; only the answers are kept.
[[nodiscard]] Result<TransferMessage, MessageFault> read_transfer_message(Octets message);

/// Is it of opcode NOTIFY? `message`: at least a header.
[[nodiscard]] inline bool is_notification(Octets message) {
  return (message[2] >> 3 & 0x0f) == static_cast<int>(Opcode::notify);
}
/// Likewise a NOTIFY query, which has a question.
[[nodiscard]] Result<TransferMessage, MessageFault> read_notification(Octets message);

/// SERIAL and the timers of an SOA record's RDATA (RFC 1035 §3.3.13), which must be well formed and uncompressed.
struct SoaNumbers {
  std::uint32_t serial = 0, refresh = 0, retry = 0, expire = 0;  ///< the last three in seconds
  bool operator==(const SoaNumbers&) const = default;
};
[[nodiscard]] std::optional<SoaNumbers> read_soa(Octets rdata);

}  // namespace doline::dns
