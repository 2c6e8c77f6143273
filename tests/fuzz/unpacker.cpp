// Packed lists: whatever the octets, unpacking ends, in bounded memory, and gives the same at once and piece by piece.
#include "blocklist/unpacker.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

using namespace doline::blocklist;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t octets_max = std::size_t{1} << 20;
  const std::string packed(reinterpret_cast<const char*>(data), size);
  const auto whole = unpack_all(packed, octets_max);
  const auto packing = find_packing(packed);
  if (!packing) {
    doline::check(whole.has_value() && *whole == packed);
    return 0;
  }
  Unpacker unpacker(*packing);
  std::string text;
  std::array<char, 100> room{};
  for (std::size_t at = 0; at <= size && text.size() <= octets_max;) {
    const auto behind = at + 7 < size ? Unpacker::Behind::more : Unpacker::Behind::nothing;
    const auto step = unpacker.unpack(std::string_view(packed).substr(at, 7), behind, room);
    doline::check(step.has_value() || !whole.has_value());
    if (!step) return 0;
    text.append(room.data(), step->made);
    at += step->taken;
    if (step->taken == 0 && step->made == 0) break;
  }
  if (whole) doline::check(text == *whole);
  return 0;
}
