#include "policy/name_set.h"

#include <doctest/doctest.h>

using doline::dns::Name;
using doline::policy::NameSet;

namespace {

Name name(const char* text) {
  return Name::parse(text)->lowered();
}

}  // namespace

TEST_CASE("A set has the names below those that cover them, and the others alone") {
  const std::vector<Name> subtrees{name("example.com"), name("a.b.c")}, names{name("www.example.net"), name("b.c")};
  const NameSet set(subtrees, names);
  CHECK(set.size() == 4);
  for (const char* in :
       {"example.com", "www.example.com", "x.y.example.com", "www.example.net", "b.c", "a.b.c", "z.a.b.c"})
    CHECK_MESSAGE(set.has(name(in)), in);
  for (const char* out : {"com", "notexample.com", "example.net", "x.www.example.net", "c", "x.b.c", "."})
    CHECK_MESSAGE(!set.has(name(out)), out);
}

TEST_CASE("An empty set has nothing, and one of the root everything") {
  CHECK_FALSE(NameSet({}, {}).has(name("example.com")));
  const std::vector<Name> root{Name()};
  CHECK(NameSet(root, {}).has(name("example.com")));
  CHECK_FALSE(NameSet({}, root).has(name("example.com")));
}
