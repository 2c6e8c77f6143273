// find_port_map(): which ports of this machine stand for which resolvers: those that the configuration names, or, with
// `redirect.port_map: listed`, those that `resolver_list` gives.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"
#include "device/destination.h"

namespace doline {

struct PortMap {
  std::vector<device::MappedPort> ports;  ///< in the order of their numbers where they are listed
  std::vector<std::string> problems;      ///< a sentence each: what has no port, and why
};

/// Reads `resolver_list` where it says the ports, and nothing else.
[[nodiscard]] PortMap find_port_map(const config::Settings& settings);

}  // namespace doline
