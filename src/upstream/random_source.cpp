#include "upstream/random_source.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace doline::upstream {

void RandomSource::refill() {
  ssize_t got;
  do got = getrandom(buffer_.data(), buffer_.size(), 0);
  while (got < 0 && errno == EINTR);  // only before the kernel's pool is ready, early after boot
  check(got == static_cast<ssize_t>(buffer_.size()));
  at_ = 0;
}

dns::Name with_random_case(const dns::Name& name, RandomSource& random) {
  std::array<std::uint8_t, dns::name_octets_max> wire;
  std::memcpy(wire.data(), name.wire().data(), name.size());
  std::uint32_t coins = 0;
  int left = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    // Length octets are at most 63 and never taken for letters.
    const auto small = static_cast<std::uint8_t>(wire[i] | 0x20);
    if (small < 'a' || small > 'z' || wire[i] < 'A') continue;
    if (left == 0) {
      coins = random.next<std::uint32_t>();
      left = 32;
    }
    wire[i] = (coins & 1) != 0 ? static_cast<std::uint8_t>(small & ~0x20) : small;
    coins >>= 1;
    --left;
  }
  return dns::Name::from_wire({wire.data(), name.size()}).value();
}

}  // namespace doline::upstream
