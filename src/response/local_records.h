// LocalRecords: the names that this house gives itself and their records: what `records:`, hosts files and devices say.
//
// An immutable table in a snapshot; find() and all that follows from it allocate nothing. Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ip_address.h"
#include "dns/code.h"
#include "dns/name.h"

namespace doline::response {

inline constexpr std::uint32_t local_ttl_seconds = 60;  ///< where nobody says another
/// CNAMEs from one local name to the next that are followed.
inline constexpr std::size_t local_chain_max = 8;
inline constexpr std::size_t local_records_max = 512;  ///< of one name; what stands behind is left out

struct LocalRecord {
  dns::RecordType type = dns::RecordType::a;
  std::uint32_t ttl_seconds = local_ttl_seconds;
  std::vector<std::uint8_t> rdata;  ///< uncompressed, names in small letters
  bool operator==(const LocalRecord&) const = default;
};
[[nodiscard]] LocalRecord address_record(const IpAddress& address, std::uint32_t ttl_seconds = local_ttl_seconds);
/// `10.1.168.192.in-addr.arpa`, and so on by half octets below ip6.arpa.
[[nodiscard]] dns::Name reverse_name(const IpAddress& address);

/// A name that CNAMEs of this house lead to.
struct LocalTarget {
  dns::Name name;
  std::uint32_t ttl_seconds = 0;  ///< the smallest on the way
};

/// What one source says of one name.
struct LocalName {
  dns::Name owner;           ///< small letters
  bool is_wildcard = false;  ///< `*.owner`: all names below it that nothing nearer says anything of (RFC 4592)
  std::vector<LocalRecord> records;
};

class LocalRecords {
 public:
  /// The first source that has a name says all of it. PTR records follow from the addresses where the source writes
  /// none itself; the first name of an address has it.
  class Builder {
   public:
    void add_source(std::span<const LocalName> names);
    /// Something is said of it, if only by a wildcard.
    [[nodiscard]] bool has(const dns::Name& lowered) const { return !made_->find(lowered).empty(); }
    /// Null where no source has said anything.
    [[nodiscard]] std::shared_ptr<const LocalRecords> build();

   private:
    void add(const dns::Name& owner, bool is_wildcard, const LocalRecord& record);
    void note_above(std::string_view wire, bool is_wildcard);
    std::shared_ptr<LocalRecords> made_ = std::make_shared<LocalRecords>();
    std::uint32_t source_ = 0;
  };

  /// All that is said of `lowered`; empty: the name is not local.
  [[nodiscard]] std::span<const LocalRecord> find(const dns::Name& lowered) const;
  /// The same for who asks for `type`: a device that is called like a top-level domain takes nothing from that, unless
  /// there are such records.
  [[nodiscard]] std::span<const LocalRecord> find(const dns::Name& lowered, dns::RecordType type) const;
  /// Where the CNAMEs of such a name lead who asks for `type`, when that is no local name: it is looked up elsewhere.
  [[nodiscard]] std::optional<LocalTarget> find_target(std::span<const LocalRecord> records,
                                                       dns::RecordType type) const;
  /// There are names below it of which something is said: so it is there itself, without records (RFC 4592 §2.2.2).
  [[nodiscard]] bool has_below(const dns::Name& lowered) const;
  /// What the CNAME among `records` leads to; null where there is none.
  [[nodiscard]] static const LocalRecord* find_cname(std::span<const LocalRecord> records);

 private:
  struct Said {
    std::uint32_t source = 0;
    std::vector<LocalRecord> records;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view wire) const { return std::hash<std::string_view>()(wire); }
  };
  using Table = std::unordered_map<std::string, Said, Hash, std::equal_to<>>;  // by wire form

  Table names_, wildcards_;
  std::unordered_set<std::string, Hash, std::equal_to<>> above_;  // all names above these, by wire form
  int wildcard_labels_max_ = 0;                                   // of what stands behind `*.`
};

}  // namespace doline::response
