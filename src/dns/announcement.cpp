#include "dns/announcement.h"

#include "dns/message_reader.h"
#include "dns/read_octets.h"

namespace doline::dns {

namespace {

constexpr std::uint16_t cache_flush = 0x8000;  // RFC 6762 §10.2: the top bit of a record's class

/// The lone name at `offset` octets into the RDATA that ends at `end`.
std::optional<Name> name_in(Octets message, std::size_t rdata_at, std::size_t offset, std::size_t end) {
  if (rdata_at + offset >= end) return std::nullopt;
  MessageReader reader(message.first(end), rdata_at + offset);
  Name name;
  if (reader.read_name(name) || reader.at() != end) return std::nullopt;
  return name;
}

}  // namespace

Result<Announcement, MessageFault> read_announcement(Octets message) {
  if (message.size() < header_octets) return fail(MessageFault::too_short);
  if ((message[2] & 0x80) == 0) return fail(MessageFault::not_a_response);
  if ((message[2] & 0x78) != 0) return fail(MessageFault::opcode_unknown);
  MessageReader reader(message, header_octets);
  // 1. Questions, which a response on the link hardly ever has.
  for (std::size_t left = read16(message, 4); left > 0; --left)
    if (reader.skip_name() || !reader.skip(4)) return fail(MessageFault::truncated);
  // 2. The records of all sections.
  std::size_t left = std::size_t{read16(message, 6)} + read16(message, 8) + read16(message, 10);
  Announcement announcement;
  for (std::size_t number = 0; left > 0 && number < announced_records_max; --left, ++number) {
    Name owner;
    Octets fixed, rdata;
    if (reader.read_name(owner)) return fail(MessageFault::bad_name);
    if (!reader.read(fixed, 10)) return fail(MessageFault::truncated);
    const std::size_t rdata_at = reader.at();
    if (!reader.read(rdata, read16(fixed, 8))) return fail(MessageFault::truncated);
    const auto type = static_cast<RecordType>(read16(fixed, 0));
    const auto record_class = static_cast<RecordClass>(read16(fixed, 2) & ~cache_flush);
    if (record_class != RecordClass::in || read32(fixed, 4) == 0) continue;
    if (type == RecordType::a || type == RecordType::aaaa) {
      if (rdata.size() != (type == RecordType::a ? 4u : 16u)) return fail(MessageFault::bad_rdata);
      announcement.hosts.push_back({owner, IpAddress::from_octets(rdata)});
    } else if (type == RecordType::srv || type == RecordType::ptr) {
      const auto name = name_in(message, rdata_at, type == RecordType::srv ? 6 : 0, reader.at());
      if (!name) return fail(MessageFault::bad_rdata);
      if (type == RecordType::srv)
        announcement.instances.push_back({owner, *name});
      else
        announcement.instances.push_back({*name, std::nullopt});
    }
  }
  return announcement;
}

}  // namespace doline::dns
