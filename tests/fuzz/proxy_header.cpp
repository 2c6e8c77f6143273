// PROXY headers from a trusted router: any octets are a header within its limits or a fault, and a cut one is
// incomplete.
#include <vector>

#include "base/check.h"
#include "listener/proxy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace doline;
  using namespace doline::listener;
  const std::vector<std::uint8_t> octets(data, data + size);  // its own allocation, so that ASan sees its borders
  const auto header = parse_proxy_header(octets);
  if (!header) return 0;
  check(header->octets <= octets.size() && header->octets <= proxy_header_octets_max);
  if (header->ends)
    check(header->ends->client.address.is_v4() == header->ends->destination.address.is_v4() || octets[13] >> 4 == 2);
  const auto cut = parse_proxy_header(dns::Octets(octets).first(header->octets - 1));
  check(!cut && cut.error() == ProxyFault::incomplete);
  return 0;
}
