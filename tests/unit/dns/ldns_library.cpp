#include "dns/ldns_library.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace doline::dns;

TEST_CASE("ldns is loaded once, and knows what presentation.cpp asks of it") {
  const auto &first = LdnsLibrary::load(), &second = LdnsLibrary::load();
  REQUIRE(first.has_value());
  CHECK(&first == &second);
  CHECK(std::strcmp(first->get_errorstr_by_id(LDNS_STATUS_OK), "All OK") == 0);
}
