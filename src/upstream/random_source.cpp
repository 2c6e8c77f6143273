#include "upstream/random_source.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>

#include "base/check.h"

namespace doline::upstream {

namespace {

/// Sixteen octets side by side: what one instruction takes (of SSE2, NEON; elsewhere the compiler makes do).
using Block = std::uint8_t __attribute__((vector_size(16)));

/// The bit that makes a letter large or small, in each octet that is an ASCII letter and whose coin says so: bit 5 of
/// the same octet of `coins`, for the second eight of `coins` one place farther. Length octets are at most 63 and never
/// taken for letters.
Block flips(Block octets, std::uint64_t coins) {
  const std::uint64_t both[] = {coins, std::rotl(coins, 1)};
  Block chosen;
  std::memcpy(&chosen, both, sizeof chosen);
  const auto is_letter = reinterpret_cast<Block>((octets | std::uint8_t{0x20}) - std::uint8_t{'a'} < std::uint8_t{26});
  return chosen & is_letter & std::uint8_t{0x20};
}

}  // namespace

void RandomSource::refill() {
  for (std::size_t filled = 0; filled < buffer_.size();) {
    // More than 256 octets may come in pieces (getrandom(2)).
    const ssize_t got = getrandom(buffer_.data() + filled, buffer_.size() - filled, 0);
    check(got > 0 || errno == EINTR);
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  at_ = 0;
}

void CasedName::draw(const dns::Name& name, RandomSource& random) {
  const std::uint8_t* const plain = name.wire().data();
  size_ = static_cast<std::uint8_t>(name.size());
  std::uint64_t coins = 0;
  for (std::size_t at = 0; at < size_; at += sizeof(Block), coins = std::rotl(coins, 2)) {
    if (at % 64 == 0) coins = random.next<std::uint64_t>();
    Block block;
    std::memcpy(&block, plain + at, sizeof block);
    block ^= flips(block, coins);
    std::memcpy(octets_.data() + at, &block, sizeof block);
  }
}

}  // namespace doline::upstream
