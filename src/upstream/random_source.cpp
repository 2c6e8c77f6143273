#include "upstream/random_source.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace doline::upstream {

namespace {

constexpr std::uint64_t each = 0x0101010101010101, top = each * 0x80;

/// The top bit of each octet that is an ASCII letter. Length octets are at most 63 and never taken for letters.
std::uint64_t letters_of(std::uint64_t word) {
  const std::uint64_t small = word | each * 0x20, low = small & ~top;
  const std::uint64_t from_a = low + each * (0x80 - 'a');  // top bit: at least 'a'
  const std::uint64_t past_z = low + each * (0x7f - 'z');  // top bit: more than 'z'
  return from_a & ~past_z & ~word & top;
}

/// All bits of the octets whose bit of eight is set.
std::uint64_t each_octet_by_bit(std::uint64_t bits) {
  const std::uint64_t apart = bits * each & 0x8040201008040201;
  const std::uint64_t is_set = (((apart & ~top) + each * 0x7f) | apart) & top;
  return (is_set >> 7) * 0xff;
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
  size_ = static_cast<std::uint8_t>(name.size());
  std::memcpy(octets_.data(), name.wire().data(), size_);
  std::uint64_t coins = 0;
  for (std::size_t at = 0; at < size_; at += 8, coins >>= 8) {
    if (at % 64 == 0) coins = random.next<std::uint64_t>();
    std::uint64_t word;
    std::memcpy(&word, octets_.data() + at, sizeof word);
    word ^= letters_of(word) >> 2 & each_octet_by_bit(coins & 0xff);
    std::memcpy(octets_.data() + at, &word, sizeof word);
  }
}

}  // namespace doline::upstream
