// Store: the write side of the query log's database: dictionaries, rows, rollups, retention.
//
// Owned by the log writer's thread. Between begin() and commit() it remembers which dictionary entries it knows; after
// any fault the caller calls roll_back(), which forgets them all, and may try the same rows again. Ids are rowids, from
// 1; 0 is NULL.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
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
#include "querylog/record.h"

namespace doline::querylog {

/// Who a device was when it asked: a row for each that ever was. All empty: anonymous.
struct Identity {
  std::string name;
  std::optional<device::MacAddress> mac;
  std::string vendor;
  std::string hostname;
  std::string groups;  ///< names, each ended by a line feed

  [[nodiscard]] bool is_anonymous() const { return name.empty() && !mac; }
};

struct Row {
  std::int64_t ts = 0;  ///< microseconds since 1970; made unique by insert()
  std::int64_t device = 0, client = 0, destination = 0, name = 0, rule = 0, lists = 0, observed_rule = 0, answer = 0,
               upstream = 0;
  const Record* record = nullptr;  ///< the plain columns
  std::uint32_t ttl = 0;
};

struct Extent {
  std::uint64_t octets = 0;       ///< of the main file
  std::uint64_t used_octets = 0;  ///< of them, not free
  std::int64_t oldest = 0;        ///< ts; 0 where there is no row
};

class Store {
 public:
  /// Opens or makes the file. A first look for damage takes at most `check_time`.
  static Result<std::unique_ptr<Store>, DatabaseFault> open(const std::filesystem::path& file, milliseconds check_time);
  /// Moves what the WAL holds into the file, if it can.
  ~Store();

  [[nodiscard]] Result<void, DatabaseFault> begin();
  [[nodiscard]] Result<std::int64_t, DatabaseFault> device(const Identity& identity);
  [[nodiscard]] Result<std::int64_t, DatabaseFault> endpoint(const Endpoint& endpoint, std::int64_t hour);
  [[nodiscard]] Result<std::int64_t, DatabaseFault> name(const dns::Name& name, std::int64_t hour);
  [[nodiscard]] Result<std::int64_t, DatabaseFault> text(std::string_view text);
  /// `octets`: from encode_answers.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> answer(std::int64_t name, dns::Octets octets, std::int64_t hour);
  [[nodiscard]] Result<void, DatabaseFault> insert(const Row& row);
  [[nodiscard]] Result<void, DatabaseFault> commit();
  void roll_back();
  /// Grows whenever ids that were handed out may have become void.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }

  /// One small step of taking away what is older than `cutoff` or, oldest first, too much for `octets_max`: at most
  /// `rows_max` rows, then dictionary entries that nothing names any more, then free pages. False: nothing is left to
  /// do.
  [[nodiscard]] Result<bool, DatabaseFault> retire(std::int64_t cutoff, std::uint64_t octets_max,
                                                   std::int64_t rows_max);
  [[nodiscard]] Result<Extent, DatabaseFault> extent();
  /// Gives the WAL's disk space back where it can.
  void shrink_wal();

 private:
  Store() = default;
  [[nodiscard]] Result<void, DatabaseFault> prepare();
  [[nodiscard]] Result<void, DatabaseFault> write_rollups();
  [[nodiscard]] Result<std::int64_t, DatabaseFault> retire_rows(std::int64_t cutoff, std::uint64_t octets_max,
                                                                std::int64_t rows_max);
  [[nodiscard]] Result<bool, DatabaseFault> collect_garbage(std::int64_t ids_max);
  void forget_caches();

  struct Dated {
    std::int64_t id = 0;
    std::int64_t hour = 0;  // the last one written
  };
  struct Count {
    std::int64_t queries = 0, first = 0, last = 0;
  };
  using DeviceHour = std::tuple<std::int64_t, std::int64_t, int, int>;           // device, hour, verdict, intercepted
  using DestinationHour = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // device, hour, destination
  using ClientHour = std::pair<std::int64_t, std::int64_t>;                      // device, client

  Database database_;
  dns::SipKey secret_{};
  std::uint64_t epoch_ = 1;
  std::int64_t last_ts_ = 0;
  std::int64_t stretch_begin_ = 0, stretch_end_ = -1;  // no ts from one to the other is free
  std::int64_t known_data_version_ = 0;

  Statement begin_, commit_, data_version_, insert_row_, find_device_, insert_device_, find_endpoint_, insert_endpoint_,
      date_endpoint_, find_name_, insert_name_, insert_name_hour_, find_text_, insert_text_, find_answer_,
      insert_answer_, date_answer_, insert_answer_address_, add_device_hour_, add_destination_hour_, add_client_hour_;

  std::unordered_map<std::string, Dated> names_;
  std::unordered_map<std::string, Dated> endpoints_;
  std::unordered_map<std::uint64_t, Dated> answers_;
  std::unordered_map<std::string, std::int64_t> texts_;
  std::map<DeviceHour, Count> device_hours_;
  std::map<DestinationHour, std::int64_t> destination_hours_;
  std::map<ClientHour, std::int64_t> client_hours_;

  // Garbage is looked for in steps, through each dictionary once for every hour that retires.
  enum class Sweep : std::uint8_t { none, names, answers, endpoints, devices };
  Sweep sweep_ = Sweep::none;
  std::int64_t sweep_at_ = 0;
  std::int64_t oldest_hour_ = 0;  // rows of earlier hours are gone
};

}  // namespace doline::querylog
