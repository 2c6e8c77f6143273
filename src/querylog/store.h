// Store: the write side of the query log's database: dictionaries, segments, retention.
//
// Owned by the log writer's thread. Between begin() and commit() it gathers rows and remembers which dictionary entries
// it knows; after any fault the caller calls roll_back(), which forgets them all, and may try the same rows again.
// Ids are rowids, from 1; 0 is none.
//
// What one commit brings becomes a segment; segments of few rows are gathered into larger ones, until they are full.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "dns/cookie.h"
#include "dns/name.h"
#include "querylog/answers.h"
#include "querylog/database.h"
#include "querylog/entry_table.h"
#include "querylog/flow_table.h"
#include "querylog/id_memory.h"
#include "querylog/record.h"
#include "querylog/segment_table.h"

namespace doline::querylog {

/// Rows may stay this much longer than the cutoff says: a segment is written anew once an hour at most.
inline constexpr std::int64_t retired_late_at_most = 3'600'000'000;  // microseconds

/// Who a device was when it asked: a row for each that ever was. All empty: anonymous.
struct Identity {
  std::string name;
  std::optional<device::MacAddress> mac;
  std::string vendor;
  std::string hostname;
  std::string groups;  ///< names, each ended by a line feed

  [[nodiscard]] bool is_anonymous() const { return name.empty() && !mac; }
};

/// A row under way.
struct Row {
  /// Of what the record says itself. Ids, and the TTL that is an answer's, are put in by whoever has them.
  explicit Row(const Record& record);
  [[nodiscard]] std::uint32_t& operator[](Column column) { return values[static_cast<std::size_t>(column)]; }

