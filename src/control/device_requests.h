// answer_device_request(): what `doline device` asks of the running Doline: to show, join, separate, learn, lock and
// unlock a device.
//
// Changes the book alone; whoever serves the request makes roster and rules anew from it. Control thread only.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/time.h"
#include "control/device_book.h"
#include "control/lock_alarms.h"
#include "device/roster.h"
#include "querylog/forget.h"

namespace doline::control {

/// `request`: {"ask": "device.lock", "device": "camera", ...}. The answer has an "error" where it could not be done, a
/// "warning" where there is one, and the device as it is now. `changed`: the sentence for the log; empty: nothing has
/// changed.
[[nodiscard]] nlohmann::json answer_device_request(const nlohmann::json& request, const device::Roster& roster,
                                                   WallTime now, DeviceBook& book, LockAlarms& alarms,
                                                   std::string& changed);

/// The book and the alarms, for `doline status`: an object a device.
[[nodiscard]] nlohmann::json to_json(const DeviceBook& book, const LockAlarms& alarms);

/// What is to be forgotten, as a request of `doline log forget` says it, and read from one.
[[nodiscard]] nlohmann::json to_request(const querylog::Forgetting& what);
[[nodiscard]] querylog::Forgetting read_forgetting(const nlohmann::json& request);

}  // namespace doline::control
