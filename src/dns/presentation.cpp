#include "dns/presentation.h"

#include <charconv>
#include <cstdlib>
#include <memory>

#include "base/check.h"
#include "dns/ldns_library.h"
#include "dns/message_reader.h"
#include "dns/rdata.h"

namespace doline::dns {

namespace {

using LdnsRecord = std::unique_ptr<ldns_rr, decltype(&::ldns_rr_free)>;
using LdnsBuffer = std::unique_ptr<ldns_buffer, decltype(&::ldns_buffer_free)>;

void append_16(std::vector<std::uint8_t>& octets, std::uint16_t value) {
  octets.push_back(static_cast<std::uint8_t>(value >> 8));
  octets.push_back(static_cast<std::uint8_t>(value));
}

/// A record alone in wire form: what ldns_wire2rr reads.
std::vector<std::uint8_t> wire_of(const Name& owner, RecordType type, RecordClass record_class, std::uint32_t ttl,
                                  Octets rdata) {
  std::vector<std::uint8_t> octets(owner.wire().begin(), owner.wire().end());
  append_16(octets, static_cast<std::uint16_t>(type));
  append_16(octets, static_cast<std::uint16_t>(record_class));
  append_16(octets, static_cast<std::uint16_t>(ttl >> 16));
  append_16(octets, static_cast<std::uint16_t>(ttl));
  append_16(octets, static_cast<std::uint16_t>(rdata.size()));
  octets.insert(octets.end(), rdata.begin(), rdata.end());
  return octets;
}

}  // namespace

std::string to_generic_rdata(Octets rdata) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "\\# " + std::to_string(rdata.size());
  if (!rdata.empty()) text += ' ';
  for (const std::uint8_t octet : rdata) {
    text += digits[octet >> 4];
    text += digits[octet & 15];
  }
  return text;
}

std::optional<std::vector<std::uint8_t>> parse_generic_rdata(std::string_view text) {
  if (!text.starts_with("\\# ")) return std::nullopt;
  text.remove_prefix(3);
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc{} || size > 65'535) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (text.size() != size * 2) return std::nullopt;
  std::vector<std::uint8_t> octets(size);
  for (std::size_t at = 0; at < size; ++at) {
    const auto [stop, bad] = std::from_chars(text.data() + at * 2, text.data() + at * 2 + 2, octets[at], 16);
    if (bad != std::errc{} || stop != text.data() + at * 2 + 2) return std::nullopt;
  }
  return octets;
}

std::string rdata_to_string(RecordType type, Octets uncompressed_rdata) {
  check(uncompressed_rdata.size() <= message_octets_max);
  const auto& ldns = LdnsLibrary::load();
  if (!ldns) return to_generic_rdata(uncompressed_rdata);
  const auto wire = wire_of({}, type, RecordClass::in, 0, uncompressed_rdata);
  std::size_t at = 0;
  ldns_rr* raw = nullptr;
  if (ldns->wire2rr(&raw, wire.data(), wire.size(), &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
    return to_generic_rdata(uncompressed_rdata);
  const LdnsRecord record(raw, ldns->rr_free);
  const LdnsBuffer buffer(ldns->buffer_new(512), ldns->buffer_free);
  check(buffer != nullptr);
  const std::size_t fields = ldns->rr_rd_count(record.get());
  std::string text;
  for (std::size_t field = 0; field < fields; ++field) {
    ldns_buffer_clear(buffer.get());
    if (ldns->rdf2buffer_str(buffer.get(), ldns->rr_rdf(record.get(), field)) != LDNS_STATUS_OK)
      return to_generic_rdata(uncompressed_rdata);
    if (field > 0) text += ' ';
    text.append(reinterpret_cast<const char*>(ldns_buffer_begin(buffer.get())), ldns_buffer_position(buffer.get()));
  }
  // ldns prints octets that are not ASCII as they are in a few types; a log line may hold printable ASCII only.
  for (const char character : text)
    if (character < 0x20 || character > 0x7e) return to_generic_rdata(uncompressed_rdata);
  if (text.empty()) return to_generic_rdata(uncompressed_rdata);
  return text;
}

bool rdata_is_sound(RecordType type, Octets uncompressed_rdata) {
  bool is_uncompressed = true;
  return uncompressed_rdata.size() <= message_octets_max &&
         walk_rdata(uncompressed_rdata, 0, uncompressed_rdata.size(), type,
                    [&](const RdataPiece& piece) {
                      if (!piece.is_name) return;
                      const auto name = Name::from_wire(uncompressed_rdata.subspan(piece.at, piece.octets));
                      is_uncompressed = is_uncompressed && name && name->size() == piece.octets;
                    }) &&
         is_uncompressed;
}

Record to_record(const ResponseView& view, const RecordView& record) {
  Record result{view.owner(record), record.type, record.record_class, record.ttl, {}};
  const Octets message = view.octets();
  check(walk_rdata(message, record.rdata_offset, record.rdata.size(), record.type, [&](const RdataPiece& piece) {
    Octets octets = message.subspan(piece.at, piece.octets);
    Name name;
    if (piece.is_name) {
      check(!MessageReader(message, piece.at).read_name(name));
      octets = name.wire();
    }
    result.rdata.insert(result.rdata.end(), octets.begin(), octets.end());
  }));  // ResponseView::parse has walked it
  return result;
}

Result<Record, std::string> parse_record(std::string_view line, std::uint32_t default_ttl) {
  const std::string text(line);
  if (text.find('\0') != std::string::npos) return fail(std::string("a NUL octet in the record"));
  const auto& ldns = LdnsLibrary::load();
  if (!ldns) return fail(ldns.error());
  ldns_rr* raw = nullptr;
  const ldns_status status = ldns->rr_new_frm_str(&raw, text.c_str(), default_ttl, nullptr, nullptr);
  if (status != LDNS_STATUS_OK) return fail(std::string(ldns->get_errorstr_by_id(status)));
  const LdnsRecord record(raw, ldns->rr_free);
  if (ldns->rr_get_type(raw) == 0) return fail(std::string("no type and no data"));
  std::uint8_t* octets = nullptr;
  std::size_t size = 0;
  if (const ldns_status built = ldns->rr2wire(&octets, record.get(), LDNS_SECTION_ANSWER, &size);
      built != LDNS_STATUS_OK)
    return fail(std::string(ldns->get_errorstr_by_id(built)));
  const std::unique_ptr<std::uint8_t, decltype(&std::free)> wire(octets, &std::free);
  auto owner = Name::from_wire({octets, size});
  if (!owner) return fail(std::string(to_string(owner.error())));
  const std::size_t rdata_at = owner->size() + 10;
  if (size < rdata_at) return fail(std::string("the record has no data"));
  Record result{*owner,
                static_cast<RecordType>(ldns->rr_get_type(record.get())),
                static_cast<RecordClass>(ldns->rr_get_class(record.get())),
                ldns->rr_ttl(record.get()),
                {}};
  result.rdata.assign(octets + rdata_at, octets + size);
  return result;
}

}  // namespace doline::dns
