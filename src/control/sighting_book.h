// SightingBook: which MACs were seen at which addresses, when, and what they are called: what is remembered of a LAN's
// devices from start to start.
//
// Every address is one MAC's: the one seen there last. Bounded whatever a LAN sends (anyone there may make up MACs and
// addresses); what was seen longest ago goes first. A value, without clock or files; owned by RosterKeeper.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/roster.h"
#include "device/vendor_table.h"

namespace doline::control {

inline constexpr std::size_t book_macs_max = 16'384;
inline constexpr std::size_t book_addresses_max = 65'536;
inline constexpr seconds address_kept{30 * 86'400};  ///< unseen
inline constexpr seconds mac_kept{365 * 86'400};
inline constexpr seconds made_up_mac_kept{30 * 86'400};  ///< locally administered: a phone makes a new one any day
/// A lease takes no address from a MAC that the kernel saw there so lately: a lease may be older than its file.
inline constexpr seconds neighbour_believed{3'600};

class SightingBook {
 public:
  enum class Source : std::uint8_t { lease, neighbour };

  /// True: a roster made before is out of date.
  bool note(const device::Sighting& sighting, Source source, WallTime now);
  /// Drops what was not seen for long; true as above.
  bool forget(WallTime now);
  /// True as above.
  bool set_vendors(device::VendorTable vendors);
  /// There is a MAC that some vendor gave, and nobody has said which.
  [[nodiscard]] bool lacks_vendors() const;
  [[nodiscard]] bool knows(const IpAddress& address) const { return holders_.contains(address); }
  [[nodiscard]] std::size_t mac_count() const { return macs_.size(); }
  [[nodiscard]] std::size_t address_count() const { return holders_.size(); }

  /// All sightings; of MACs first seen first, so that devices keep their order.
  void fill(device::RosterBuilder& roster) const;

  /// For the state file: JSON, stable in order.
  [[nodiscard]] std::string to_text() const;
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
    WallTime first, last;
    std::vector<Place> places;
  };
  using Entry = std::pair<const device::MacAddress, Known>;

  void drop_place(const device::MacAddress& mac, const IpAddress& address);
  void thin_out();
  [[nodiscard]] std::vector<const Entry*> in_order() const;

  std::unordered_map<device::MacAddress, Known> macs_;
  std::unordered_map<IpAddress, device::MacAddress> holders_;
  device::VendorTable vendors_;
};

}  // namespace doline::control
