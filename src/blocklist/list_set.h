// ListSet: all lists compiled into one read-only mapped file; "which lists name this name?" without allocation.
//
// Immutable and shared: a snapshot holds a shared_ptr, workers look up without locks. The file is described octet by
// octet in blocklist/FORMAT.md; anything wrong with it (version, checksum, length) is a fault and the caller compiles
// anew. Look-ups are right up to a keyed hash of the name (collisions between listed names are resolved when compiling;
// the chance that an unlisted name is taken for a listed one is below 1e-12 a look-up); `doline explain` reads the text
// files and is exact.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "blocklist/list_id.h"
#include "blocklist/list_rule.h"
#include "dns/name.h"

namespace doline::blocklist {

inline constexpr std::size_t names_max = 64'000'000;
/// A name has at most 127 suffixes, but more than this many of them with *different* sets of lists is answered by the
/// longest.
inline constexpr std::size_t coverings_max = 16;

/// What lists say of a look-up, by one name of theirs, or by expressions and addresses.
struct Covering {
  std::uint32_t set;    ///< index of an interned set of words
  std::uint8_t labels;  ///< of the listed name that covers (3 for `ads.example.com`); 0: no name does
};

/// One list's word on what was looked up.
struct Word {
  ListId list;
  const ListRule* rule = nullptr;  ///< null: no more than "it is listed"; borrowed from the set of lists
};

/// Of a number behind a word's: the list whose ListId the other bits are takes it back (`$badfilter`).
inline constexpr std::uint32_t taken_back_by = 0x40000000;

/// Of ListSet::seek(): means something to that set alone.
struct NamePlace {
  std::uint64_t place = 0, tag = 0;
};

/// The answer to a look-up: small, by value, no heap. Empty for most names.
struct Listing {
  std::array<Covering, coverings_max> coverings;  // [0, count), longest listed name first; beyond unset
  std::uint8_t count = 0;

  Listing() {}  // NOLINT(modernize-use-equals-default): nor is what is beyond filled with zeros, or copied
  Listing(const Listing& other) { *this = other; }
  Listing& operator=(const Listing& other) {
    count = other.count;
    for (std::size_t at = 0; at < count; ++at) coverings[at] = other.coverings[at];
    return *this;
  }
  /// What is said already, is the empty set, or finds no room is left out.
  void add(const Covering& covering) {
    const auto known = all();
    if (covering.set == 0 || count == coverings_max ||
        std::any_of(known.begin(), known.end(), [&](const Covering& one) { return one.set == covering.set; }))
      return;
    coverings[count++] = covering;
  }
  [[nodiscard]] bool is_empty() const { return count == 0; }
  [[nodiscard]] std::span<const Covering> all() const { return {coverings.data(), count}; }
};

enum class ListSetFault : std::uint8_t { missing, unreadable, not_a_list_set, other_version, damaged };
[[nodiscard]] std::string_view to_string(ListSetFault fault);

class ListSet {
 public:
  /// The set without lists: every look-up is empty.
  static std::shared_ptr<const ListSet> none();
  /// Maps the file; `check_all` verifies the checksum over all octets (reads every page), else only over the header and
  /// tables.
  static Result<std::shared_ptr<const ListSet>, ListSetFault> open(const std::filesystem::path& file,
                                                                   bool check_all = false);
  ~ListSet();
  ListSet(const ListSet&) = delete;
  ListSet& operator=(const ListSet&) = delete;

  /// `lowered`: qname with small letters (Name::lowered()). `place`: seek() of it, where that has been asked for.
  [[nodiscard]] Listing look_up(const dns::Name& lowered, const std::optional<NamePlace>& place = std::nullopt) const;
  /// Where a name stands if it is listed: what look_up() will read there is on its way from memory meanwhile.
  [[nodiscard]] NamePlace seek(const dns::Name& lowered) const;
  /// Words on the addresses in an answer, and on that of a client; the longest prefix first, then in their order.
  [[nodiscard]] Listing look_up_answer(std::span<const IpAddress> addresses) const;
  [[nodiscard]] Listing look_up_client(const IpAddress& client) const;
  /// Words on a name server of what is asked for, by its name (small letters); on the addresses of all, as above.
  [[nodiscard]] Listing look_up_server(const dns::Name& lowered) const;
  [[nodiscard]] Listing look_up_server(std::span<const IpAddress> addresses) const;
  /// True where plain words of one of `lists` (ascending) are on the name (small letters), and no exception of theirs.
  /// What holds for some clients or types alone is neither.
  [[nodiscard]] bool is_named_by(std::span<const ListId> lists, const dns::Name& lowered) const;
  /// The addresses and networks that are so named, as those of answers; in no order.
  [[nodiscard]] std::vector<IpPrefix> networks_of(std::span<const ListId> lists) const;
  [[nodiscard]] bool lists_answers() const { return lists_answers_; }  ///< any look_up_answer() may find something
  [[nodiscard]] bool lists_clients() const { return lists_clients_; }
  [[nodiscard]] bool lists_servers() const { return lists_servers_; }  ///< by name or by address
  [[nodiscard]] bool lists_server_addresses() const { return lists_server_addresses_; }
  /// Whether words hold only for answers from some countries or systems.
  [[nodiscard]] bool lists_origins() const { return lists_origins_; }

  /// The lists of an interned set, ascending; borrowed from the mapping.
  [[nodiscard]] std::span<const ListId> lists_of(std::uint32_t set) const;
  /// False: all words of all sets are plain.
  [[nodiscard]] bool has_words() const { return has_words_; }
  /// Its words, where any says more than "it is listed" or is a zone's; else none, and lists_of() tells all.
  [[nodiscard]] std::span<const std::uint32_t> words_of(std::uint32_t set) const;
  /// Calls `take(number, takers)` for each: by the lists of `takers` it is taken back, where they are judged with its
  /// own.
  template <class Take>
  void each_word(std::uint32_t set, Take take) const {
    const auto numbers = words_of(set);
    for (std::size_t at = 0, end = 0; at < numbers.size(); at = end) {
      for (end = at + 1; end < numbers.size() && (numbers[end] & taken_back_by) != 0;) ++end;
      take(numbers[at], numbers.subspan(at + 1, end - at - 1));
    }
  }
  [[nodiscard]] Word word(std::uint32_t number) const;
  /// RPZ: it answers as the zone says, and of its words those on the longest name decide.
  [[nodiscard]] bool is_zone(ListId list) const;
  /// dnsmasq, Unbound: what it says of the longest name is all it says.
  [[nodiscard]] bool goes_by_longest(ListId list) const;
  [[nodiscard]] std::uint64_t name_count() const;
  /// Distinct names of one list; 0 for a list that the set does not have.
  [[nodiscard]] std::uint64_t name_count(ListId list) const;
  [[nodiscard]] std::size_t list_count() const;
  /// Digest of the inputs (lists' content and settings) it was compiled from: equal inputs, equal file.
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  ListSet();
  [[nodiscard]] bool is_named_by(std::span<const ListId> lists, std::uint32_t set, bool& is_excepted) const;

  struct Layout;  // pointers into the mapping
  std::unique_ptr<Layout> layout_;
  bool has_words_ = false, lists_answers_ = false, lists_clients_ = false, lists_servers_ = false,
       lists_server_addresses_ = false, lists_origins_ = false;  // what every look-up asks
};

}  // namespace doline::blocklist
