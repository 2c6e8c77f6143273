// SightingBook: which MACs were seen at which addresses, when, and what they are called: what is remembered of a LAN's
// devices from start to start.
//
// Every address is one MAC's: the one seen there last. Bounded whatever a LAN sends (anyone there may make up MACs and
// addresses); what was seen longest ago goes first. A value, without clock or files; owned by RosterKeeper.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/roster.h"
#include "device/vendor_table.h"
#include "querylog/forget.h"

namespace doline::control {

inline constexpr std::size_t book_macs_max = 16'384;
inline constexpr std::size_t book_addresses_max = 65'536;
inline constexpr seconds address_kept{30 * 86'400};  ///< unseen
inline constexpr seconds mac_kept{365 * 86'400};
inline constexpr seconds made_up_mac_kept{30 * 86'400};  ///< locally administered: a phone makes a new one any day
/// A name of a lease without end is not replaced by that of another lease, until nobody has said it for so long.
inline constexpr seconds static_name_believed{86'400};
/// A lease takes no address from a MAC that the kernel saw there so lately: a lease may be older than its file.
inline constexpr seconds neighbour_believed{3'600};

class SightingBook {
 public:
  enum class Source : std::uint8_t { lease, neighbour };

  struct Seen {
    device::MacAddress mac;
    IpAddress address;
    WallTime when;
  };

  /// True: a roster made before is out of date.
  bool note(const device::Sighting& sighting, Source source, WallTime now);
  /// How a name came that a device was heard to have; the later one of these ranks higher.
  enum class Hearing : std::uint8_t { pointer, announcement };

  /// A name of a MAC that is known; others are not looked at. True as above.
  bool note_name(const device::MacAddress& mac, std::string name, Hearing hearing);
  /// Whose the address is now.
  [[nodiscard]] std::optional<device::MacAddress> holder_of(const IpAddress& address) const;
  /// Addresses of MACs of which no name is known but perhaps one that was asked for.
  [[nodiscard]] std::vector<IpAddress> nameless() const;
  /// Drops what was not seen for long; true as above.
  bool forget(WallTime now);
  /// What the operator wants forgotten, by the names that devices have in `roster`: how many MACs are. Of those that
  /// were seen since, the places where they were only before that.
  std::size_t forget(const querylog::Forgetting& what, const device::Roster& roster);
  /// True as above.
  bool set_vendors(device::VendorTable vendors);
  /// There is a MAC that some vendor gave, and nobody has said which.
  [[nodiscard]] bool lacks_vendors() const;
  [[nodiscard]] bool knows(const IpAddress& address) const { return holders_.contains(address); }
  [[nodiscard]] std::size_t mac_count() const { return macs_.size(); }
  [[nodiscard]] std::size_t address_count() const { return holders_.size(); }

  /// Where the kernel has seen devices after that time.
  [[nodiscard]] std::vector<Seen> seen_after(WallTime time) const;
  /// All sightings; of MACs first seen first, so that devices keep their order.
  void fill(device::RosterBuilder& roster) const;

  /// Whether a MAC may be written down at an address; at an unspecified one: where it was seen at none.
  using MayKeep = std::function<bool(const device::MacAddress&, const IpAddress&)>;
  /// For the state file: JSON, stable in order, empty where there is nobody; only the day tells when something was last
  /// seen.
  [[nodiscard]] std::string to_text(const MayKeep& may_keep) const;
  /// Adds what such a text says; what is malformed is passed over. Times to come count as `now`.
  void read_text(std::string_view text, WallTime now);

 private:
  struct Place {
    IpAddress address;
    WallTime seen;
    Source source = Source::lease;
  };
  struct Known {
    std::string hostname, vendor;
    std::string announced, pointed;  // names
    WallTime static_named;           // when a lease without end last said so
    WallTime first, last;
    std::vector<Place> places;
  };
  using Entry = std::pair<const device::MacAddress, Known>;

  [[nodiscard]] static const std::string& heard_name(const Known& known) {
    return known.announced.empty() ? known.pointed : known.announced;
  }
  void drop_place(const device::MacAddress& mac, const IpAddress& address);
  void thin_out();
  [[nodiscard]] std::vector<const Entry*> in_order() const;

  std::unordered_map<device::MacAddress, Known> macs_;
  std::unordered_map<IpAddress, device::MacAddress> holders_;
  device::VendorTable vendors_;
};

}  // namespace doline::control
