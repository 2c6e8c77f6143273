#include "doline/port_map.h"

#include <algorithm>

#include "control/text_file.h"
#include "geo/resolver_book.h"

namespace doline {

PortMap find_port_map(const config::Settings& settings) {
  if (!settings.fixed.maps_listed) return {settings.fixed.port_map, {}};
  PortMap map;
  const auto text = control::read_text_file(settings.live.resolver_list);
  if (!text) {
    map.problems.push_back("redirect.port_map: " + text.error());
    return map;
  }
  const auto book = geo::ResolverBook::read(*text).book;
  std::size_t without = 0;
  for (const auto& [address, resolver] : book.all()) {
    if (resolver.port == 0)
      ++without;
    else if (config::is_own_port(settings.fixed, resolver.port))
      map.problems.push_back("redirect.port_map: port " + std::to_string(resolver.port) + ", which " +
                             settings.live.resolver_list.native() + " gives to " + address.to_string() +
                             ", is Doline's own already");
    else if (address.is_unicast() && !address.is_loopback())
      map.ports.push_back({resolver.port, address});
  }
  std::sort(map.ports.begin(), map.ports.end());
  if (map.ports.size() > device::mapped_ports_max) {
    map.problems.push_back("redirect.port_map: " + settings.live.resolver_list.native() + " gives " +
                           std::to_string(map.ports.size()) + " ports, of which the first " +
                           std::to_string(device::mapped_ports_max) + " are used");
    map.ports.resize(device::mapped_ports_max);
  }
  if (without > 0)
    map.problems.push_back("redirect.port_map: " + std::to_string(without) + " of " + std::to_string(book.size()) +
                           " resolvers in " + settings.live.resolver_list.native() + " have no port");
  return map;
}

}  // namespace doline
