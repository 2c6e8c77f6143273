// resolvers.csv: any text is read without harm, and each address in the book is found.
#include "geo/resolver_book.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/check.h"

using doline::check;
using doline::geo::ResolverBook;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto reading = ResolverBook::read(std::string_view(reinterpret_cast<const char*>(data), size));
  std::set<std::uint16_t> ports;
  for (const auto& [address, resolver] : reading.book.all()) {
    check(reading.book.find(address) == &resolver);
    check(resolver.country.size() == 2 && !resolver.operator_name.empty());
    check(resolver.port == 0 || ports.insert(resolver.port).second);
    check(resolver.plain || resolver.dot || resolver.doh || resolver.doq);
  }
  for (const auto& problem : reading.problems) check(problem.line >= 1 && !problem.what.empty());
  return 0;
}
