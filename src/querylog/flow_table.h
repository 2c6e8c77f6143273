// FlowTable: the table `flow` of a query log: a row for each connection of a device. SCHEMA.md describes it.
//
// Belongs to the thread of its Database, which must outlive it. Transactions are the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/result.h"
#include "flows/judge.h"
#include "querylog/database.h"

namespace doline::querylog {

/// One row, its values in the store's dictionaries; 0 is none.
struct FlowEntry {
  std::int64_t time = 0;  ///< microseconds since 1970: when its first packet was logged
  std::uint32_t device = 0, client = 0, destination = 0, name = 0, interface = 0;
  std::uint16_t client_port = 0, port = 0;
  std::uint8_t protocol = 0;
  flows::Kind kind = flows::Kind::connection;
  flows::Explanation explanation = flows::Explanation::not_known;
  bool is_refused = false;                ///< by the gate
  std::optional<flows::Traffic> traffic;  ///< absent: nothing was counted yet
};

class FlowTable {
 public:
  /// Makes the table where it is not there yet: a log that was begun before there were flows. Likewise `refused`.
  [[nodiscard]] static Result<FlowTable, DatabaseFault> open(Database& database);

  /// The number of the new row; no two rows of a file have one.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> insert(const FlowEntry& entry);
  /// A row that is gone is no fault.
  [[nodiscard]] Result<void, DatabaseFault> set_traffic(std::int64_t number, const flows::Traffic& traffic);
  /// Time of the oldest row; 0 where there is none.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> oldest();
  /// Of the `most` oldest rows those from before `cutoff`. How many went.
  [[nodiscard]] Result<std::size_t, DatabaseFault> remove_before(std::int64_t cutoff, std::size_t most);
  /// The dictionary's ids in up to `most` rows behind the row `after`. The number of the last; nothing: no row is left.
  [[nodiscard]] Result<std::optional<std::int64_t>, DatabaseFault> ids_behind(
      std::int64_t after, std::size_t most, const std::function<void(const FlowEntry&)>& see);

  void reset();

 private:
  Statement insert_, set_traffic_, oldest_, remove_, ids_;
};

/// A database that was never opened by a writer of this version has none, or one that says of no connection that it was
/// refused.
[[nodiscard]] Result<bool, DatabaseFault> has_flow_table(Database& database);
[[nodiscard]] Result<bool, DatabaseFault> tells_refused_flows(Database& database);
/// Rows of these devices (nothing: all) from before `before`. How many went.
[[nodiscard]] Result<std::uint64_t, DatabaseFault> forget_flows(
    Database& database, const std::optional<std::span<const std::uint32_t>>& devices, std::int64_t before);

}  // namespace doline::querylog
