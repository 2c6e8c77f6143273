// Name: a domain name in uncompressed wire form, owned, without heap (RFC 1035 §3.1: at most 255 octets, labels of 1 to
// 63).
//
// A value: copied by its real length, compared and hashed without case (RFC 4343), printed with case as it came. Labels
// hold any octets; presentation escapes what is not printable as \DDD (RFC 1035 §5.1), so a Name never carries control
// characters into a log or a terminal.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/fold.h"

namespace doline::dns {

enum class NameFault : std::uint8_t {
  empty_label,     ///< `a..b`, or no text at all
  label_too_long,  ///< over 63 octets
  name_too_long,   ///< over 255 octets with length octets and root
  bad_escape,      ///< `\` followed by neither three digits up to 255 nor a character
  truncated,       ///< the octets end inside the name
  bad_label_type,  ///< a length octet of 64 to 191 (RFC 6891 §5)
  bad_pointer,     ///< forward, or one too many (message.h's reader only)
};
[[nodiscard]] std::string_view to_string(NameFault fault);

inline constexpr std::size_t name_octets_max = 255;
inline constexpr std::size_t label_octets_max = 63;
inline constexpr std::size_t labels_max = 127;

class Name {
 public:
  /// The root.
  Name() { octets_[0] = 0; }
  Name(const Name& other) { *this = other; }
  Name& operator=(const Name& other) {
    size_ = other.size_;
    for (std::size_t at = 0; at < size_; at += block_octets) {
      const Block block = load_block(other.octets_ + at);
      std::memcpy(octets_ + at, &block, block_octets);
    }
    return *this;
  }

  /// Presentation format, with or without the final dot; `.` is the root.
  static Result<Name, NameFault> parse(std::string_view text);
  /// Uncompressed wire form that begins at octets[0]; what follows the root label is ignored (see size()).
  static Result<Name, NameFault> from_wire(std::span<const std::uint8_t> octets);
  /// The same into this value, which stays as it is where there is no name.
  [[nodiscard]] Result<void, NameFault> assign_wire(std::span<const std::uint8_t> octets);

  /// Wire form with the root label; borrowed from this value.
  [[nodiscard]] std::span<const std::uint8_t> wire() const { return {octets_, size_}; }
  /// Octets from wire()'s begin on that may be read; what stands behind size() has no meaning.
  static constexpr std::size_t octets_readable = (name_octets_max / block_octets + 1) * block_octets;
  /// Octets of the wire form, 1 to 255.
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool is_root() const { return size_ == 1; }
  /// The root has 0.
  [[nodiscard]] int label_count() const;
  /// Without the leftmost `count` labels; count ≤ label_count(), else an invariant breaks.
  [[nodiscard]] Name ancestor(int count) const;
  /// True for the name itself and for every name below it.
  [[nodiscard]] bool is_within(const Name& suffix) const;
  /// ASCII letters made small: the form that lists are keyed by and decide() is given.
  [[nodiscard]] Name lowered() const {
    Name name;
    name.assign_lowered(*this);
    return name;
  }
  /// The same into this value, without a second copy.
  void assign_lowered(const Name& other) {
    size_ = other.size_;
    for (std::size_t at = 0; at < size_; at += block_octets) {
      const Block block = fold(load_block(other.octets_ + at));
      std::memcpy(octets_ + at, &block, block_octets);
    }
  }
  /// Presentation without the final dot (the root is `.`); every octet that is not printable ASCII, and `.` and `\`
  /// inside a label, escaped.
  [[nodiscard]] std::string to_string() const;
  /// Without regard to case; `seed` makes it unpredictable to senders.
  [[nodiscard]] std::uint64_t hash(std::uint64_t seed) const;

  /// Equal without regard to ASCII case (RFC 4343 §3).
  friend bool operator==(const Name& left, const Name& right) {
    const std::size_t size = left.size_;
    if (size != right.size_) return false;
    std::size_t at = 0;
    for (; at + block_octets <= size; at += block_octets)
      if (!equal(fold(load_block(left.octets_ + at)), fold(load_block(right.octets_ + at)))) return false;
    return equal(fold(load_beginning(left.octets_ + at, size - at)),
                 fold(load_beginning(right.octets_ + at, size - at)));
  }
  /// Canonical order (RFC 4034 §6.1).
  friend std::strong_ordering operator<=>(const Name& left, const Name& right);

 private:
  friend class MessageReader;
  // Names are copied, compared and hashed by the block: what stands behind a name's end is of no meaning, but readable.
  std::uint8_t octets_[octets_readable];
  std::uint8_t size_ = 1;
};

struct Question;

}  // namespace doline::dns
