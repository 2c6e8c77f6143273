#include "blocklist/unpacker.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <variant>

#include "base/check.h"

namespace doline::blocklist {

namespace {

constexpr std::uint64_t memory_max = std::uint64_t{128} << 20;  // of xz; its strongest preset takes 65 MiB
constexpr int window_log_max = 27;                              // of zstd: 128 MiB
constexpr std::size_t piece_octets = std::size_t{64} << 10;

struct Gzip {
  Gzip() { check(inflateInit2(&stream, 15 + 16) == Z_OK); }
  ~Gzip() { inflateEnd(&stream); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Result<Unpacker::Step, UnpackFault> unpack(std::string_view packed, Unpacker::Behind, std::span<char> text) {
    if (packed.empty() && is_at_end) return Unpacker::Step{};
    if (is_at_end && inflateReset(&stream) != Z_OK) return fail(UnpackFault::damaged);
    // zlib's interface is older than const.
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
    stream.avail_in = static_cast<uInt>(std::min(packed.size(), piece_octets));
    const auto given = stream.avail_in;
    stream.next_out = reinterpret_cast<Bytef*>(text.data());
    stream.avail_out = static_cast<uInt>(std::min(text.size(), piece_octets));
    const auto room = stream.avail_out;
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return fail(UnpackFault::damaged);
    is_at_end = result == Z_STREAM_END;
    return Unpacker::Step{given - stream.avail_in, room - stream.avail_out};
  }

  z_stream stream{};
  bool is_at_end = false;
};

struct Xz {
  Xz() { check(lzma_stream_decoder(&stream, memory_max, LZMA_CONCATENATED) == LZMA_OK); }
  ~Xz() { lzma_end(&stream); }
  Xz(const Xz&) = delete;
  Xz& operator=(const Xz&) = delete;

  Result<Unpacker::Step, UnpackFault> unpack(std::string_view packed, Unpacker::Behind behind, std::span<char> text) {
    stream.next_in = reinterpret_cast<const std::uint8_t*>(packed.data());
    stream.avail_in = packed.size();
    stream.next_out = reinterpret_cast<std::uint8_t*>(text.data());
    stream.avail_out = text.size();
    // With several files in one, only the end of all says that it is the end; and that may be said once only.
    const lzma_ret result = lzma_code(&stream, behind == Unpacker::Behind::nothing ? LZMA_FINISH : LZMA_RUN);
    if (result == LZMA_MEMLIMIT_ERROR) return fail(UnpackFault::too_large);
    if (result != LZMA_OK && result != LZMA_STREAM_END && result != LZMA_BUF_ERROR) return fail(UnpackFault::damaged);
    is_at_end = result == LZMA_STREAM_END;
    return Unpacker::Step{packed.size() - stream.avail_in, text.size() - stream.avail_out};
  }

  lzma_stream stream = LZMA_STREAM_INIT;
  bool is_at_end = false;
};

struct Zstd {
  Zstd() : stream(ZSTD_createDStream()) {
    check(stream != nullptr && ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, window_log_max)) == 0);
  }
  ~Zstd() { ZSTD_freeDStream(stream); }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;

  Result<Unpacker::Step, UnpackFault> unpack(std::string_view packed, Unpacker::Behind, std::span<char> text) {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    ZSTD_outBuffer out{text.data(), text.size(), 0};
    const std::size_t left = ZSTD_decompressStream(stream, &out, &in);
    if (ZSTD_isError(left) != 0) return fail(is_about_memory(left) ? UnpackFault::too_large : UnpackFault::damaged);
    if (in.pos > 0 || out.pos > 0) is_at_end = left == 0;
    return Unpacker::Step{in.pos, out.pos};
  }
  static bool is_about_memory(std::size_t code) {
    return std::string_view(ZSTD_getErrorName(code)).find("too much memory") != std::string_view::npos;
  }

  ZSTD_DStream* stream;
  bool is_at_end = false;
};

}  // namespace

std::optional<Packing> find_packing(std::string_view beginning) {
  using namespace std::string_view_literals;
  if (beginning.starts_with("\x1f\x8b\x08"sv)) return Packing::gzip;
  if (beginning.starts_with("\xfd\x37zXZ\0"sv)) return Packing::xz;
  if (beginning.starts_with("\x28\xb5\x2f\xfd"sv)) return Packing::zstd;
  return std::nullopt;
}

std::string_view to_string(UnpackFault fault) {
  switch (fault) {
    case UnpackFault::damaged:
      return "it is packed, and damaged";
    case UnpackFault::cut_off:
      return "it is packed, and ends too early";
    case UnpackFault::too_large:
      return "it is packed, and takes too much memory to unpack";
  }
  return "?";
}

struct Unpacker::State {
  std::variant<std::monostate, Gzip, Xz, Zstd> packed;
};

Unpacker::Unpacker(Packing packing) : state_(std::make_unique<State>()) {
  switch (packing) {
    case Packing::gzip:
      state_->packed.emplace<Gzip>();
      break;
    case Packing::xz:
      state_->packed.emplace<Xz>();
      break;
    case Packing::zstd:
      state_->packed.emplace<Zstd>();
      break;
  }
}
Unpacker::~Unpacker() = default;

Result<Unpacker::Step, UnpackFault> Unpacker::unpack(std::string_view packed, Behind behind, std::span<char> text) {
  return std::visit(
      [&](auto& of_kind) -> Result<Step, UnpackFault> {
        if constexpr (std::is_same_v<std::decay_t<decltype(of_kind)>, std::monostate>)
          return Step{};
        else
          return of_kind.unpack(packed, behind, text);
      },
      state_->packed);
}

bool Unpacker::is_whole() const {
  return std::visit(
      [](const auto& of_kind) {
        if constexpr (std::is_same_v<std::decay_t<decltype(of_kind)>, std::monostate>)
          return true;
        else
          return of_kind.is_at_end;
      },
      state_->packed);
}

Result<std::string, UnpackFault> unpack_beginning(std::string_view text, std::size_t octets) {
  const auto packing = find_packing(text);
  if (!packing) return std::string(text.substr(0, octets));
  Unpacker unpacker(*packing);
  std::string unpacked(octets, '\0');
  std::size_t made = 0;
  while (made < octets) {
    const auto step = unpacker.unpack(text, Unpacker::Behind::nothing, std::span(unpacked).subspan(made));
    if (!step) return fail(step.error());
    text.remove_prefix(step->taken);
    made += step->made;
    if (step->taken == 0 && step->made == 0) break;
  }
  unpacked.resize(made);
  return unpacked;
}

Result<std::string, UnpackFault> unpack_all(std::string text, std::size_t octets_max) {
  const auto packing = find_packing(text);
  if (!packing) return text;
  Unpacker unpacker(*packing);
  std::string unpacked;
  std::string_view left = text;
  std::string piece(piece_octets, '\0');
  for (;;) {
    const auto step = unpacker.unpack(left, Unpacker::Behind::nothing, piece);
    if (!step) return fail(step.error());
    unpacked.append(piece, 0, step->made);
    if (unpacked.size() > octets_max) return fail(UnpackFault::too_large);
    left.remove_prefix(step->taken);
    if (step->taken == 0 && step->made == 0) break;
  }
  if (!left.empty()) return fail(UnpackFault::damaged);
  if (!unpacker.is_whole()) return fail(UnpackFault::cut_off);
  return unpacked;
}

}  // namespace doline::blocklist
