#include "dns/transfer_message.h"

#include "dns/message_reader.h"
#include "dns/rdata.h"
#include "dns/read_octets.h"

namespace doline::dns {

namespace {

constexpr std::size_t soa_numbers_octets = 20;

MessageFault fault_of(NameFault fault) {
  return fault == NameFault::truncated ? MessageFault::truncated : MessageFault::bad_name;
}

bool read_tsig(MessageReader& reader, TsigRecord& tsig) {
  std::uint16_t time_high = 0, mac_octets = 0, other_octets = 0;
  std::uint32_t time_low = 0;
  if (reader.read_name(tsig.algorithm) || !reader.read(time_high) || !reader.read(time_low) ||
      !reader.read(tsig.fudge) || !reader.read(mac_octets) || !reader.read(tsig.mac, mac_octets) ||
      !reader.read(tsig.original_id) || !reader.read(tsig.error) || !reader.read(other_octets) ||
      !reader.read(tsig.other, other_octets))
    return false;
  tsig.time_signed = std::uint64_t{time_high} << 32 | time_low;
  return reader.left() == 0;
}

/// What stands behind the flags.
Result<TransferMessage, MessageFault> read_whole(Octets message) {
  TransferMessage read;
  read.id = read16(message, 0);
  read.code = static_cast<ResponseCode>(message[3] & 0x0f);
  const std::uint16_t questions = read16(message, 4), answers = read16(message, 6);
  if (questions > 1) return fail(MessageFault::question_count);
  MessageReader reader(message, header_octets);
  if (questions == 1) {
    Question question;
    if (const auto fault = reader.read_name(question.qname)) return fail(fault_of(*fault));
    Octets fixed;
    if (!reader.read(fixed, 4)) return fail(MessageFault::truncated);
    question.qtype = static_cast<RecordType>(read16(fixed, 0));
    question.qclass = static_cast<RecordClass>(read16(fixed, 2));
    read.question = question;
  }
  const std::uint32_t records = std::uint32_t{answers} + read16(message, 8) + read16(message, 10);
  for (std::uint32_t number = 0; number < records; ++number) {
    if (read.tsig) return fail(MessageFault::signed_message);  // a signature ends the message
    const std::size_t begin = reader.at();
    Record record;
    if (const auto fault = reader.read_name(record.owner)) return fail(fault_of(*fault));
    Octets head, rdata;
    if (!reader.read(head, 10)) return fail(MessageFault::truncated);
    record.type = static_cast<RecordType>(read16(head, 0));
    record.record_class = static_cast<RecordClass>(read16(head, 2));
    record.ttl = read32(head, 4);
    const std::size_t at = reader.at();
    if (!reader.read(rdata, read16(head, 8))) return fail(MessageFault::truncated);
    if (record.type == RecordType::tsig) {
      TsigRecord tsig;
      MessageReader inside(message.first(at + rdata.size()), at);
      if (number < answers || record.record_class != RecordClass::any || !read_tsig(inside, tsig))
        return fail(MessageFault::bad_rdata);
      tsig.key = record.owner;
      tsig.at = begin;
      read.tsig = tsig;
      continue;
    }
    if (record.type == RecordType::opt) continue;
    const bool is_kept = number < answers;
    const bool is_sound = walk_rdata(message, at, rdata.size(), record.type, [&](const RdataPiece& piece) {
      if (!is_kept) return;
      Octets octets = message.subspan(piece.at, piece.octets);
      Name name;
      if (piece.is_name && !MessageReader(message, piece.at).read_name(name)) octets = name.wire();
      record.rdata.insert(record.rdata.end(), octets.begin(), octets.end());
    });
    if (!is_sound) return fail(MessageFault::bad_rdata);
    if (is_kept) read.answers.push_back(std::move(record));
  }
  if (reader.left() != 0) return fail(MessageFault::trailing_octets);
  return read;
}

}  // namespace

Result<TransferMessage, MessageFault> read_transfer_message(Octets message) {
  if (message.size() < header_octets) return fail(MessageFault::too_short);
  if ((message[2] & 0x80) == 0) return fail(MessageFault::not_a_response);
  if ((message[2] & 0x78) != 0) return fail(MessageFault::opcode_unknown);
  return read_whole(message);
}

Result<TransferMessage, MessageFault> read_notification(Octets message) {
  if (message.size() < header_octets) return fail(MessageFault::too_short);
  if ((message[2] & 0x80) != 0) return fail(MessageFault::not_a_query);
  if (!is_notification(message)) return fail(MessageFault::opcode_unknown);
  if (read16(message, 4) != 1) return fail(MessageFault::question_count);
  return read_whole(message);
}

std::optional<SoaNumbers> read_soa(Octets rdata) {
  if (!rdata_is_sound(RecordType::soa, rdata)) return std::nullopt;
  const Octets numbers = rdata.last(soa_numbers_octets);
  return SoaNumbers{read32(numbers, 0), read32(numbers, 4), read32(numbers, 8), read32(numbers, 12)};
}

}  // namespace doline::dns
