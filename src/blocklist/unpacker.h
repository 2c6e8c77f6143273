// Unpacker: the text of a packed list (gzip, xz, zstd), piece by piece, known by its first octets.
//
// One file's worth of state, in bounded memory whatever the file claims; one thread. What a packed file may grow to is
// for the caller to bound: it gets no more than it asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace doline::blocklist {

enum class Packing : std::uint8_t { gzip, xz, zstd };
inline constexpr std::size_t packing_octets = 6;  ///< of a file's beginning tell its packing
[[nodiscard]] std::optional<Packing> find_packing(std::string_view beginning);

enum class UnpackFault : std::uint8_t { damaged, cut_off, too_large };
[[nodiscard]] std::string_view to_string(UnpackFault fault);

class Unpacker {
 public:
  explicit Unpacker(Packing packing);
  ~Unpacker();
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  struct Step {
    std::size_t taken = 0;  ///< of the packed octets
    std::size_t made = 0;   ///< of the text
  };
  enum class Behind : std::uint8_t { more, nothing };
  /// `behind`: what is left of the file behind `packed`. Never both 0 while there is something to take and room to
  /// make; what follows the packed file's end, another of its kind, is unpacked too.
  [[nodiscard]] Result<Step, UnpackFault> unpack(std::string_view packed, Behind behind, std::span<char> text);
  /// No more packed octets will come.
  [[nodiscard]] bool is_whole() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The text's first `octets`, or all of it; one that is not packed as it is.
[[nodiscard]] Result<std::string, UnpackFault> unpack_beginning(std::string_view text, std::size_t octets);
/// All of it at once; a text that is not packed as it is.
[[nodiscard]] Result<std::string, UnpackFault> unpack_all(std::string text, std::size_t octets_max);

}  // namespace doline::blocklist
