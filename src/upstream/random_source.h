// RandomSource: numbers that nobody outside can predict (RFC 5452 §9.2), from the kernel by the buffer.
//
// One owner, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "dns/name.h"

namespace doline::upstream {

class RandomSource {
 public:
  template <class Integer>
  [[nodiscard]] Integer next() {
    if (buffer_.size() - at_ < sizeof(Integer)) refill();
    Integer value;
    std::memcpy(&value, buffer_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  /// 0 to count - 1; evenly enough for small counts.
  [[nodiscard]] std::size_t below(std::size_t count) { return next<std::uint32_t>() % count; }

 private:
  void refill();

  std::array<std::uint8_t, 1'024> buffer_{};
  std::size_t at_ = buffer_.size();
};

/// The octets of a name with each letter large or small by chance (draft-vixie-dnsext-dns0x20).
class CasedName {
 public:
  void draw(const dns::Name& name, RandomSource& random);
  [[nodiscard]] std::span<const std::uint8_t> wire() const { return {octets_.data(), size_}; }

 private:
  std::uint8_t size_ = 0;
  std::array<std::uint8_t, dns::name_octets_max + 1> octets_{};  // worked on sixteen at a time
};

}  // namespace doline::upstream
