// FlowReader: questions to the query log about connections, on a read-only connection of its own.
//
// As LogReader, it never holds up the writer: rows are fetched in pages. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "dns/name.h"
#include "flows/judge.h"
#include "querylog/database.h"
#include "querylog/log_reader.h"

namespace doline::querylog {

/// All that is present must match; inside one, any value matches. An empty one is absent.
struct FlowFilter {
  std::vector<std::string> devices = {};      ///< names, as they were then
  std::vector<device::MacAddress> macs = {};  ///< or of these MACs: one condition with the names
  std::vector<IpAddress> addresses = {};      ///< that were connected to
  bool only_without_lookup = false;
  std::optional<WallTime> since = {};  ///< inclusive
  std::optional<WallTime> until = {};  ///< exclusive
};

struct FlowRow {
  std::uint64_t number = 0;  ///< grows with each row that is written
  WallTime time;             ///< of its first packet
  std::string device;
  std::optional<device::MacAddress> mac;
  std::string vendor;
  std::string interface;
  std::uint8_t protocol = 0;     ///< IPPROTO_...
  Endpoint client, destination;  ///< port 0 where the protocol has none
  flows::Kind kind = flows::Kind::connection;
  flows::Explanation explanation = flows::Explanation::not_known;
  std::optional<dns::Name> name;          ///< that it was looked up under; small letters
  std::optional<flows::Traffic> traffic;  ///< as conntrack counted so far; absent: nothing yet
  bool is_refused = false;                ///< by the gate
};

class FlowReader {
 public:
  [[nodiscard]] static Result<FlowReader, DatabaseFault> open(const std::filesystem::path& file);

  /// Calls `take` for each match, in the order in which they were written, until it returns false or there is no more.
  /// How many it was called for.
  [[nodiscard]] Result<std::uint64_t, DatabaseFault> read(const FlowFilter& filter, Order order,
                                                          const std::function<bool(const FlowRow&)>& take);

 private:
  Database database_;
};

}  // namespace doline::querylog
