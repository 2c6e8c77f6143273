#include "blocklist/unpacker.h"

#include <doctest/doctest.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <vector>

using namespace doline::blocklist;

namespace {

std::string pack(Packing packing, const std::string& text) {
  std::string packed(text.size() + 4096, '\0');
  auto* out = reinterpret_cast<unsigned char*>(packed.data());
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  switch (packing) {
    case Packing::gzip: {
      z_stream stream{};
      REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
      stream.next_in = const_cast<unsigned char*>(in);
      stream.avail_in = static_cast<unsigned>(text.size());
      stream.next_out = out;
      stream.avail_out = static_cast<unsigned>(packed.size());
      REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
      packed.resize(stream.total_out);
      deflateEnd(&stream);
      break;
    }
    case Packing::xz: {
      std::size_t size = 0;
      REQUIRE(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, in, text.size(), out, &size, packed.size()) ==
              LZMA_OK);
      packed.resize(size);
      break;
    }
    case Packing::zstd:
      packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
      break;
  }
  return packed;
}

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
    CHECK(unpack_all(packed + packed, 2 * text.size()) == text + text);
  }
  CHECK_FALSE(find_packing(text));
  CHECK(unpack_all(text, 10) == text);
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
