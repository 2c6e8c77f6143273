// What devices were told before now and may still use, read back from the query log: for those who forget it with a
// restart (FlowDesk), or never knew it of a device (the gate, control/interception.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "dns/name.h"
#include "querylog/log_reader.h"

namespace doline::querylog {

/// A day's TTL, and an hour in which devices hold on to it.
inline constexpr seconds recent_answers_age{25 * 3'600};
/// More are not looked at: the newest count, and a start must not take long.
inline constexpr std::uint64_t recent_answers_max = 500'000;

struct RecentAnswer {
  std::optional<device::MacAddress> mac;
  IpAddress client;
  dns::Name name;                    ///< as it was asked for
  std::vector<IpAddress> addresses;  ///< never empty
  seconds ttl{0};                    ///< the smallest
  WallTime time;
};

/// Calls `take` for each answer with addresses that named devices got since `now` - recent_answers_age, the newest
/// first, until it returns false. `macs`: only of these; empty: of all.
[[nodiscard]] Result<void, DatabaseFault> recall_answers(LogReader& log, std::vector<device::MacAddress> macs,
                                                         WallTime now,
                                                         const std::function<bool(const RecentAnswer&)>& take);

}  // namespace doline::querylog
