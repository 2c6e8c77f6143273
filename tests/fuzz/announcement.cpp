// Multicast DNS responses: any octets are read without harm, in bounds, and always alike.
#include "dns/announcement.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"

using doline::check;
using namespace doline::dns;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = read_announcement({data, size});
  const auto again = read_announcement({data, size});
  check(read.has_value() == again.has_value());
  if (!read) return 0;
  check(read->hosts.size() + read->instances.size() <= announced_records_max);
  check(read->hosts.size() == again->hosts.size() && read->instances.size() == again->instances.size());
  for (const auto& host : read->hosts) check(host.name.size() >= 1 && host.name.size() <= name_octets_max);
  for (const auto& instance : read->instances) check(instance.name.size() <= name_octets_max);
  return 0;
}
