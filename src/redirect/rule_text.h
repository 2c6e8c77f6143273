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
/// Rules that return for all that is exempt.
[[nodiscard]] std::string return_for_exempt(const Options& options);
/// The sets `doh4` and `doh6`, each only where it has elements.
[[nodiscard]] std::string doh_sets(const Options& options);

}  // namespace doline::redirect
