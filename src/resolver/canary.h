// Canary: a name that nobody but this Doline makes up, so that a query for it tells by which way it has come. A `loop`
// canary is asked of an upstream: one that comes back here was led back. A `probe` is asked by `doline redirect verify`
// of a foreign resolver: that it comes here says that it was brought home, and its destination from where.
//
// `SECRETSERIAL.loop.doline.alt`, or `home` in the place of `loop`: nobody owns a name below .alt in the DNS (RFC
// 9476), so it harms nobody that it leaves the house. What another Doline has made up has another secret and is
// forwarded like any name: two that forward to each other find it out. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "dns/name.h"
#include "listener/arrival.h"

namespace doline::resolver {

struct Canary {
  enum class Kind : std::uint8_t { loop, probe };
  Kind kind = Kind::loop;
  std::uint32_t serial = 0;
  bool operator==(const Canary&) const = default;
};

class CanaryCage {
 public:
  static constexpr std::size_t canary_octets = 34;  ///< of every such name

  /// `secret`: random, of the whole process.
  explicit CanaryCage(std::uint32_t secret = 0) : secret_(secret) {}
  [[nodiscard]] dns::Name name_of(const Canary& canary) const;
  /// Nothing: the name is none of ours. In any case.
  [[nodiscard]] std::optional<Canary> find(const dns::Name& name) const {
    return name.size() == canary_octets ? read(name) : std::nullopt;
  }
  /// A loop canary of whatever Doline: it must be forwarded, or nobody will find out.
  [[nodiscard]] static bool is_loop_canary(const dns::Name& name);

 private:
  [[nodiscard]] std::optional<Canary> read(const dns::Name& name) const;
  std::uint32_t secret_;
};

/// A canary that came home; or, without one, a client at an upstream's address that asks what this upstream is being
/// asked: that smells of a loop.
struct CanaryReturn {
  std::optional<Canary> canary;
  Endpoint client;
  device::Destination destination;
  listener::Carrier carrier = listener::Carrier::udp;
};

}  // namespace doline::resolver
