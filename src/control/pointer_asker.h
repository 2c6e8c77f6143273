// PointerAsker: asks for the names of this house's addresses (PTR), where `forward:` says who knows them
// (`discover: ptr`). Nothing leaves by any other way: an address whose reverse name no such zone covers is not asked
// for.
//
// Lives on control's loop: one socket a question, from a port of its own, one try. An address is asked for again half
// a day later.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "control/loop.h"
#include "dns/name.h"

namespace doline::control {

inline constexpr std::size_t pointers_in_flight_max = 8;
inline constexpr std::size_t pointers_waiting_max = 1'024;     ///< past it an address is not asked for this time
inline constexpr std::size_t pointers_remembered_max = 4'096;  ///< addresses that were asked for
inline constexpr milliseconds pointer_patience{2'000};
inline constexpr seconds pointer_again{43'200};

class PointerAsker {
 public:
  struct Zone {
    dns::Name suffix;  ///< small letters
    Endpoint server;
    bool operator==(const Zone&) const = default;
  };
  using Found = std::function<void(const IpAddress& address, const dns::Name& name)>;

  /// `zones`: the longest suffix first.
  PointerAsker(Loop& loop, const Clock& clock, std::vector<Zone> zones, Found found,
               milliseconds patience = pointer_patience);
  ~PointerAsker();
  PointerAsker(const PointerAsker&) = delete;
  PointerAsker& operator=(const PointerAsker&) = delete;

  /// False: nobody is asked, or it was not long ago.
  bool ask(const IpAddress& address);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::control
