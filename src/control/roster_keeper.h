// RosterKeeper: who is on this LAN: the operator's devices and groups, put together with what the kernel's neighbour
// table and the DHCP servers' lease files tell, and with what was known before the last restart.
//
// Control thread only. Makes a new Roster whenever one would differ, at most every `settle`; writes state/devices.json
// now and then and when it ends: of devices whose log keeps their name, and of no others.
#pragma once

#include <spdlog/fwd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "control/loop.h"
#include "control/pointer_asker.h"
#include "control/sighting_book.h"
#include "device/lease_file.h"
#include "device/roster.h"

namespace doline::control {

/// How long it waits, where tests must not.
struct RosterPace {
  milliseconds settle{300};        ///< after a device was seen, for others to follow
  milliseconds settle_max{2'000};  ///< however many follow
  milliseconds ask_after{300};     ///< a client that nobody knows: the kernel asks for its MAC when it is answered
  milliseconds save_every{60'000};
};

/// Where SightingBook's text lies, for other processes.
[[nodiscard]] std::filesystem::path sightings_file(const std::filesystem::path& state_folder);
/// As replace_text_file(); of nobody there is no file, for which a full disk has room.
[[nodiscard]] std::string save_sightings(const std::filesystem::path& file, const std::string& text,
                                         const char* suffix);

/// Where names are looked for beyond leases (`discover`).
struct Discovery {
  bool hears_announcements = false;
  std::vector<std::string> interfaces;    ///< of the LAN; empty: all of private networks
  std::vector<PointerAsker::Zone> zones;  ///< to ask for PTR; empty: nobody is asked
};

class RosterKeeper {
 public:
  struct LeaseState {
    std::filesystem::path file;
    std::optional<device::LeaseFormat> format;
    std::size_t leases = 0;  ///< that run
    std::vector<device::LeaseProblem> problems;
    std::string failure;  ///< why it cannot be read; empty: it can
  };
  using OnRoster = std::function<void(std::shared_ptr<const device::Roster>)>;

  /// `on_roster`: whenever current() has changed, but for configure(). `vendors`: the folder of the IEEE's CSV files
  /// (Debian: ieee-data), read on the pool when the first device is there whose vendor is not remembered; without it
  /// devices have no vendor.
  RosterKeeper(Loop& loop, std::filesystem::path state_folder, const Clock& clock, spdlog::logger& log,
               OnRoster on_roster, RosterPace pace = RosterPace{},
               std::filesystem::path vendors = "/usr/share/ieee-data");
  /// Writes what is not yet written.
  ~RosterKeeper();
  RosterKeeper(const RosterKeeper&) = delete;
  RosterKeeper& operator=(const RosterKeeper&) = delete;

  /// At start and at every reload; current() is of these settings when it returns.
  void configure(std::vector<device::Group> groups, std::vector<device::DeviceSettings> devices,
                 std::vector<std::filesystem::path> leases);
  /// At start and at every reload, after configure().
  void discover(Discovery wanted);
  /// The sentence why announcements are not heard; empty: they are, or need not.
  [[nodiscard]] std::string deafness() const;
  [[nodiscard]] std::shared_ptr<const device::Roster> current() const;
  /// A client that is no known device has asked: looks at the neighbour table again, for all such clients at once.
  void saw_client(const IpAddress& client);
  /// Reads lease files that have changed; their folders are watched too.
  void check_leases();
  [[nodiscard]] std::vector<LeaseState> lease_states() const;
  /// As SightingBook, and out of the file. A device that is still there is soon found anew. The fault is a sentence.
  [[nodiscard]] Result<std::size_t, std::string> forget(const querylog::Forgetting& what);
  /// As SightingBook: of MACs that current() need not know yet.
  [[nodiscard]] std::vector<SightingBook::Seen> seen_after(WallTime time) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // jobs on the pool may end after us: they hold it weakly
};

}  // namespace doline::control
