// LogWriter: one thread that drains the workers' rings into the database, and that never lets a disk stop the DNS.
// Where connections are watched, it sets them against the answers that pass here (flow_desk.h).
//
// Built by the front door, fed by rings (which outlive it), told what ids mean by install(). Whatever goes wrong with
// the database is a state with a name, told once through `on_event`; records that could not be kept are counted as
// lost; as soon as the database can be written again, it is. A damaged file is set aside as FILE.corrupt-TIME and a new
// one begun. Conservation, after stop(): pushed = written + lost_at_database + not_recorded, and offered = pushed +
// lost_at_ring.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "querylog/database.h"
#include "querylog/flow_desk.h"
#include "querylog/legend.h"
#include "querylog/ring.h"
#include "querylog/segment_table.h"
#include "querylog/store.h"

namespace doline::querylog {

inline constexpr std::size_t pending_max = 20'000;          ///< records that wait for a database that cannot be written
inline constexpr std::size_t batch_records = segment_rows;  ///< at which a batch is written early
inline constexpr std::size_t presences_max = 65'536;        ///< that wait to be written; past it they are not taken
inline constexpr std::size_t presences_a_commit = 1'000;
inline constexpr std::size_t legends_max = 64;
inline constexpr seconds legend_kept{60};  ///< after it was superseded: longer than any query waits
inline constexpr seconds clock_ahead_max = std::chrono::hours(24);   ///< of the monotonic one, or of the log's end
inline constexpr seconds clock_doubted_for = std::chrono::hours(1);  ///< past it; nothing goes by age meanwhile
inline constexpr milliseconds drain_every{50};
inline constexpr milliseconds drain_every_busy{5};  ///< while a ring was found a quarter full

struct Options {
  std::filesystem::path path;
  seconds keep = std::chrono::hours(90 * 24);              ///< by age
  std::uint64_t max_size_octets = std::uint64_t{4} << 30;  ///< of the file; the oldest go first
  bool answers = true;                                     ///< keep what was answered
  milliseconds flush_every{1000};                          ///< a record is in the file this long after it was made
  std::optional<FlowOptions> flows;                        ///< absent: nobody watches connections
};

/// A device was seen at an address, whether it asked or not.
struct Presence {
  Identity identity;
  IpAddress address;
  WallTime seen;
};

/// Who it is to a log: with this MAC of its, or its first.
[[nodiscard]] Identity identity_of(const device::Roster& roster, const device::Device& device, device::GroupMask groups,
                                   std::optional<device::MacAddress> mac);

/// What the log is doing; everything but `writing` is degraded and recovers by itself, unless it says otherwise.
enum class LogState : std::uint8_t {
  starting,
  writing,
  disk_full,
  read_only,
  no_permission,
  locked,
  damaged,       ///< a new database was damaged at once, or the old one cannot be set aside
  newer_schema,  ///< until another file is configured
  foreign,       ///< until another file is configured
  io_error,
  stopped,
};
[[nodiscard]] std::string_view to_string(LogState state);

struct LogEvent {
  enum class Kind : std::uint8_t { degraded, recovered, set_aside, replaced, put_off };
  Kind kind = Kind::degraded;
  LogState state = LogState::starting;
  std::string text;  ///< a sentence for the operator
};

struct LogStatistics {
  std::uint64_t pushed = 0;  ///< into rings; and queries that were only seen
  std::uint64_t written = 0;
  std::uint64_t lost_at_ring = 0;      ///< the ring was full
  std::uint64_t lost_at_database = 0;  ///< the database could not be written
  std::uint64_t not_recorded = 0;      ///< by `log: none`
  std::uint64_t size_octets = 0;       ///< of the database's file
  std::optional<WallTime> oldest;      ///< record
  LogState state = LogState::starting;
  bool is_retiring_put_off = false;     ///< by age: the clock is doubted
  std::optional<FlowStatistics> flows;  ///< absent: nobody watches connections

  [[nodiscard]] std::uint64_t lost() const { return lost_at_ring + lost_at_database; }
};

class LogWriter {
 public:
  /// Starts the thread; opening the file happens there, so that neither a slow nor a bad disk holds up the start.
  /// `on_event` is called on the log writer's thread, and must not call back. `clock` and the rings outlive this.
  LogWriter(Options options, std::vector<Ring*> rings, const Clock& clock,
            std::function<void(const LogEvent&)> on_event);
  /// stop()
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  /// Any thread. Before the snapshot of this generation is installed on a worker.
  void install(Legend legend);
  /// Any thread. Of devices of which the log may keep who they are; written with the next records, or a second later.
  void note(std::vector<Presence> presences);
  /// Any thread. Takes effect with the next step of the retention.
  void keep(seconds age, std::uint64_t max_size_octets);
  /// Any thread. Waits until every record pushed before the call is in the file, or the file was tried and could not be
  /// written.
  void flush();
  /// After the workers have ended: writes what is left and ends the thread. Tries a bad disk once more, not longer.
  void stop();
  [[nodiscard]] LogStatistics statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::querylog
