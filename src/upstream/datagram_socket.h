// DatagramSocket: one UDP socket for one question to one server: connected, so that the kernel drops what comes from
// elsewhere, on a port that nobody can guess (RFC 5452 §9.2). Owned by whoever asks; non-blocking.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/ip_address.h"
#include "base/result.h"

namespace doline::upstream {

class RandomSource;

class DatagramSocket {
 public:
  /// The error is errno's.
  static Result<DatagramSocket, int> open(const Endpoint& server, RandomSource& random);

  DatagramSocket() = default;
  DatagramSocket(DatagramSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DatagramSocket& operator=(DatagramSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~DatagramSocket() { close(); }

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  void close();
  /// 0, or errno.
  [[nodiscard]] int send(std::span<const std::uint8_t> octets) const;
  /// Octets of the datagram, more than `room` has where it was cut; negative: minus errno (EAGAIN: none now).
  [[nodiscard]] std::ptrdiff_t receive(std::span<std::uint8_t> room) const;

 private:
  int descriptor_ = -1;
};

}  // namespace doline::upstream
