#include "listener/steering.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "base/check.h"

namespace doline::listener {

namespace {

constexpr std::uint32_t question_offset = 12;
constexpr std::uint32_t word_octets = 4;
constexpr std::uint32_t words_max = steered_octets_max / word_octets;
constexpr std::uint32_t octet_masks[] = {0xff000000, 0x00ff0000, 0x0000ff00, 0x000000ff};
/// Sets the bit in which the cases differ, in every octet: other octets may fall together, which costs nothing but
/// evenness.
constexpr std::uint32_t without_case = 0x20202020;
constexpr std::uint32_t multiplier = 0x9e3779b1;
constexpr std::uint32_t fold_bits = 15;

}  // namespace

int owner_of(std::span<const std::uint8_t> message, int workers) {
  check(workers > 0);
  std::uint32_t hash = 0;
  for (std::uint32_t word = 0; word < words_max; ++word) {
    const std::size_t offset = question_offset + word * word_octets;
    // Classic BPF ends with 0 on a load beyond the end.
    if (offset + word_octets > message.size()) return 0;
    const std::uint8_t* at = message.data() + offset;
    const std::uint32_t octets = static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 |
                                 static_cast<std::uint32_t>(at[2]) << 8 | at[3];
    if (at[0] == 0 || at[1] == 0 || at[2] == 0 || at[3] == 0) break;
    hash = ((octets | without_case) ^ hash) * multiplier;
    hash ^= hash >> fold_bits;
  }
  return static_cast<int>(hash % static_cast<std::uint32_t>(workers));
}

int steer_by_question(int descriptor, int workers) {
  check(workers > 0);
  constexpr std::uint32_t instructions_per_word = 12;
  constexpr std::uint32_t end = 1 + words_max * instructions_per_word;
  static_assert(end < 256, "conditional jumps of classic BPF reach 255 instructions");

  // The payload of the datagram begins at 0. A: at work, X: the hash.
  std::vector<sock_filter> program;
  const auto add = [&program](int code, std::uint32_t operand) {
    program.push_back({static_cast<std::uint16_t>(code), 0, 0, operand});
  };
  add(BPF_LDX | BPF_IMM, 0);
  for (std::uint32_t word = 0; word < words_max; ++word) {
    add(BPF_LD | BPF_W | BPF_ABS, question_offset + word * word_octets);
    for (const std::uint32_t mask : octet_masks) {
      const auto to_end = static_cast<std::uint8_t>(end - (program.size() + 1));
      program.push_back({BPF_JMP | BPF_JSET | BPF_K, 0, to_end, mask});
    }
    add(BPF_ALU | BPF_OR | BPF_K, without_case);
    add(BPF_ALU | BPF_XOR | BPF_X, 0);
    add(BPF_ALU | BPF_MUL | BPF_K, multiplier);
    add(BPF_MISC | BPF_TAX, 0);
    add(BPF_ALU | BPF_RSH | BPF_K, fold_bits);
    add(BPF_ALU | BPF_XOR | BPF_X, 0);
    add(BPF_MISC | BPF_TAX, 0);
  }
  check(program.size() == end);
  add(BPF_MISC | BPF_TXA, 0);
  add(BPF_ALU | BPF_MOD | BPF_K, static_cast<std::uint32_t>(workers));
  add(BPF_RET | BPF_A, 0);

  const sock_fprog attached{static_cast<unsigned short>(program.size()), program.data()};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) == 0 ? 0 : errno;
}

}  // namespace doline::listener
