// Fold: ASCII letters made small, eight or sixteen octets at a time, and the hash over them. Private to dns, and to
// name.h, whose names move by the block.
//
// A name's wire form may be folded as a whole: its length octets are at most 63, below 'A' (65).
#pragma once

#include <cstdint>
#include <cstring>

namespace doline::dns {

/// Eight octets; their order in the word is the machine's.
inline std::uint64_t load_eight(const std::uint8_t* octets) {
  std::uint64_t word;
  std::memcpy(&word, octets, sizeof word);
  return word;
}

/// Fewer than eight octets; different octets of equal count give different words.
inline std::uint64_t load_few(const std::uint8_t* octets, std::size_t count) {
  if (count >= 4) {
    std::uint32_t first, last;
    std::memcpy(&first, octets, sizeof first);
    std::memcpy(&last, octets + count - 4, sizeof last);
    return first | std::uint64_t{last} << 32;
  }
  if (count == 0) return 0;
  return octets[0] | std::uint64_t{octets[count / 2]} << 8 | std::uint64_t{octets[count - 1]} << 16;
}

inline std::uint64_t fold(std::uint64_t word) {
  constexpr std::uint64_t each = 0x0101010101010101;
  const std::uint64_t low = word & (each * 0x7f);
  const std::uint64_t from_a = low + each * (0x80 - 'A');  // top bit: at least 'A'
  const std::uint64_t past_z = low + each * (0x7f - 'Z');  // top bit: more than 'Z'
  const std::uint64_t is_letter = (from_a & ~past_z & ~word) & (each * 0x80);
  return word | is_letter >> 2;
}

/// Sixteen octets side by side: what one instruction takes (of SSE2, NEON; elsewhere the compiler makes do).
using Block = std::uint8_t __attribute__((vector_size(16)));
inline constexpr std::size_t block_octets = sizeof(Block);

inline Block load_block(const std::uint8_t* octets) {
  Block block;
  std::memcpy(&block, octets, sizeof block);
  return block;
}

/// The first `count` octets (at most 15), zeros behind them; all sixteen must be readable.
inline Block load_beginning(const std::uint8_t* octets, std::size_t count) {
  static constexpr std::uint8_t kept[2 * block_octets] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                          255, 255, 255, 255, 255, 255, 255, 255};
  return load_block(octets) & load_block(kept + block_octets - count);
}

inline Block fold(Block block) {
  const Block is_letter = reinterpret_cast<Block>(block - std::uint8_t{'A'} < std::uint8_t{26});
  return block | (is_letter & std::uint8_t{0x20});
}

inline bool equal(Block left, Block right) {
  std::uint64_t words[2];
  const Block difference = left ^ right;
  std::memcpy(words, &difference, sizeof words);
  return (words[0] | words[1]) == 0;
}

/// The 128 bits of a product folded into 64.
inline std::uint64_t mix(std::uint64_t left, std::uint64_t right) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Without regard to case. `seed` goes into both factors of every step, so that a sender who does not know it cannot
/// make one zero.
inline std::uint64_t folded_hash(const std::uint8_t* octets, std::size_t count, std::uint64_t seed) {
  const std::uint64_t key = seed ^ 0xa0761d6478bd642fULL;
  std::uint64_t state = mix(seed ^ 0xe7037ed1a0b428dbULL, count ^ 0x8ebc6af09c88c6e3ULL);
  std::size_t at = 0;
  for (; at + 8 < count; at += 8) state = mix(fold(load_eight(octets + at)) ^ key, state ^ 0x589965cc75374cc3ULL);
  const std::uint64_t last = count >= 8 ? load_eight(octets + count - 8) : load_few(octets, count);
  return mix(fold(last) ^ key, state ^ 0x1d8e4e27c47d124fULL);
}

}  // namespace doline::dns
