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
  std::optional<Octets> cookie;          ///< RFC 7873: 8, or 16 to 40 octets; other lengths are bad_opt
  std::optional<Octets> client_subnet;   ///< RFC 7871, raw
  std::optional<Octets> extended_error;  ///< RFC 8914, raw: 2 octets or more
  std::optional<Octets> client_id;       ///< option 65001 (a MAC, or text), else 65073, else 65074 (text), raw
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
    if (edns_) edns_->cookie = edns_->client_subnet = edns_->extended_error = edns_->client_id = std::nullopt;
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
  /// Its owner is a pointer to the question and its RDATA has no name: its octets are the same in every message with
  /// this question. Said of the first records of a message only, which mostly are all.
  bool is_normal = false;
};

class ResponseView {
 public:
  ResponseView() {}  // NOLINT(modernize-use-equals-default): as above
  /// Checks every record, RDATA of known types included. The OPT record is not among the records.
  static Result<ResponseView, MessageFault> parse(Octets message);
  /// The same for who has checked header and question, which ends at `question_end`.
  static Result<ResponseView, MessageFault> parse_behind(Octets message, std::size_t question_end);

  [[nodiscard]] std::uint16_t id() const { return static_cast<std::uint16_t>(message_[0] << 8 | message_[1]); }
  [[nodiscard]] bool is_truncated() const { return (message_[2] & 0x02) != 0; }
  [[nodiscard]] bool is_authoritative() const { return (message_[2] & 0x04) != 0; }
  [[nodiscard]] bool authentic_data() const { return (message_[3] & 0x20) != 0; }
  /// With EDNS's upper bits.
  [[nodiscard]] ResponseCode code() const { return code_; }
  /// Read when it is wanted: who has asked knows it.
  [[nodiscard]] Question question() const;
  [[nodiscard]] const std::optional<Edns>& edns() const { return edns_; }
  [[nodiscard]] Octets octets() const { return message_; }
  /// False: there is no record of this type. True: there may be one.
  [[nodiscard]] bool may_have(RecordType type) const { return (types_ & bit_of(type)) != 0; }
  [[nodiscard]] int record_count() const { return record_count_; }  ///< answer, authority and additional, without OPT

  [[nodiscard]] Name owner(const RecordView& record) const;
  /// The (decompressed) name at `offset` octets into the RDATA: 0 for CNAME, NS, PTR, DNAME; 2 for MX; 6 for SRV.
  [[nodiscard]] Name rdata_name(const RecordView& record, std::size_t offset) const;

  /// Input iteration in message order: `for (const RecordView& record : view)`. Borrows the view.
  class Iterator {
   public:
    using value_type = RecordView;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    const RecordView& operator*() const { return place_ < kept_max ? view_->first_[place_] : later_; }
    const RecordView* operator->() const { return &**this; }
    Iterator& operator++() {
      const RecordView& before = **this;
      if (++place_ >= kept_max && place_ < view_->record_count_) later_ = view_->read_behind(before, place_);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(const Iterator& other) const { return place_ == other.place_; }

   private:
    friend class ResponseView;
    Iterator(const ResponseView& view, int place) : view_(&view), place_(place) {}
    const ResponseView* view_ = nullptr;
    int place_ = 0;
    RecordView later_;
  };
  [[nodiscard]] Iterator begin() const { return {*this, 0}; }
  [[nodiscard]] Iterator end() const { return {*this, record_count_}; }

 private:
  /// Records that are kept when they are checked: mostly all.
  static constexpr int kept_max = 8;
  [[nodiscard]] Section section_of(int place) const {
    return place < answer_count_                      ? Section::answer
           : place < answer_count_ + authority_count_ ? Section::authority
                                                      : Section::additional;
  }
  std::optional<MessageFault> read_records(Octets message, std::size_t at);
  static std::uint64_t bit_of(RecordType type) { return std::uint64_t{1} << static_cast<std::uint16_t>(type) % 64; }
  [[nodiscard]] RecordView read_behind(const RecordView& before, int place) const;

  Octets message_;
  std::optional<Edns> edns_;
  ResponseCode code_ = ResponseCode::noerror;
  std::uint64_t types_ = 0;
  int answer_count_ = 0, authority_count_ = 0, record_count_ = 0;
  // In a union, so that those that are not there are not filled with zeros; the last is for those that are not kept.
  union {
    std::array<RecordView, kept_max + 1> first_;
  };
};

}  // namespace doline::dns
