#include "device/destination.h"

#include <doctest/doctest.h>

using doline::IpAddress;
using doline::device::Destination;
using doline::device::DestinationSource;
using doline::device::to_string;

TEST_CASE("only a query that came to our own address is not intercepted") {
  CHECK_FALSE(Destination{}.is_intercepted());
  for (const auto source :
       {DestinationSource::tproxy, DestinationSource::conntrack, DestinationSource::edns, DestinationSource::proxy,
        DestinationSource::port_map, DestinationSource::imported, DestinationSource::seen})
    CHECK(Destination{{IpAddress::v4(114, 114, 114, 114), 53}, source}.is_intercepted());
}

TEST_CASE("how a destination is known has a name") {
  CHECK(to_string(DestinationSource::local) == "local");
  CHECK(to_string(DestinationSource::tproxy) == "tproxy");
  CHECK(to_string(DestinationSource::conntrack) == "conntrack");
  CHECK(to_string(DestinationSource::port_map) == "port map");
  CHECK(to_string(DestinationSource::imported) == "imported");
}
