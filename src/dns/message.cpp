#include "dns/message.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "dns/message_reader.h"
#include "dns/rdata.h"
#include "dns/read_octets.h"

namespace doline::dns {

namespace {

constexpr std::uint16_t pointer_to_question = 0xc000 | header_octets;
constexpr RecordType sig{24};  // RFC 2931: with "type covered" 0 it signs the message

/// The last three are dnsmasq's: --add-mac, --add-mac as text, --add-cpe-id.
enum class EdnsOption : std::uint16_t {
  client_subnet = 8,
  cookie = 10,
  extended_error = 15,
  client_id = 65001,
  client_id_text = 65073,
  customer_id = 65074
};

MessageFault fault_of(NameFault fault) {
  return fault == NameFault::truncated ? MessageFault::truncated : MessageFault::bad_name;
}

std::optional<MessageFault> read_question(MessageReader& reader, Question& question) {
  if (const auto fault = reader.read_first_name(question.qname)) return fault_of(*fault);
  Octets fixed;
  if (!reader.read(fixed, 4)) return MessageFault::truncated;
  question.qtype = static_cast<RecordType>(read16(fixed, 0));
  question.qclass = static_cast<RecordClass>(read16(fixed, 2));
  return std::nullopt;
}

/// All but its section, and unchecked. Of OPT, class and TTL are none. Inline always: called, it costs twice as much.
[[gnu::always_inline]] inline std::optional<MessageFault> read_record(MessageReader& reader, RecordView& record) {
  record.owner_offset = static_cast<std::uint16_t>(reader.at());
  if (const auto fault = reader.skip_owner()) return fault_of(*fault);
  Octets fixed;
  if (!reader.read(fixed, 10)) return MessageFault::truncated;
  record.type = static_cast<RecordType>(read16(fixed, 0));
  record.record_class = static_cast<RecordClass>(read16(fixed, 2));
  record.ttl = read32(fixed, 4);
  record.ttl_offset = static_cast<std::uint16_t>(reader.at() - 6);
  record.rdata_offset = static_cast<std::uint16_t>(reader.at());
  if (!reader.read(record.rdata, read16(fixed, 8))) return MessageFault::truncated;
  return std::nullopt;
}

bool signs_message(const RecordView& record) {
  return record.type == RecordType::tsig ||
         (record.type == sig && (record.rdata.size() < 2 || (record.rdata[0] == 0 && record.rdata[1] == 0)));
}

/// RFC 6891 §6.1. Of an unknown version nothing but the version is understood.
bool read_opt(const RecordView& opt, Edns& edns) {
  edns.udp_payload_size = std::max(edns.udp_payload_size, static_cast<std::uint16_t>(opt.record_class));
  edns.version = static_cast<std::uint8_t>(opt.ttl >> 16);
  edns.dnssec_ok = (opt.ttl & 0x8000) != 0;
  if (edns.version != 0) return true;
  MessageReader reader(opt.rdata);
  std::uint16_t client_id_code = 0;
  for (int options = 0; reader.left() > 0; ++options) {
    std::uint16_t code = 0, octets = 0;
    Octets value;
    if (options == edns_options_max) return false;
    if (!reader.read(code) || !reader.read(octets) || !reader.read(value, octets)) return false;
    // Of options that occur twice the first counts (RFC 7873 §4).
    switch (static_cast<EdnsOption>(code)) {
      case EdnsOption::cookie:
        if (octets != 8 && (octets < 16 || octets > 40)) return false;
        if (!edns.cookie) edns.cookie = value;
        break;
      case EdnsOption::client_subnet:
        if (!edns.client_subnet) edns.client_subnet = value;
        break;
      case EdnsOption::extended_error:
        if (octets >= 2 && !edns.extended_error) edns.extended_error = value;
        break;
      case EdnsOption::client_id:
      case EdnsOption::client_id_text:
      case EdnsOption::customer_id:
        // The first of them says most, the last only which house it is, whichever stands first.
        if (edns.client_id && client_id_code <= code) break;
        edns.client_id = value;
        client_id_code = code;
        break;
    }
  }
  return true;
}

std::optional<MessageFault> take_opt(Octets message, const RecordView& opt, std::optional<Edns>& edns) {
  if (edns) return MessageFault::several_opt;
  if (message[opt.owner_offset] != 0 || !read_opt(opt, edns.emplace())) return MessageFault::bad_opt;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(MessageFault fault) {
  switch (fault) {
    case MessageFault::too_short:
      return "shorter than a header";
    case MessageFault::not_a_query:
      return "a response where a query is due";
    case MessageFault::not_a_response:
      return "a query where a response is due";
    case MessageFault::opcode_unknown:
      return "an opcode other than QUERY";
    case MessageFault::question_count:
      return "not exactly one question";
    case MessageFault::bad_name:
      return "a malformed name";
    case MessageFault::truncated:
      return "a section ends early";
    case MessageFault::bad_rdata:
      return "malformed RDATA";
    case MessageFault::several_opt:
      return "more than one OPT record";
    case MessageFault::bad_opt:
      return "a malformed OPT record";
    case MessageFault::signed_message:
      return "a signed message (TSIG or SIG(0))";
    case MessageFault::trailing_octets:
      return "octets behind the last record";
    case MessageFault::unexpected_records:
      return "a query with answer or authority records";
  }
  return "unknown fault";
}

Result<QueryView, MessageFault> QueryView::parse(Octets message) {
  Result<QueryView, MessageFault> result;  // filled in place: a view is 400 octets
  const auto fault = [&](QueryView& view) -> std::optional<MessageFault> {
    if (message.size() < header_octets) return MessageFault::too_short;
    if ((message[2] & 0x80) != 0) return MessageFault::not_a_query;
    if ((message[2] & 0x78) != 0) return MessageFault::opcode_unknown;
    if (read16(message, 4) != 1) return MessageFault::question_count;
    if (message.size() > message_octets_max) return MessageFault::trailing_octets;
    view.message_ = message;
    MessageReader reader(message, header_octets);
    if (const auto bad = read_question(reader, view.question_)) return bad;

    int records = read16(message, 10);
    if (read16(message, 6) != 0) return MessageFault::unexpected_records;
    if (const int authority = read16(message, 8); authority != 0) {
      // IXFR brings the SOA that the client has (RFC 1995 §3): a query, though not one that we serve.
      if (view.question_.qtype != RecordType::ixfr || authority != 1) return MessageFault::unexpected_records;
      RecordView record;
      if (const auto bad = read_record(reader, record)) return bad;
      if (record.type != RecordType::soa) return MessageFault::unexpected_records;
    }
    for (; records > 0; --records) {
      RecordView record;
      if (const auto bad = read_record(reader, record)) return bad;
      if (record.type == RecordType::opt) {
        if (const auto bad = take_opt(message, record, view.edns_)) return bad;
      } else if (signs_message(record)) {
        return MessageFault::signed_message;
      }
    }
    return std::nullopt;  // what some devices send behind that, nobody reads
  }(*result);
  if (fault) result = fail(*fault);
  return result;
}

Result<ResponseView, MessageFault> ResponseView::parse(Octets message) {
  if (message.size() < header_octets) return fail(MessageFault::too_short);
  if ((message[2] & 0x80) == 0) return fail(MessageFault::not_a_response);
  if ((message[2] & 0x78) != 0) return fail(MessageFault::opcode_unknown);
  if (read16(message, 4) != 1) return fail(MessageFault::question_count);
  MessageReader reader(message, header_octets);
  if (const auto bad = reader.skip_first_name()) return fail(fault_of(*bad));
  if (!reader.skip(4)) return fail(MessageFault::truncated);
  return parse_behind(message, reader.at());
}

Result<ResponseView, MessageFault> ResponseView::parse_behind(Octets message, std::size_t question_end) {
  Result<ResponseView, MessageFault> result;  // filled in place, as above
  if (const auto fault = result->read_records(message, question_end)) result = fail(*fault);
  return result;
}

std::optional<MessageFault> ResponseView::read_records(Octets message, std::size_t at) {
  if (message.size() > message_octets_max) return MessageFault::trailing_octets;
  message_ = message;
  answer_count_ = read16(message, 6);
  authority_count_ = read16(message, 8);
  const bool is_of_root = message[header_octets] == 0;
  std::uint16_t extended_code = 0;
  int count = 0;
  MessageReader reader(message, at);
  for (int left = answer_count_ + authority_count_ + read16(message, 10); left > 0; --left) {
    RecordView& record = *std::construct_at(&first_[count < kept_max ? count : kept_max]);
    record.section = section_of(count);
    if (const auto bad = read_record(reader, record)) return bad;
    if (record.type == RecordType::opt) {
      if (record.section != Section::additional) return MessageFault::bad_opt;
      if (const auto bad = take_opt(message, record, edns_)) return bad;
      extended_code = static_cast<std::uint16_t>(record.ttl >> 24);
      continue;
    }
    if (signs_message(record)) return MessageFault::signed_message;
    bool has_names = false;
    if (!walk_rdata(message, record.rdata_offset, record.rdata.size(), record.type,
                    [&](const RdataPiece& piece) { has_names |= piece.is_name; }))
      return MessageFault::bad_rdata;
    record.is_normal = !has_names && !is_of_root && read16(message, record.owner_offset) == pointer_to_question;
    types_ |= bit_of(record.type);
    ++count;
  }
  record_count_ = count;
  if (reader.left() != 0) return MessageFault::trailing_octets;
  code_ = static_cast<ResponseCode>(extended_code << 4 | (message[3] & 0x0f));
  return std::nullopt;
}

Question ResponseView::question() const {
  Question question;
  MessageReader reader(message_, header_octets);
  check(!read_question(reader, question));  // it has been checked
  return question;
}

Name ResponseView::owner(const RecordView& record) const {
  Name name;
  check(!MessageReader(message_, record.owner_offset).read_name(name));
  return name;
}

Name ResponseView::rdata_name(const RecordView& record, std::size_t offset) const {
  Name name;
  check(offset < record.rdata.size());
  check(!MessageReader(message_.first(record.rdata_offset + record.rdata.size()), record.rdata_offset + offset)
             .read_name(name));
  return name;
}

RecordView ResponseView::read_behind(const RecordView& before, int place) const {
  RecordView record;
  record.section = section_of(place);
  MessageReader reader(message_, before.rdata_offset + before.rdata.size());
  do check(!read_record(reader, record));  // parse() has read it before
  while (record.type == RecordType::opt);
  return record;
}

}  // namespace doline::dns
