// The list of public suffixes: any text is read without harm, and of every name it says one above it or itself.
#include "dns/public_suffix.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"

using doline::check;
using namespace doline::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto suffixes = PublicSuffixes::read(std::string_view(reinterpret_cast<const char*>(data), size));
  for (const char* text :
       {".", "com", "example.com", "a.b.c.co.uk", "x.ck", "www.ck", "y.x.ck", "1.168.192.in-addr.arpa"}) {
    const Name name = *Name::parse(text);
    const Name registrable = suffixes.registrable(name);
    check(name.is_within(registrable) && (!name.is_root() == !registrable.is_root()));
    check(suffixes.registrable(registrable) == registrable);
    if (suffixes.is_suffix(name)) check(registrable == name);
  }
  return 0;
}
