// `doline redirect render --for PLATFORM`: what the operator's own router must be told. Looks at the configuration and
// at this machine, which is taken for the box beside that router; asks nobody and changes nothing.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "config/settings.h"

namespace doline {

struct RenderArguments {
  std::string platform{};
  std::vector<std::string> box_addresses{};  ///< instead of this machine's, at most one of each family
  std::string box_mac{};
  std::vector<std::string> lan{};  ///< the router's interfaces, the one that the box is behind first
  std::string router{};
  std::vector<device::MappedPort> port_map{};  ///< of the configuration
};

/// exit_ok, or exit_wrong_usage with a sentence for each thing that is wrong or missing.
/// `doh_networks`: of the known DoH servers.
int run_render(const RenderArguments& arguments, const config::Fixed& settings,
               const std::vector<IpPrefix>& doh_networks, std::ostream& out, std::ostream& err);

}  // namespace doline
