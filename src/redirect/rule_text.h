// What the scripts of several tables of ours are written with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "redirect/options.h"
#include "redirect/plan.h"

namespace doline::redirect {

/// `{ a, b }` of whatever `text` makes of each value.
template <class Values, class Text>
[[nodiscard]] std::string braces(const Values& values, Text text) {
  std::string result;
  for (const auto& value : values) result += (result.empty() ? "{ " : ", ") + text(value);
  return result + " }";
}

template <class Address>
[[nodiscard]] std::vector<Address> of_family(const std::vector<Address>& all, Family family) {
  std::vector<Address> some;
  for (const Address& one : all) {
    bool is_v4 = false;
    if constexpr (requires { one.address(); })
      is_v4 = one.address().is_v4();
    else
      is_v4 = one.is_v4();
    if (is_v4 == (family == Family::v4)) some.push_back(one);
  }
  return some;
}

/// `{ "br-lan", "br-iot" }`
[[nodiscard]] std::string interfaces_of(const Options& options);
/// `{ 53, 5353 }`
[[nodiscard]] std::string port_set_of(const Options& options);
/// `0x5353`
[[nodiscard]] std::string hexadecimal(std::uint16_t number);
/// A rule that returns for each prefix; nothing where there are none. `field`: saddr, daddr.
[[nodiscard]] std::string return_for(std::string_view field, const std::vector<IpPrefix>& prefixes);
/// One that returns for the MAC addresses; nothing where there are none.
[[nodiscard]] std::string return_for(const std::vector<device::MacAddress>& macs);
/// A rule that returns for what is meant for another device of the LAN. `way_out` says by which interface it would
/// leave: `oifname`, or `fib daddr oifname` before that is decided. So it follows changing IPv6 prefixes. With one arm
/// (`remote`) all leaves by the same, and the networks of the LAN have to say; what stays in one never passes a
/// gateway.
[[nodiscard]] std::string return_for_lan(const Options& options, std::string_view way_out,
                                         const std::vector<IpPrefix>& lan);
/// Rules that return for all that is exempt.
[[nodiscard]] std::string return_for_exempt(const Options& options);
/// The sets `doh_servers4` and `doh_servers6`, each only where it has elements.
[[nodiscard]] std::string doh_sets(const std::vector<IpPrefix>& networks);

}  // namespace doline::redirect
