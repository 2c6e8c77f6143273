// MessageWriter: builds one message into octets that the caller owns, front to back, never past their end.
//
// Names are compressed against the question and earlier ones in a bounded table (the first 16 KiB,
// compression_names_max names; RFC 1035 §4.1.4), in linear time. A record that does not fit is not begun: record()
// returns false and the message stays well formed, so that the caller can set TC and stop. Allocation-free; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "dns/code.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/question.h"
#include "dns/write_octets.h"

namespace doline::dns {

inline constexpr int compression_names_max = 128;

struct Flags {
  bool response = true;
  Opcode opcode = Opcode::query;
  bool authoritative = false;
  bool truncated = false;
  bool recursion_desired = false;
  bool recursion_available = true;
  bool authentic_data = false;
  bool checking_disabled = false;
};

/// What our OPT record carries.
struct OptRecord {
  std::uint16_t udp_payload_size = 1232;
  bool dnssec_ok = false;
  std::optional<ExtendedError> error = {};  ///< RFC 8914
  std::string_view error_text = {};         ///< UTF-8, shortened to fit; only with `error`
  Octets cookie = {};                       ///< 8 to 40 octets, or none
};

class MessageWriter {
 public:
  /// `space`: at least 12 octets; borrowed until the last call.
  explicit MessageWriter(std::span<std::uint8_t> space);

  void header(std::uint16_t id, Flags flags, ResponseCode code) {
    std::uint8_t* const out = space_.data();
    put16(out, id);
    out[2] = static_cast<std::uint8_t>((flags.response ? 0x80 : 0) | static_cast<int>(flags.opcode) << 3 |
                                       (flags.authoritative ? 0x04 : 0) | (flags.truncated ? 0x02 : 0) |
                                       (flags.recursion_desired ? 0x01 : 0));
    out[3] = static_cast<std::uint8_t>((flags.recursion_available ? 0x80 : 0) | (flags.authentic_data ? 0x20 : 0) |
                                       (flags.checking_disabled ? 0x10 : 0) | (static_cast<int>(code) & 0x0f));
    std::memset(out + 4, 0, 8);
    code_ = code;
    size_ = header_octets;
    qname_octets_ = 0;
    is_question_entered_ = false;
    names_count_ = 0;
    section_ = Section::answer;
  }
  /// At most once, before any record. Case is kept. False where it does not fit.
  bool question(const Question& asked) { return question(asked, asked.qname.wire()); }
  /// The same with the name in the case of `qname`.
  bool question(const Question& asked, Octets qname);
  /// RDATA as is (no name in it that should be compressed).
  bool record(Section section, const Name& owner, RecordType type, RecordClass record_class, std::uint32_t ttl,
              Octets rdata);
  /// RDATA that is a lone domain name (CNAME, PTR, NS, DNAME), compressed where RFC 3597 §4 allows.
  bool record(Section section, const Name& owner, RecordType type, RecordClass record_class, std::uint32_t ttl,
              const Name& target);
  /// A record of a parsed message: names in RDATA are decompressed, and compressed anew where allowed.
  bool copy(Section section, const ResponseView& from, const RecordView& record, std::uint32_t ttl) {
    return copy(section, from.owner(record), from, record, ttl);
  }
  /// The same for who knows the owner already.
  bool copy(Section section, const Name& owner, const ResponseView& from, const RecordView& record, std::uint32_t ttl);
  /// The same octets that copy() would write, of a normal record of a message with the same question.
  bool copy_normal(const ResponseView& from, const RecordView& record, std::uint32_t ttl);
  /// The OPT record; last. The upper bits of `header`'s code go here. Options that do not fit are left out, text first.
  bool opt(const OptRecord& opt);
  void set_truncated();
  /// Where the TTL of the last written record stands.
  [[nodiscard]] std::size_t last_ttl_offset() const { return last_ttl_offset_; }

  /// Octets written so far; a well-formed message at any time after header().
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  enum class Compress : std::uint8_t { no, yes };
  struct Entry {
    std::uint16_t offset;
    std::uint16_t hops;  // pointers that a reader follows from here to the root
    std::uint32_t hash;
  };
  struct Mark {
    std::size_t size, last_ttl_offset;
    int names_count;
    bool is_question_entered;
  };
  [[nodiscard]] Mark mark() const { return {size_, last_ttl_offset_, names_count_, is_question_entered_}; }
  bool roll_back(Mark to);  // always false
  bool write_name(const Name& name, Compress compress);
  void enter_question();
  [[nodiscard]] const Entry* find_name(std::uint32_t hash, const std::uint8_t* wire) const;
  template <class Write>
  bool add(Section section, Write write);
  bool write_head(RecordType type, RecordClass record_class, std::uint32_t ttl);
  bool write_octets(Octets octets);
  bool copy_rdata(Octets from, const RecordView& record);
  void end_record(Section section);  // RDLENGTH and the section's count
  void count_record(Section section);

  std::span<std::uint8_t> space_;
  std::size_t size_ = 0;
  std::size_t last_ttl_offset_ = 0;
  ResponseCode code_ = ResponseCode::noerror;
  Section section_ = Section::answer;  // of the last record: sections are written in order
  std::uint8_t qname_octets_ = 0;      // of the question's name, which stands behind the header; 0: none
  bool is_question_entered_ = false;   // in names_: only once another name is written
  std::array<Entry, compression_names_max> names_;
  int names_count_ = 0;
};

/// Puts an OPT record behind a message of `size` octets in `space` that has none, and counts it. Options that do not
/// fit are left out, text first. Returns the new size; the old one where not even a bare record fits. `code`: its upper
/// bits go into the record.
[[nodiscard]] std::size_t append_opt(std::span<std::uint8_t> space, std::size_t size, const OptRecord& opt,
                                     ResponseCode code);

/// Changes header fields in place; `message` has at least 12 octets.
void patch_id(std::span<std::uint8_t> message, std::uint16_t id);

/// A query as a client makes it: RD set, no EDNS. RFC 1035 §4.1.1.
[[nodiscard]] std::vector<std::uint8_t> make_query(std::uint16_t id, const Question& question);

}  // namespace doline::dns
