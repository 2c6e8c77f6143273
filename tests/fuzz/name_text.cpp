// Names in presentation format: what the operator, list files and command lines write.
#include <string_view>

#include "base/check.h"
#include "dns/name.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  using doline::check;
  using doline::dns::Name;
  const auto name = Name::parse({reinterpret_cast<const char*>(octets), size});
  if (!name) return 0;
  check(name->size() <= doline::dns::name_octets_max);
  const std::string text = name->to_string();
  for (const char letter : text) check(letter > ' ' && letter < 0x7f);
  check(Name::parse(text).value() == *name);
  check(Name::from_wire(name->wire()).value() == *name);
  check(name->lowered() == *name && name->lowered().hash(size) == name->hash(size));
  check(name->is_within(*name) && name->is_within(name->ancestor(name->label_count())));
  return 0;
}
