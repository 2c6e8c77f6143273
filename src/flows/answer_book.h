// AnswerBook: which addresses each device was given in answers, under which name, and until when it may use them.
//
// Owned by the log writer's thread, fed with every record before it is written. A device is known by its MAC, so that
// what was looked up over IPv4 explains a connection over IPv6; one without a MAC by the address it asked from. Memory
// is bounded, a device that looks up much pushes out its own answers before those of others, and what was pushed out
// before its time is counted and remembered of the device: then its connections cannot be judged for a while.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "dns/name.h"

namespace doline::flows {

inline constexpr std::size_t answers_remembered_max = 262'144;      ///< of all devices; some 30 MiB
inline constexpr std::size_t answers_of_device_remembered = 8'192;  ///< at most
inline constexpr std::size_t holders_max = 4'096;                   ///< devices that were given answers
/// Devices keep an answer past its TTL: they look up, then connect, and programs hold on to what they know.
inline constexpr seconds answer_grace{3'600};
/// Shorter TTLs count as this.
inline constexpr seconds answer_ttl_least{60};

/// Whose answers: a MAC, or where none is known the address that asked.
struct Holder {
  device::MacAddress mac;
  IpAddress client;

  [[nodiscard]] static Holder of(const device::MacAddress& mac) { return {mac, {}}; }
  [[nodiscard]] static Holder of(const IpAddress& client) { return {{}, client}; }
  auto operator<=>(const Holder&) const = default;
};

struct HolderHash {
  std::size_t operator()(const Holder& holder) const {
    return std::hash<device::MacAddress>()(holder.mac) ^ std::hash<IpAddress>()(holder.client);
  }
};

class AnswerBook {
 public:
  /// At `at` the holder was given these addresses under `name`, to live for `ttl`.
  void give(const Holder& holder, const dns::Name& name, std::span<const IpAddress> addresses, seconds ttl,
            MonotonicTime at);
  /// The same of an answer from before those that were given already: newest first, where there is room. False: there
  /// is none for anybody.
  [[nodiscard]] bool recall(const Holder& holder, const dns::Name& name, std::span<const IpAddress> addresses,
                            seconds ttl, MonotonicTime at, MonotonicTime now);
  /// Under which name the holder had been given the address by `at`, where its time is not over: the latest name.
  [[nodiscard]] std::optional<dns::Name> find(const Holder& holder, const IpAddress& address, MonotonicTime at) const;
  /// True where answers of the holder were pushed out that might still be used at `at`.
  [[nodiscard]] bool has_forgotten(const Holder& holder, MonotonicTime at) const;
  /// Takes away what is past its time.
  void prune(MonotonicTime now);

  [[nodiscard]] std::size_t size() const { return size_; }
  /// Answers pushed out before their time.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  struct Given {
    std::string name;  // wire form, small letters
    MonotonicTime since, until;
  };
  using Answers = std::unordered_map<IpAddress, Given>;
  struct Shelf {
    Answers recent, older;  // what is given again moves to `recent`; when that is full, it becomes `older`
    MonotonicTime used{};
    MonotonicTime forgotten_until{};
    [[nodiscard]] std::size_t size() const { return recent.size() + older.size(); }
  };
  Shelf& shelf_of(const Holder& holder, MonotonicTime at);
  void drop(Answers& answers, Shelf& shelf, MonotonicTime now);
  void make_room(MonotonicTime now);

  std::unordered_map<Holder, Shelf, HolderHash> shelves_;
  MonotonicTime blind_until_{};  // a whole shelf went
  std::size_t size_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace doline::flows
