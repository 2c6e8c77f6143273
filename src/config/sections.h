// Sections: each part of the file, from its keys to Settings. Called by read_settings() in the order in which they
// stand here, for later ones name what earlier ones declare.
//
// Every function tells its problems through `reading` and goes on; what it leaves in the settings is of use only if
// there were none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/keys.h"
#include "config/reading.h"
#include "config/settings.h"

namespace doline::config {

/// `listen`, `workers`, `user`, `time_zone`, `state`, `control_socket`, `allow_clients`.
void read_server(Reading& reading, const Keys& top, Settings& settings);
/// `upstreams`, `forward`, `special_use`, `canaries`.
void read_upstreams(Reading& reading, const Keys& top, Settings& settings);
/// `lists`, `resolver_list`, `geo`.
void read_lists(Reading& reading, const Keys& top, Settings& settings);
/// `groups`, `devices`, `leases`. A group need not be declared: naming it for a device makes it.
void read_devices(Reading& reading, const Keys& top, Settings& settings);
/// `records`, `hosts_files`, `local_domain`.
void read_records(Reading& reading, const Keys& top, Settings& settings);
/// `rules`, `otherwise`, `block_response`, `block_ttl`, `rebinding`, `rate_limit`.
void read_policy(Reading& reading, const Keys& top, Settings& settings);
/// `cache`.
void read_cache(Reading& reading, const Keys& top, Settings& settings);
/// `querylog`.
void read_query_log(Reading& reading, const Keys& top, Settings& settings);
/// `redirect` and `flows`, which asks the redirect's rules to watch.
void read_redirect(Reading& reading, const Keys& top, Settings& settings);

/// What is called `name` among values that have a `name`; null where none is.
template <class Named>
[[nodiscard]] const Named* find_named(const std::vector<Named>& among, std::string_view name) {
  for (const Named& one : among)
    if (one.name == name) return &one;
  return nullptr;
}
template <class Named>
[[nodiscard]] std::vector<std::string_view> names_of(const std::vector<Named>& among) {
  std::vector<std::string_view> names;
  for (const Named& one : among) names.push_back(one.name);
  return names;
}
/// A name that the operator gives to a route, list, device or group: 1 to 63 octets of UTF-8 without what is invisible.
[[nodiscard]] bool is_given_name(Reading& reading, const Node& node, std::string_view what);

}  // namespace doline::config
