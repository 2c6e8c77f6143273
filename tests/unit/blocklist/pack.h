// A text, packed as lists are: by the packers' own libraries.
#pragma once

#include <doctest/doctest.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

#include "blocklist/unpacker.h"

namespace doline::blocklist {

inline std::string pack(Packing packing, const std::string& text) {
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
    case Packing::zstd: {  // with a checksum, as its program does it
      ZSTD_CCtx* const context = ZSTD_createCCtx();
      REQUIRE(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0);
      const std::size_t size = ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size());
      ZSTD_freeCCtx(context);
      REQUIRE(ZSTD_isError(size) == 0);
      packed.resize(size);
      break;
    }
  }
  return packed;
}

}  // namespace doline::blocklist
