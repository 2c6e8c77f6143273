#include "device/destination.h"

namespace doline::device {

std::string_view to_string(DestinationSource source) {
  switch (source) {
    case DestinationSource::local:
      return "local";
    case DestinationSource::tproxy:
      return "tproxy";
    case DestinationSource::conntrack:
      return "conntrack";
    case DestinationSource::edns:
      return "edns";
    case DestinationSource::proxy:
      return "proxy";
    case DestinationSource::port_map:
      return "port map";
    case DestinationSource::imported:
      return "imported";
    case DestinationSource::seen:
      return "seen";
  }
  return "?";
}

}  // namespace doline::device
