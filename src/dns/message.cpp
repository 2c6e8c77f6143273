#include "dns/message.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "dns/message_reader.h"
#include "dns/rdata.h"
#include "dns/read_octets.h"

namespace doline::dns {

namespace {

constexpr RecordType sig{24};  // RFC 2931: with "type covered" 0 it signs the message

/// The last three are dnsmasq's: --add-mac, --add-mac as text, --add-cpe-id.
enum class EdnsOption : std::uint16_t {
  client_subnet = 8,
  cookie = 10,
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

/// What stands between the owner and the RDATA (RFC 1035 §3.2.1).
struct RecordHead {
  RecordType type{};
  std::uint16_t record_class = 0;  // OPT's is no class
  std::uint32_t ttl = 0;
  std::uint16_t ttl_offset = 0;
  Octets rdata;
};

std::optional<MessageFault> read_record(MessageReader& reader, RecordHead& head) {
  if (const auto fault = reader.skip_owner()) return fault_of(*fault);
  Octets fixed;
  if (!reader.read(fixed, 10)) return MessageFault::truncated;
  head.type = static_cast<RecordType>(read16(fixed, 0));
  head.record_class = read16(fixed, 2);
  head.ttl = read32(fixed, 4);
  head.ttl_offset = static_cast<std::uint16_t>(reader.at() - 6);
  if (!reader.read(head.rdata, read16(fixed, 8))) return MessageFault::truncated;
  return std::nullopt;
}

RecordView record_of(Section section, std::size_t owner_at, std::size_t rdata_at, const RecordHead& head) {
  return {.section = section,
          .owner_offset = static_cast<std::uint16_t>(owner_at),
          .type = head.type,
          .record_class = static_cast<RecordClass>(head.record_class),
          .ttl = head.ttl,
          .ttl_offset = head.ttl_offset,
          .rdata_offset = static_cast<std::uint16_t>(rdata_at),
          .rdata = head.rdata};
}

bool signs_message(const RecordHead& head) {
  return head.type == RecordType::tsig ||
         (head.type == sig && (head.rdata.size() < 2 || (head.rdata[0] == 0 && head.rdata[1] == 0)));
}

/// RFC 6891 §6.1. Of an unknown version nothing but the version is understood.
bool read_opt(const RecordHead& head, Edns& edns) {
  if (head.record_class > 512) edns.udp_payload_size = head.record_class;
  edns.version = static_cast<std::uint8_t>(head.ttl >> 16);
  edns.dnssec_ok = (head.ttl & 0x8000) != 0;
  if (edns.version != 0) return true;
  MessageReader reader(head.rdata);
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

std::optional<MessageFault> take_opt(Octets message, std::size_t owner_at, const RecordHead& head,
                                     std::optional<Edns>& edns) {
  if (edns) return MessageFault::several_opt;
  if (message[owner_at] != 0 || !read_opt(head, edns.emplace())) return MessageFault::bad_opt;
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
      RecordHead head;
      if (const auto bad = read_record(reader, head)) return bad;
      if (head.type != RecordType::soa) return MessageFault::unexpected_records;
    }
    for (; records > 0; --records) {
      const std::size_t owner_at = reader.at();
      RecordHead head;
      if (const auto bad = read_record(reader, head)) return bad;
      if (head.type == RecordType::opt) {
        if (const auto bad = take_opt(message, owner_at, head, view.edns_)) return bad;
      } else if (signs_message(head)) {
        return MessageFault::signed_message;
      }
    }
    if (reader.left() != 0) return MessageFault::trailing_octets;
    return std::nullopt;
  }(*result);
  if (fault) result = fail(*fault);
  return result;
}

Result<ResponseView, MessageFault> ResponseView::parse(Octets message) {
  Result<ResponseView, MessageFault> result;
  const auto fault = [&](ResponseView& view) -> std::optional<MessageFault> {
    if (message.size() < header_octets) return MessageFault::too_short;
    if ((message[2] & 0x80) == 0) return MessageFault::not_a_response;
    if ((message[2] & 0x78) != 0) return MessageFault::opcode_unknown;
    if (read16(message, 4) != 1) return MessageFault::question_count;
    if (message.size() > message_octets_max) return MessageFault::trailing_octets;
    view.message_ = message;
    MessageReader reader(message, header_octets);
    if (const auto bad = read_question(reader, view.question_)) return bad;
    view.records_offset_ = static_cast<std::uint16_t>(reader.at());

    std::uint16_t extended_code = 0;
    for (const std::size_t count_offset : {6u, 8u, 10u}) {
      for (int records = read16(message, count_offset); records > 0; --records) {
        const std::size_t owner_at = reader.at();
        RecordHead head;
        if (const auto bad = read_record(reader, head)) return bad;
        if (head.type == RecordType::opt) {
          if (count_offset != 10) return MessageFault::bad_opt;
          if (const auto bad = take_opt(message, owner_at, head, view.edns_)) return bad;
          extended_code = static_cast<std::uint16_t>(head.ttl >> 24);
          continue;
        }
        if (signs_message(head)) return MessageFault::signed_message;
        const std::size_t rdata_at = reader.at() - head.rdata.size();
        if (!rdata_parses(message, rdata_at, head.rdata.size(), head.type)) return MessageFault::bad_rdata;
        if (const auto place = static_cast<std::size_t>(view.record_count_++); place < view.first_.size())
          std::construct_at(&view.first_[place],
                            record_of(static_cast<Section>((count_offset - 6) / 2), owner_at, rdata_at, head));
      }
    }
    if (reader.left() != 0) return MessageFault::trailing_octets;
    view.code_ = static_cast<ResponseCode>(extended_code << 4 | (message[3] & 0x0f));
    return std::nullopt;
  }(*result);
  if (fault) result = fail(*fault);
  return result;
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

ResponseView::Iterator ResponseView::begin() const {
  Iterator iterator;
  iterator.message_ = message_;
  iterator.next_ = records_offset_;
  for (std::size_t i = 0; i < 3; ++i) iterator.counts_[i] = read16(message_, 6 + 2 * i);
  iterator.left_ = record_count_;
  if (iterator.left_ > 0) iterator.read();
  return iterator;
}

ResponseView::Iterator ResponseView::end() const {
  return {};
}

ResponseView::Iterator& ResponseView::Iterator::operator++() {
  if (--left_ > 0) read();
  return *this;
}

void ResponseView::Iterator::read() {
  RecordHead head;
  std::size_t owner_at, section;
  do {
    section = 0;
    while (counts_[section] == 0) check(++section < counts_.size());  // left_ > 0: there is one
    --counts_[section];
    MessageReader reader(message_, next_);
    check(!read_record(reader, head));  // parse() has read it before
    owner_at = std::exchange(next_, reader.at());
  } while (head.type == RecordType::opt);
  record_ = record_of(static_cast<Section>(section), owner_at, next_ - head.rdata.size(), head);
}

}  // namespace doline::dns
