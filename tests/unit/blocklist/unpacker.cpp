#include "blocklist/unpacker.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "unit/blocklist/pack.h"

using namespace doline::blocklist;

namespace {

std::string long_text() {
  std::string text;
  for (int line = 0; line < 30'000; ++line) text += "0.0.0.0 host" + std::to_string(line) + ".example\n";
  return text;
}

}  // namespace

TEST_CASE("A packed text comes out as it went in, whole or octet by octet, once or twice in a row") {
  const std::string text = long_text();
  for (const Packing packing : {Packing::gzip, Packing::xz, Packing::zstd}) {
    CAPTURE(static_cast<int>(packing));
    const std::string packed = pack(packing, text);
    CHECK(find_packing(packed) == packing);
    CHECK(packed.size() < text.size() / 4);
    CHECK(unpack_all(packed, text.size()) == text);
    CHECK(unpack_beginning(packed, 10) == text.substr(0, 10));
    CHECK(unpack_beginning(packed, 2 * text.size()) == text);
    CHECK(unpack_all(packed + packed, 2 * text.size()) == text + text);
    for (const std::size_t piece_octets : {1'000, 4'096}) {
      std::string piece(piece_octets, '\0'), made;
      Unpacker unpacker(packing);
      for (std::size_t at = 0; at < packed.size();) {
        const std::size_t end = std::min(at + 777, packed.size());
        const auto behind = end < packed.size() ? Unpacker::Behind::more : Unpacker::Behind::nothing;
        const auto step = unpacker.unpack(std::string_view(packed).substr(at, end - at), behind, piece);
        REQUIRE(step);
        at += step->taken;
        made.append(piece, 0, step->made);
        // What it holds back comes without anything new, though more will come.
        while (at == end) {
          const auto rest = unpacker.unpack({}, behind, piece);
          REQUIRE(rest);
          made.append(piece, 0, rest->made);
          if (rest->made == 0) break;
        }
      }
      CHECK(unpacker.is_whole());
      CHECK(made == text);
    }
  }
  CHECK_FALSE(find_packing(text));
  CHECK(unpack_all(text, 10) == text);
  CHECK(unpack_beginning(text, 3) == text.substr(0, 3));
}

TEST_CASE("What is cut off, damaged or too large is told apart") {
  const std::string text = long_text();
  for (const Packing packing : {Packing::gzip, Packing::xz, Packing::zstd}) {
    CAPTURE(static_cast<int>(packing));
    const std::string packed = pack(packing, text);
    const auto cut = unpack_all(packed.substr(0, packed.size() / 2), text.size());
    REQUIRE_FALSE(cut.has_value());
    CHECK(cut.error() == UnpackFault::cut_off);
    std::string damaged = packed;
    for (std::size_t at = packed.size() / 2; at < packed.size() / 2 + 40; ++at)
      damaged[at] = static_cast<char>(~damaged[at]);
    CHECK_FALSE(unpack_all(damaged, text.size()).has_value());
    const auto large = unpack_all(packed, text.size() - 1);
    REQUIRE_FALSE(large.has_value());
    CHECK(large.error() == UnpackFault::too_large);
  }
}
