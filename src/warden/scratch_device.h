// ScratchDevice: a device of the LAN for a moment: a network namespace whose one interface is a port of a bridge of
// this machine, so that what it sends takes the very way of a real device's packets. It has addresses that no device
// has (RFC 5737, RFC 3849), and routes back to them; all of that is gone with it. For `doline redirect verify`, which
// root runs; the calling process has one thread.
//
// An interface that is no bridge cannot have another device behind it: there only a real one can tell.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/ip_address.h"
#include "base/result.h"
#include "device/mac_address.h"
#include "warden/scratch_network.h"

namespace doline::warden {

/// Of the device, and of a foreign resolver for it to ask: nobody's.
inline constexpr IpAddress scratch_v4 = IpAddress::v4(192, 0, 2, 54);
inline constexpr IpAddress scratch_resolver_v4 = IpAddress::v4(192, 0, 2, 53);
/// Known beforehand, so that nobody need ask for it, and nobody keeps an older one's.
inline constexpr device::MacAddress scratch_mac{{0x02, 0xd0, 0x11, 0x00, 0x02, 0x54}};
[[nodiscard]] IpAddress scratch_v6();           ///< 2001:db8::54
[[nodiscard]] IpAddress scratch_resolver_v6();  ///< 2001:db8::53

class ScratchDevice {
 public:
  /// The fault is a sentence: what is missing for it.
  static Result<ScratchDevice, std::string> attach(const std::string& bridge);
  ScratchDevice(ScratchDevice&& other) noexcept;
  ScratchDevice(const ScratchDevice&) = delete;
  ScratchDevice& operator=(const ScratchDevice&) = delete;
  ~ScratchDevice();

  /// A socket of the device's, used from here; non-blocking, closed by the caller. -1: errno says why.
  [[nodiscard]] int socket(int family, int type) const;

 private:
  explicit ScratchDevice(ScratchNetwork network) : network_(std::move(network)) {}
  ScratchNetwork network_;
  std::string port_;          // its end at the bridge
  std::uint32_t bridge_ = 0;  // index
};

}  // namespace doline::warden