  std::int64_t time;  ///< microseconds since 1970
  Values values{};
};

/// Longer unseen, a device that comes back to an address has a new row in `presence`.
inline constexpr std::int64_t presence_gap = std::int64_t{86'400} * 1'000'000;  // microseconds
inline constexpr std::int64_t presence_rows_max = 200'000;                      ///< the ones seen longest ago go

struct Extent {
  std::uint64_t octets = 0;       ///< of the main file
  std::uint64_t used_octets = 0;  ///< of them, not free
  std::int64_t oldest = 0;        ///< ts; 0 where there is no row
};

class Store {
 public:
  using Id = Result<std::uint32_t, DatabaseFault>;

  /// Opens or makes the file. A first look for damage takes at most `check_time`.
  static Result<std::unique_ptr<Store>, DatabaseFault> open(const std::filesystem::path& file, milliseconds check_time);
  /// Moves what the WAL holds into the file, if it can.
  ~Store();

  [[nodiscard]] Result<void, DatabaseFault> begin();
  [[nodiscard]] Id device(const Identity& identity);
  [[nodiscard]] Id endpoint(const Endpoint& endpoint);
  /// What a name, or an answer, is remembered by. Who asks for it some entries ahead has its id sooner.
  [[nodiscard]] std::uint64_t hash_of(const dns::Name& name) const;
  [[nodiscard]] std::uint64_t hash_of(dns::Octets answer) const;
  /// A name, or an answer, that has not come for very long may be kept again, under another id.
  [[nodiscard]] Id name(const dns::Name& name, std::uint64_t hash);
  [[nodiscard]] Id name(const dns::Name& name) { return this->name(name, hash_of(name)); }
  [[nodiscard]] Id text(std::string_view text);
  /// `octets`: from encode_answers. Names that are answered alike share one.
  [[nodiscard]] Id answer(dns::Octets octets, std::uint64_t hash);
  [[nodiscard]] Id answer(dns::Octets octets) { return answer(octets, hash_of(octets)); }
  [[nodiscard]] Result<void, DatabaseFault> insert(const Row& row);
  /// A device was seen at an address at this time, whether it asked or not.
  [[nodiscard]] Result<void, DatabaseFault> note_presence(const Identity& identity, const IpAddress& address,
                                                          std::int64_t seen);
  /// A connection; its number.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> insert(const FlowEntry& entry) { return flows_.insert(entry); }
  [[nodiscard]] Result<void, DatabaseFault> set_traffic(std::int64_t flow, const flows::Traffic& traffic) {
    return flows_.set_traffic(flow, traffic);
  }
  [[nodiscard]] Result<void, DatabaseFault> commit();
  void roll_back();
  /// Grows whenever ids that were handed out may have become void.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// One small step of taking away what is older than `cutoff` or, oldest first, too much for `octets_max`: at most
  /// `segments_max` segments and as many thousands of connections, then dictionary entries that nothing names any more,
  /// then free pages; and before all that, of bringing old rows over. False: nothing is left to do.
  [[nodiscard]] Result<bool, DatabaseFault> retire(std::int64_t cutoff, std::uint64_t octets_max,
                                                   std::size_t segments_max);
  [[nodiscard]] Result<Extent, DatabaseFault> extent();
  /// Of the rows that came last; the first of them where they are spread over more than a day, since some may be of a
  /// clock that was wrong. None: there is none, or they cannot be read.
  [[nodiscard]] std::optional<WallTime> newest();
  /// Gives the WAL's disk space back where it can.
  void shrink_wal();

 private:
  enum Dictionary : std::uint8_t { devices, endpoints, names, texts, answers };
  static constexpr std::size_t dictionaries = 5;

  Store() = default;
  [[nodiscard]] Result<void, DatabaseFault> prepare();
  [[nodiscard]] Result<void, DatabaseFault> look_at_segments();
  [[nodiscard]] Result<void, DatabaseFault> put_rows();
  [[nodiscard]] Result<std::size_t, DatabaseFault> retire_segments(std::int64_t cutoff, std::uint64_t octets_max,
                                                                   std::size_t segments_max);
  [[nodiscard]] Result<void, DatabaseFault> retire_presences(std::int64_t cutoff);
  [[nodiscard]] Result<void, DatabaseFault> mark_presences();
  [[nodiscard]] Result<void, DatabaseFault> collect_garbage(std::size_t gone);
  [[nodiscard]] Result<void, DatabaseFault> mark_entries();
  [[nodiscard]] Result<void, DatabaseFault> mark_entries_of_flows();
  [[nodiscard]] Result<void, DatabaseFault> sweep_entries();
  [[nodiscard]] Result<void, DatabaseFault> remember_newest();
  [[nodiscard]] Id inserted_id(Dictionary dictionary, const Statement& insert);
  [[nodiscard]] Id found_id(Dictionary dictionary, Statement& find);
  std::uint32_t mark(Dictionary dictionary, std::uint32_t id);
  void forget_caches();

  Database database_;
  SegmentTable segments_;
  FlowTable flows_;
  dns::SipKey secret_{};
  std::uint64_t epoch_ = 1;
  std::int64_t known_data_version_ = 0;

  Statement begin_, commit_, data_version_, oldest_, find_device_, insert_device_, find_endpoint_, insert_endpoint_,
      find_name_, find_text_, insert_text_, prolong_presence_, insert_presence_;

  // By a hash with a secret, so that nobody who chooses names or answers can make two of them look alike.
  IdMemory names_, answers_;
  EntryTable new_names_, new_answers_;  // that are not remembered
  bool has_name_index_ = false;
  bool remembers_newest_ = false;
  struct EndpointHash {
    std::size_t operator()(const Endpoint& endpoint) const {
      return std::hash<IpAddress>()(endpoint.address) + endpoint.port;
    }
  };
  std::unordered_map<Endpoint, std::uint32_t, EndpointHash> endpoints_;
  std::unordered_map<std::string, std::uint32_t> texts_;

  SegmentWriter rows_;  // of this transaction
  SegmentWriter gathered_;
  std::vector<SegmentTable::Entry> unsealed_;
  std::int64_t next_number_ = 1;
  bool has_old_rows_ = false;

  // Garbage is looked for in steps: which entries the segments name and which the flows, then, dictionary by
  // dictionary, which are not named. What is handed out meanwhile is named too.
  enum class Sweep : std::uint8_t { none, mark, mark_flows, sweep };
  Sweep sweep_ = Sweep::none;
  std::int64_t swept_to_ = 0;  // a segment's number, or an id
  Dictionary swept_ = devices;
  std::array<std::vector<bool>, dictionaries> marked_;
  std::size_t retired_since_sweep_ = 0;
  std::int64_t oldest_at_sweep_ = 0;
  std::int64_t presences_retired_to_ = 0;
};

/// Takes ids into a row, and remembers why the first that could not be had could not.
struct KeptIds {
  std::optional<DatabaseFault> fault;
  void operator()(std::uint32_t& id, const Store::Id& found) {
    if (found)
      id = *found;
    else if (!fault)
      fault = found.error();
  }
};

}  // namespace doline::querylog
