// DeviceBook: what the operator has said of devices at the command line (`doline device`): which MACs are one device,
// which device is being learned, which is locked. Kept in state/device-book.json from start to start.
//
// A device that no `devices:` entry names is called by what it says of itself. With the first word about it the book
// keeps its name for the MACs that it has then, so that it cannot leave a lock by another host name. Where the YAML
// says something else of a name or a MAC, the YAML holds. Control thread only; commands that judge read its file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "device/roster.h"
#include "policy/lock.h"
#include "redirect/restrictions.h"

namespace doline::control {

inline constexpr std::size_t booked_devices_max = 1'000;
inline constexpr std::size_t booked_macs_max = 64;    ///< of one device
inline constexpr std::size_t lock_flows_max = 1'000;  ///< connections that one lock allows
inline constexpr seconds learning_max{366 * 86'400};

struct BookedMac {
  device::MacAddress mac;
  WallTime since;
  bool is_joined = false;  ///< else it was the device's when the book first spoke of it
};

/// What counts as learned is the query log of that time.
struct Learning {
  WallTime from, until;
};

/// What a locked device may look up, and connect to beside what its answers give.
struct BookedLock {
  policy::Lock names;
  std::optional<std::vector<redirect::AllowedFlow>> flows;  ///< absent: its connections are not held
};

struct BookedDevice {
  std::string name;
  std::vector<BookedMac> macs;
  std::optional<Learning> learning;
  std::optional<BookedLock> lock;
  WallTime locked_since;  ///< with `lock`
};

class DeviceBook {
 public:
  /// Reads the file and writes nothing; what is malformed in it is passed over. `complaint`: the sentence about a file
  /// that is no such one.
  DeviceBook(std::filesystem::path file, std::string& complaint);

  [[nodiscard]] const std::vector<BookedDevice>& all() const { return devices_; }
  [[nodiscard]] const BookedDevice* find(std::string_view name) const;
  [[nodiscard]] std::vector<policy::Lock> locks() const;
  /// Of those whose connections are held.
  [[nodiscard]] std::vector<redirect::FlowLock> flow_locks() const;
  /// The YAML's devices, with what the book says of them, then those of which only the book knows.
  [[nodiscard]] std::vector<device::DeviceSettings> add_to(std::vector<device::DeviceSettings> configured) const;

  // Each changes the file too: unsaved() says whether it could. The fault is a sentence: why not, and nothing has
  // changed.

  /// `other`: a device of the roster whose MACs `device` gets, or a MAC that need not have been seen. How many were
  /// joined.
  [[nodiscard]] Result<std::size_t, std::string> join(const device::Device& device, std::string_view other,
                                                      const device::Roster& roster, WallTime now);
  /// All that were joined, or this one. How many that were.
  std::size_t separate(std::string_view name, std::optional<device::MacAddress> mac);
  [[nodiscard]] Result<void, std::string> learn(const device::Device& device, Learning learning);
  /// `lock.names.device` is set here. Ends the time of learning.
  [[nodiscard]] Result<void, std::string> lock(const device::Device& device, BookedLock lock, WallTime now);
  /// Ends its lock and its learning. False: there was neither.
  bool unlock(std::string_view name);
  /// The sentence about the last write, where it failed: then what was said holds until the next start.
  [[nodiscard]] const std::string& unsaved() const { return unsaved_; }

 private:
  [[nodiscard]] Result<BookedDevice*, std::string> entry_of(const device::Device& device, WallTime now);
  [[nodiscard]] BookedDevice* find_entry(std::string_view name);
  void drop_empty();
  void save();

  std::filesystem::path file_;
  std::string unsaved_;
  std::vector<BookedDevice> devices_;
};

/// As the file and the command socket have it.
[[nodiscard]] nlohmann::json to_json(const BookedDevice& device);
/// As it stands in the file, in requests and in answers. Nothing: it names no network. A protocol or port that is no
/// number is any.
[[nodiscard]] nlohmann::json to_json(const redirect::AllowedFlow& flow);
[[nodiscard]] std::optional<redirect::AllowedFlow> read_flow(const nlohmann::json& object);

/// By name, MAC or address, as people say it; never the unknown device. The fault is a sentence with the nearest name
/// that is known.
[[nodiscard]] Result<const device::Device*, std::string> find_device(const device::Roster& roster,
                                                                     const std::string& text);
/// `There is no device 'tablett'; did you mean 'tablet'?`
[[nodiscard]] std::string say_unknown(const std::string& what, const std::string& text,
                                      const std::vector<std::string_view>& known);
/// What a request to lock says beside the device: `subtrees`, `names`, `flows`, `observe`. The fault is a sentence.
[[nodiscard]] Result<BookedLock, std::string> read_lock(const nlohmann::json& request);

}  // namespace doline::control
