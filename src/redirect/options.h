// Options: what the operator asked the redirect to do, checked. The `redirect:` section of the YAML leads here and
// nothing else.
//
// These values are all that the warden is ever told: it renders rules from them and takes no text from the resolver. So
// find_problems() is judged on both sides of the channel, and a name that could end a string of the rules is a problem.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "device/mac_address.h"

namespace doline::redirect {

inline constexpr std::size_t interfaces_max = 64;
inline constexpr std::size_t ports_max = 15;           ///< what one iptables multiport match holds
inline constexpr std::size_t exempt_max = 1'024;       ///< of each kind
inline constexpr std::size_t interface_name_max = 15;  ///< IFNAMSIZ without its zero

/// `tproxy`: the kernel hands over stray queries untouched. `nat`: it rewrites their destination, where TPROXY is
/// missing. `remote`: as tproxy, on a machine with one arm, that is not the router: the router leads stray queries to
/// it by next hop, or it is itself the devices' gateway and passes everything else on to the router. `audit`: they go
/// their way, and each is recorded.
enum class Mode : std::uint8_t { off, tproxy, nat, remote, audit };

/// What becomes of DoT, DoQ and known DoH servers. `log`: connections to them are recorded, and left alone.
enum class Encrypted : std::uint8_t { leave, reject, log };

/// `open`: stray DNS goes its old way when Doline is gone. `closed`: it is refused until Doline is back, or removes the
/// rules.
enum class OnFailure : std::uint8_t { open, closed };

/// Whose queries, and queries to whom, are let through.
struct Exempt {
  std::vector<device::MacAddress> macs;
  std::vector<IpPrefix> clients;
  std::vector<IpPrefix> destinations;
  bool operator==(const Exempt&) const = default;
};

/// Numbers that other tools of the machine may use too.
struct Kernel {
  std::uint16_t mark = 0x5353;  ///< under the mask 0xffff, so that the upper half stays free for others
  std::uint32_t table = 5353;   ///< of routes; also the preference of the rules that lead there
  std::uint16_t nflog_group = 53;
  bool operator==(const Kernel&) const = default;
};

struct Options {
  Mode mode = Mode::off;
  std::vector<std::string> interfaces;                     ///< on the LAN's side
  std::vector<std::uint16_t> ports{53, 5300, 5353, 8053};  ///< that stray DNS is sent to
  Exempt exempt;
  Encrypted encrypted = Encrypted::leave;
  OnFailure on_failure = OnFailure::open;
  Kernel kernel;
  std::uint16_t nat_port = 5399;  ///< `nat`: where stray queries are led; nobody else asks there
  bool watch = false;             ///< `flows: {watch: true}`: new connections of the LAN are logged
  bool operator==(const Options&) const = default;
};

/// Where `tproxy` hands queries over: the transparent sockets are bound to these, on the very ports that are
/// intercepted.
inline constexpr IpAddress transparent_v4 = IpAddress::v4(127, 0, 0, 153);
[[nodiscard]] IpAddress transparent_v6();  ///< ::1

/// Does the kernel hand queries over as they are, to the transparent sockets?
[[nodiscard]] constexpr bool is_transparent(Mode mode) {
  return mode == Mode::tproxy || mode == Mode::remote;
}

/// True where stray queries are brought here.
[[nodiscard]] constexpr bool intercepts(Mode mode) {
  return is_transparent(mode) || mode == Mode::nat;
}

/// Everything that makes the options impossible to carry out, a sentence each; empty: they can be.
[[nodiscard]] std::vector<std::string> find_problems(const Options& options);

/// What would break because a port is caught that is known to be another protocol's; a sentence each, with its cure.
[[nodiscard]] std::vector<std::string> find_ports_of_others(const Options& options);

/// May stand between quotes of a rule and in a path below /proc/sys. Linux allows more; nobody uses it.
[[nodiscard]] bool is_plain_interface(std::string_view name);

[[nodiscard]] std::string_view to_string(Mode mode);
[[nodiscard]] std::string_view to_string(Encrypted encrypted);
[[nodiscard]] std::string_view to_string(OnFailure on_failure);

}  // namespace doline::redirect
