// AnnouncementListener: hears what the devices of this LAN say of their names by multicast DNS (`discover: mdns`). It
// says nothing and asks nothing there: it joins 224.0.0.251 and ff02::fb, port 5353, on the interfaces of the LAN.
//
// Lives on control's loop. Anyone on the link may send anything: datagrams are read to their bound, so many a second
// are looked at, and what does not parse is counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "control/loop.h"
#include "dns/announcement.h"

namespace doline::control {

inline constexpr std::uint16_t mdns_port = 5353;
inline constexpr int announcements_a_second_max = 200;
inline constexpr std::size_t announcement_octets_max = 9'000;  ///< RFC 6762 §17
inline constexpr std::size_t heard_interfaces_max = 64;

class AnnouncementListener {
 public:
  using Heard = std::function<void(const IpAddress& source, const dns::Announcement& announcement)>;

  /// `interfaces`: names; empty: all that have an address of a private network. Those that come later are found within
  /// a minute.
  AnnouncementListener(Loop& loop, const Clock& clock, std::vector<std::string> interfaces, Heard heard);
  ~AnnouncementListener();
  AnnouncementListener(const AnnouncementListener&) = delete;
  AnnouncementListener& operator=(const AnnouncementListener&) = delete;

  /// Groups joined: an interface has one for each family.
  [[nodiscard]] std::size_t joined() const;
  /// The sentence why it hears nothing; empty: it does, or no such interface is up.
  [[nodiscard]] const std::string& failure() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::control
