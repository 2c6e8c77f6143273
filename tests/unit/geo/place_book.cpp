#include "geo/place_book.h"

#include <doctest/doctest.h>

#include "place_file.h"

using namespace doline::geo;
using doline::IpAddress;

TEST_CASE("a book tells what its tables tell, and nothing of what it has no table for") {
  const std::string file = doline::tests::place_file("192.0.2.0/24 CN AS4134\n");
  const std::span<const std::uint8_t> octets(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  const auto address = IpAddress::v4(192, 0, 2, 1);
  const PlaceBook countries(*PlaceTable::read(octets, PlaceKind::country), std::nullopt);
  CHECK(countries.country_of(address).to_string() == "CN");
  CHECK(countries.asn_of(address) == 0);
  const PlaceBook asns(std::nullopt, *PlaceTable::read(octets, PlaceKind::asn));
  CHECK_FALSE(asns.country_of(address).is_known());
  CHECK(asns.asn_of(address) == 4134);
  CHECK_FALSE(PlaceBook().country_of(address).is_known());
}
