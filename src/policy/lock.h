// Lock: what a device that has been learned may look up; all else that it asks for is refused (`doline device lock`).
//
// Data of a rule book like its exemptions: the book makes a rule of each, before the operator's. It speaks of what the
// device asks for, not of the names that an answer leads on to: those are the answering server's choice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "dns/name.h"
#include "policy/rule.h"

namespace doline::policy {

inline constexpr std::size_t lock_names_max = 1'000;  ///< of one device
inline constexpr std::size_t lock_flows_max = 1'000;

/// A kind of connection that a locked device may open, whatever it has looked up. The place where what a learning
/// period saw of connections stands for those who watch over them; a rule book does not look at it.
struct AllowedFlow {
  IpPrefix network;           ///< of the far end; of length 0: any
  std::uint32_t asn = 0;      ///< of the far end; 0: any
  std::uint8_t protocol = 0;  ///< IANA's number: 6 TCP, 17 UDP; 0: any
  std::uint16_t port = 0;     ///< of the far end; 0: any
  bool operator==(const AllowedFlow&) const = default;
};

struct Lock {
  std::string device;
  std::vector<dns::Name> subtrees;  ///< each with all below, small letters
  std::vector<dns::Name> names;     ///< these alone, small letters
  Mode mode = Mode::enforce;
  std::vector<AllowedFlow> flows = {};
  bool operator==(const Lock&) const = default;
};

/// The rule of a lock: refuses its device whatever the lock does not name.
[[nodiscard]] Rule to_rule(const Lock& lock);

}  // namespace doline::policy
