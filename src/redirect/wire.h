// Wire: how the messages between resolver and warden are written and read, octet by octet, big-endian. Every read is
// bounded; one that fails makes all that follow fail, so that a reader asks once, at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "device/mac_address.h"

namespace doline::redirect {

enum class MessageFault : std::uint8_t {
  too_long,
  malformed,  ///< cut short, too much behind it, or a value out of range
  unknown,    ///< a version or a kind that this program does not know
};
[[nodiscard]] std::string_view to_string(MessageFault fault);

class WireWriter {
 public:
  template <class Integer>
  void integer(Integer value) {
    for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
      octets_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> shift));
  }
  /// At most 65,535 octets; the rest is cut off.
  void text(std::string_view text);
  void address(const IpAddress& address);
  void prefix(const IpPrefix& prefix);
  void endpoint(const Endpoint& endpoint);
  void mac(const device::MacAddress& mac);
  /// A count of 16 bits, then each.
  template <class Values, class Write>
  void list(const Values& values, Write write) {
    integer(static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) write(value);
  }
  [[nodiscard]] std::vector<std::uint8_t> take() { return std::move(octets_); }

 private:
  std::vector<std::uint8_t> octets_;
};

class WireReader {
 public:
  explicit WireReader(std::span<const std::uint8_t> octets) : left_(octets) {}

  template <class Integer>
  Integer integer() {
    std::uint64_t value = 0;
    for (const std::uint8_t octet : take(sizeof(Integer))) value = value << 8 | octet;
    return static_cast<Integer>(value);
  }
  /// A value of an enum that ends with `last`.
  template <class Enum>
  Enum enumerator(Enum last) {
    const auto value = integer<std::uint8_t>();
    if (value > static_cast<std::uint8_t>(last)) fail();
    return failed_ ? Enum{} : static_cast<Enum>(value);
  }
  bool boolean();
  std::string text(std::size_t octets_max);
  IpAddress address();
  IpPrefix prefix();
  Endpoint endpoint();
  device::MacAddress mac();
  /// Fails before it reads anything where there are more than `most`.
  template <class Value, class Read>
  std::vector<Value> list(std::size_t most, Read read) {
    std::vector<Value> values;
    const auto count = integer<std::uint16_t>();
    if (count > most) fail();
    for (std::size_t i = 0; i < count && !failed_; ++i) values.push_back(read());
    return values;
  }
  void fail() { failed_ = true; }
  /// Nothing failed and nothing is left.
  [[nodiscard]] bool is_complete() const { return !failed_ && left_.empty(); }

 private:
  std::span<const std::uint8_t> take(std::size_t count);
  std::span<const std::uint8_t> left_;
  bool failed_ = false;
};

}  // namespace doline::redirect
