// Hosts files: any text is read without harm, and the table that is made of it knows every name.
#include "response/hosts_file.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"

using doline::check;
using namespace doline::response;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const HostsReading reading = read_hosts(std::string_view(reinterpret_cast<const char*>(data), size));
  check(reading.names.size() <= hosts_names_max);
  for (const auto& problem : reading.problems) check(problem.line >= 1 && !problem.what.empty());
  LocalRecords::Builder builder;
  builder.add_source(reading.names);
  const auto all = builder.build();
  check((all == nullptr) == reading.names.empty());
  for (const LocalName& name : reading.names) {
    check(!name.owner.is_root() && !name.is_wildcard && name.records.size() == 1);
    check(!all->find(name.owner).empty());
  }
  return 0;
}
