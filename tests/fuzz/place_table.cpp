// MaxMind DB files: any octets are read without harm, as countries and as AS numbers, and give what such a value can
// be.
#include "geo/place_table.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "geo/country.h"

using namespace doline;
using doline::geo::PlaceKind;
using doline::geo::PlaceTable;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const PlaceKind kind : {PlaceKind::country, PlaceKind::asn}) {
    const auto table = PlaceTable::read({data, size}, kind);
    check(table || !table.error().empty());
    if (!table) continue;
    for (const char* text : {"0.0.0.0", "1.1.1.1", "1.1.1.16", "255.255.255.255", "::", "::2:0:58", "2001:db8::1",
                             "2002:101:101::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
      const std::uint32_t value = table->find(*IpAddress::parse(text));
      if (kind == PlaceKind::country && value != 0)
        check(
            geo::Country::parse(geo::Country::from_number(static_cast<std::uint16_t>(value)).to_string()).has_value());
    }
  }
  return 0;
}
