// A small network of the test's own, in a process of its own.
#pragma once

#include <functional>
#include <string>

#include "own_network.h"
#include "own_process.h"

namespace doline::tests {

inline bool run(const std::string& command) {
  return shell(command).status == 0;
}

/// The kernel makes an IPv6 address ours a moment after it was added.
inline bool is_ours_soon(const std::string& address) {
  return run("timeout 10 sh -c 'until ip -6 route show table local | grep -q " + address + "; do sleep 0.01; done'");
}

/// What is wrong, as `claim` says it ("" is: all is well), in a network namespace with an interface `lan0` that has
/// 192.0.2.1/24 and 2001:db8::1/64. Where this machine does not let us make one it says so, and all is well.
inline std::string in_small_network(const std::function<std::string()>& claim) {
  const std::string said = in_process([&claim]() -> std::string {
    const bool has_network = own_network() && run("ip link set lo up") &&
                             run("ip link add lan0 type veth peer name lan1") && run("ip link set lan0 up") &&
                             run("ip link set lan1 up") && run("ip address add 192.0.2.1/24 dev lan0") &&
                             run("ip address add 2001:db8::1/64 dev lan0 nodad") && is_ours_soon("2001:db8::1");
    return has_network ? claim() : "no network";
  });
  if (said != "no network") return said;
  MESSAGE("skipped: this user cannot make a network namespace with `ip`");
  return "";
}

}  // namespace doline::tests
