// Points in time as people write and read them on the command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace doline {

/// `90s`, `15m`, `24h`, `7d`, `2w` before `now`; `now`, `today`, `yesterday`; `2026-11-01`, `2026-11-01T12:30`,
/// `2026-11-01 12:30:15.25`, by local time, or with `Z` or `+01:00`.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view text, WallTime now);
/// `90s`, `15m`, `1h30m`, `7d`, `2w`.
[[nodiscard]] std::optional<seconds> parse_duration(std::string_view text);
/// `2026-11-01T12:30:15.250000Z` (ISO 8601).
[[nodiscard]] std::string to_utc_text(WallTime time);
/// `2026-11-01 13:30:15`, by local time.
[[nodiscard]] std::string to_local_text(WallTime time);
/// `2026-11-01 13:30:15 CET`
[[nodiscard]] std::string to_zoned_text(WallTime time);
/// `CET`.
[[nodiscard]] std::string local_zone(WallTime time);

}  // namespace doline
