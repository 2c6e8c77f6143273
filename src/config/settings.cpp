#include "config/settings.h"

#include <algorithm>

namespace doline::config {

namespace {

bool is_equal(const cache::Options& left, const cache::Options& right) {
  return left.size_octets == right.size_octets && left.stale == right.stale && left.min_ttl == right.min_ttl &&
         left.max_ttl == right.max_ttl && left.max_negative_ttl == right.max_negative_ttl;
}

}  // namespace

bool is_own_port(const Fixed& fixed, std::uint16_t port) {
  return (fixed.redirect && fixed.redirect->nat_port == port) ||
         std::any_of(fixed.listen.begin(), fixed.listen.end(),
                     [port](const Endpoint& address) { return address.port == port; });
}

void place_state(Fixed& fixed, const std::filesystem::path& folder) {
  if (fixed.control_socket == fixed.state / control_socket_name) fixed.control_socket = folder / control_socket_name;
  if (fixed.query_log && fixed.query_log->path == fixed.state / query_log_name)
    fixed.query_log->path = folder / query_log_name;
  fixed.state = folder;
}

std::vector<std::string> changed_keys(const Fixed& running, const Fixed& wanted) {
  // Each member by its key, in the order of the struct. The TCP limits have no key.
  std::vector<std::string> keys;
  const auto compare = [&keys](const char* key, bool is_the_same) {
    if (!is_the_same) keys.emplace_back(key);
  };
  compare("listen", running.listen == wanted.listen);
  compare("workers", running.workers == wanted.workers);
  compare("time_zone", running.time_zone == wanted.time_zone);
  compare("user", running.user == wanted.user);
  compare("state", running.state == wanted.state);
  compare("control_socket", running.control_socket == wanted.control_socket);
  compare("querylog", running.query_log == wanted.query_log);
  compare("cache", is_equal(running.cache, wanted.cache));
  compare("redirect", running.redirect == wanted.redirect);
  compare("redirect.port_map", running.port_map == wanted.port_map && running.maps_listed == wanted.maps_listed);
  compare("flows.warm_up", running.flow_warm_up == wanted.flow_warm_up);
  return keys;
}

}  // namespace doline::config
