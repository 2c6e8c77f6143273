// QueryView and ResponseView: checked windows on the octets of a message that someone else owns.
//
// parse() walks the whole message once, bounds-checked, allocation-free, in time linear in its length whatever its
// shape: compression pointers go strictly backwards and at most pointers_max hops, at most edns_options_max options are
// read. After a successful parse every accessor is total. A view borrows the octets: it is valid as long as they are.
// Any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "dns/code.h"
#include "dns/name.h"
#include "dns/question.h"

namespace doline::dns {

using Octets = std::span<const std::uint8_t>;

inline constexpr std::size_t header_octets = 12;
inline constexpr int pointers_max = 16;
inline constexpr int edns_options_max = 100;
inline constexpr std::size_t message_octets_max = 65'535;

enum class MessageFault : std::uint8_t {
  too_short,           ///< under 12 octets: no ID to answer to
  not_a_query,         ///< QR=1 where a query is due: never answered
  not_a_response,      ///< QR=0 where a response is due
  opcode_unknown,      ///< anything but QUERY: NOTIMP
  question_count,      ///< not exactly one (RFC 9619)
  bad_name,            ///< in the question or an owner
  truncated,           ///< a section ends early
  bad_rdata,           ///< RDATA of a known type that does not parse: never relayed
  several_opt,         ///< RFC 6891 §6.1.1
  bad_opt,             ///< owner not the root, options that overrun, or too many of them
  signed_message,      ///< TSIG or SIG(0): not for a forwarder
  trailing_octets,     ///< behind the last record
  unexpected_records,  ///< a query with answer or authority records
};
[[nodiscard]] std::string_view to_string(MessageFault fault);

/// EDNS(0), RFC 6891. Spans are borrowed from the message.
struct Edns {
  std::uint16_t udp_payload_size = 512;  ///< as sent; below 512 counts as 512
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  std::optional<Octets> cookie;         ///< RFC 7873: 8, or 16 to 40 octets; other lengths are bad_opt
  std::optional<Octets> client_subnet;  ///< RFC 7871, raw
  std::optional<Octets> client_id;      ///< option 65001 (a MAC, or text), else 65073, else 65074 (text), raw
};

class QueryView {
 public:
  QueryView() {}  // NOLINT(modernize-use-equals-default): `= default` would fill 300 octets with zeros first
  static Result<QueryView, MessageFault> parse(Octets message);

  [[nodiscard]] std::uint16_t id() const { return static_cast<std::uint16_t>(message_[0] << 8 | message_[1]); }
  [[nodiscard]] bool recursion_desired() const { return (message_[2] & 0x01) != 0; }
  [[nodiscard]] bool authentic_data() const { return (message_[3] & 0x20) != 0; }
  [[nodiscard]] bool checking_disabled() const { return (message_[3] & 0x10) != 0; }
  /// QNAME in the case that was sent (0x20).
  [[nodiscard]] const Question& question() const { return question_; }
  [[nodiscard]] const std::optional<Edns>& edns() const { return edns_; }
  [[nodiscard]] Octets octets() const { return message_; }
  /// From now on the same query as `other`, on a copy of its header and question and without EDNS options: what is left
  /// borrows only the copy.
  void keep(const QueryView& other, Octets header_and_question) {
    *this = other;
    message_ = header_and_question;
    if (edns_) edns_->cookie = edns_->client_subnet = edns_->client_id = std::nullopt;
  }

 private:
  Octets message_;
  Question question_;
  std::optional<Edns> edns_;
};

enum class Section : std::uint8_t { answer, authority, additional };

/// One resource record inside a checked message; borrowed.
struct RecordView {
  Section section = Section::answer;
  std::uint16_t owner_offset = 0;
  RecordType type = RecordType::a;
  RecordClass record_class = RecordClass::in;
  std::uint32_t ttl = 0;         ///< seconds, as sent
  std::uint16_t ttl_offset = 0;  ///< where the four octets stand
  std::uint16_t rdata_offset = 0;
  Octets rdata;  ///< may hold compressed names: see ResponseView::rdata_name
};

class ResponseView {
 public:
  ResponseView() {}  // NOLINT(modernize-use-equals-default): as above
  /// Checks every record, RDATA of known types included. The OPT record is not among the records.
  static Result<ResponseView, MessageFault> parse(Octets message);

  [[nodiscard]] std::uint16_t id() const { return static_cast<std::uint16_t>(message_[0] << 8 | message_[1]); }
  [[nodiscard]] bool is_truncated() const { return (message_[2] & 0x02) != 0; }
  [[nodiscard]] bool is_authoritative() const { return (message_[2] & 0x04) != 0; }
  [[nodiscard]] bool authentic_data() const { return (message_[3] & 0x20) != 0; }
  /// With EDNS's upper bits.
  [[nodiscard]] ResponseCode code() const { return code_; }
  [[nodiscard]] const Question& question() const { return question_; }
  [[nodiscard]] const std::optional<Edns>& edns() const { return edns_; }
  [[nodiscard]] Octets octets() const { return message_; }
  [[nodiscard]] int record_count() const { return record_count_; }  ///< answer, authority and additional, without OPT

  [[nodiscard]] Name owner(const RecordView& record) const;
  /// The (decompressed) name at `offset` octets into the RDATA: 0 for CNAME, NS, PTR, DNAME; 2 for MX; 6 for SRV.
  [[nodiscard]] Name rdata_name(const RecordView& record, std::size_t offset) const;

  /// Calls `look(record)` for each in message order, until it says false: for who walks them several times, since the
  /// first ones, which mostly are all, were kept when they were checked.
  template <class Look>
  void each(Look look) const {
    const std::size_t count = std::min(first_.size(), static_cast<std::size_t>(record_count_));
    for (std::size_t i = 0; i < count; ++i)
      if (!look(first_[i])) return;
    if (count == static_cast<std::size_t>(record_count_)) return;
    auto rest = begin();
    for (std::size_t i = 0; i < count; ++i) ++rest;
    for (; rest != end(); ++rest)
      if (!look(*rest)) return;
  }

  /// Input iteration in message order: `for (const RecordView& record : view)`.
  class Iterator {
   public:
    using value_type = RecordView;
    using difference_type = std::ptrdiff_t;
    const RecordView& operator*() const { return record_; }
    const RecordView* operator->() const { return &record_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(const Iterator& other) const { return left_ == other.left_; }

   private:
    friend class ResponseView;
    void read();  // the record at next_, skipping OPT
    Octets message_;
    std::size_t next_ = 0;
    std::array<std::uint16_t, 3> counts_{};  // of answer, authority, additional still to read
    int left_ = 0;
    RecordView record_;
  };
  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] Iterator end() const;

 private:
  Octets message_;
  Question question_;
  std::optional<Edns> edns_;
  ResponseCode code_ = ResponseCode::noerror;
  std::uint16_t records_offset_ = 0;
  int record_count_ = 0;
  union {
    std::array<RecordView, 8> first_;  // in a union, so that those that are not there are not filled with zeros
  };
};

}  // namespace doline::dns
