// MessageReader: the one bounds-checked reader of a message's octets. Private to dns.
//
// Every read says whether it succeeded, and after a failure the place is unspecified. A compression pointer must lead
// before the run of labels that it ends, so that names cannot loop; a name costs at most 255 octets and pointers_max
// hops, whatever it looks like.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "dns/message.h"
#include "dns/name.h"

namespace doline::dns {

class MessageReader {
 public:
  /// Reads `message` from `at`; nothing behind its end is touched.
  explicit MessageReader(Octets message, std::size_t at = 0) : message_(message), at_(at) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return message_.size() - at_; }

  [[nodiscard]] bool skip(std::size_t count) {
    if (left() < count) return false;
    at_ += count;
    return true;
  }
  [[nodiscard]] bool read(std::uint8_t& value) {
    if (left() < 1) return false;
    value = message_[at_++];
    return true;
  }
  [[nodiscard]] bool read(std::uint16_t& value) {
    if (left() < 2) return false;
    value = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
    at_ += 2;
    return true;
  }
  [[nodiscard]] bool read(std::uint32_t& value) {
    std::uint16_t high = 0, low = 0;
    if (!read(high) || !read(low)) return false;
    value = std::uint32_t{high} << 16 | low;
    return true;
  }
  [[nodiscard]] bool read(Octets& octets, std::size_t count) {
    if (left() < count) return false;
    octets = message_.subspan(at_, count);
    at_ += count;
    return true;
  }

  [[nodiscard]] std::optional<NameFault> skip_name() { return walk_name(nullptr); }
  /// Behind the question, whose name has been read: most owners point there, or are the root (of OPT), and need no
  /// second look.
  [[nodiscard]] std::optional<NameFault> skip_owner() {
    if (left() < 2) return skip_name();
    if (message_[at_] == 0xc0 && message_[at_ + 1] == header_octets)
      at_ += 2;
    else if (message_[at_] == 0)
      ++at_;
    else
      return skip_name();
    return std::nullopt;
  }
  /// `name` is meaningless after a fault.
  [[nodiscard]] std::optional<NameFault> read_name(Name& name) { return walk_name(&name); }
  /// The message's first name, which no pointer can be part of: it would lead to the name itself or into the header.
  [[nodiscard]] std::optional<NameFault> skip_first_name() {
    const std::size_t limit = std::min(message_.size(), at_ + name_octets_max);
    std::size_t end = at_;
    for (; end < limit && message_[end] != 0; end += message_[end] + 1u)
      if (message_[end] > label_octets_max)
        return message_[end] < 0xc0 ? NameFault::bad_label_type : NameFault::bad_pointer;
    if (end >= limit) return end < message_.size() ? NameFault::name_too_long : NameFault::truncated;
    at_ = end + 1;
    return std::nullopt;
  }
  [[nodiscard]] std::optional<NameFault> read_first_name(Name& name) {
    const std::size_t begin = at_;
    if (const auto fault = skip_first_name()) return fault;
    name.size_ = static_cast<std::uint8_t>(at_ - begin);
    const std::size_t blocks = (name.size_ + block_octets - 1) / block_octets * block_octets;
    if (message_.size() - begin >= blocks)  // mostly: behind the name there is more
      for (std::size_t at = 0; at < blocks; at += block_octets) {
        const Block block = load_block(message_.data() + begin + at);
        std::memcpy(name.octets_ + at, &block, block_octets);
      }
    else
      std::memcpy(name.octets_, message_.data() + begin, name.size_);
    return std::nullopt;
  }

 private:
  std::optional<NameFault> walk_name(Name* name) {
    std::size_t run = at_, at = at_;    // where this run of labels began; where we are
    std::size_t octets = 0;             // of the runs before this one
    std::optional<std::size_t> behind;  // the name, once a pointer has been followed
    for (int hops = 0;;) {
      if (at >= message_.size()) return NameFault::truncated;
      const std::uint8_t length = message_[at];
      if (length == 0) {
        if (octets + (at - run) >= name_octets_max) return NameFault::name_too_long;
        if (name) {
          std::memcpy(name->octets_ + octets, message_.data() + run, at - run + 1);
          name->size_ = static_cast<std::uint8_t>(octets + (at - run) + 1);
        }
        at_ = behind ? *behind : at + 1;
        return std::nullopt;
      }
      if (length <= label_octets_max) {
        at += length + 1u;
        if (octets + (at - run) >= name_octets_max) return NameFault::name_too_long;
        continue;
      }
      if (length < 0xc0) return NameFault::bad_label_type;
      if (at + 1 >= message_.size()) return NameFault::truncated;
      const std::size_t target = (length & 0x3fu) << 8 | message_[at + 1];
      if (target >= run || target < header_octets || ++hops > pointers_max) return NameFault::bad_pointer;
      if (name) std::memcpy(name->octets_ + octets, message_.data() + run, at - run);
      octets += at - run;
      if (!behind) behind = at + 2;
      run = at = target;
    }
  }

  Octets message_;
  std::size_t at_;
};

}  // namespace doline::dns
