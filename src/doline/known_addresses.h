// KnownAddresses: what turns addresses into names and places, for the commands that show them: as it is known now, not
// as it was when the query or the connection came.
#pragma once

#include "geo/place_book.h"
#include "geo/resolver_book.h"

namespace doline {

struct KnownAddresses {
  geo::ResolverBook resolvers;
  geo::PlaceBook places;
};

}  // namespace doline
