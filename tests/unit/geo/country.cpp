#include "geo/country.h"

#include <doctest/doctest.h>

using doline::geo::Country;

TEST_CASE("a country is two letters of any case, and none is unknown") {
  CHECK(Country::parse("cn")->to_string() == "CN");
  CHECK(*Country::parse("DE") == Country::from_number(Country::parse("De")->number()));
  CHECK_FALSE(Country::parse("C").has_value());
  CHECK_FALSE(Country::parse("C1").has_value());
  CHECK_FALSE(Country::parse("CHN").has_value());
  CHECK_FALSE(Country().is_known());
  CHECK(Country().to_string().empty());
}
