// Settings: what the operator asked for, checked, in the words of the rooms that carry it out.
//
// Two types, so that "needs a restart" is known by the type: what is read once at start is Fixed, what every reload may
// change is Live. Values without behaviour, made by read_settings() and owned by control. Names are already turned into
// ids, texts into addresses, relative paths into paths from where the process stands.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "blocklist/list_file.h"
#include "cache/cache.h"
#include "device/roster.h"
#include "listener/tcp_listener.h"
#include "policy/rule_book.h"
#include "redirect/options.h"
#include "redirect/restrictions.h"
#include "resolver/snapshot.h"
#include "response/dns64.h"
#include "response/local_records.h"
#include "response/synthesize.h"
#include "transfer/zone_source.h"
#include "upstream/exchange.h"

namespace doline::config {

inline constexpr std::size_t listen_max = 64;  ///< addresses
inline constexpr std::size_t routes_max = 64;  ///< entries of `upstreams`
inline constexpr std::size_t forward_zones_max = 1'024;
inline constexpr int workers_max = 256;

inline constexpr std::string_view usual_state = "/var/lib/doline";  ///< where the file names no other
/// Within the state folder, where the file names no other place.
inline constexpr std::string_view control_socket_name = "control.socket";
inline constexpr std::string_view query_log_name = "doline.db";

/// One entry of `lists`; its position is its ListId.
struct ListSettings {
  std::string name;
  std::filesystem::path file;                   ///< of the operator; one of these three is set
  std::string url;                              ///< http or https
  std::optional<transfer::ZoneSource> zone;     ///< transferred from a primary
  seconds every{86'400};                        ///< how often a URL is fetched
  std::optional<blocklist::ListFormat> format;  ///< absent: recognised
  bool subdomains = false;                      ///< plain names cover the names below
  policy::ListKind kind = policy::ListKind::block;
  policy::Mode mode = policy::Mode::enforce;
  int line = 0;  ///< of the YAML
  /// What it says is kept in a copy of our own.
  [[nodiscard]] bool is_fetched() const { return !url.empty() || zone.has_value(); }
};

/// Read at start; a change waits for a restart.
struct Fixed {
  struct QueryLog {
    std::filesystem::path path;
    bool answers = true;
    bool operator==(const QueryLog&) const = default;
  };

  std::vector<Endpoint> listen;          ///< UDP and TCP on each
  std::optional<int> workers;            ///< absent: one a core
  std::string time_zone;                 ///< of `between` and `days`: `Europe/Berlin`; empty: the machine's
  std::string user;                      ///< to become once the sockets are open; empty: stay who we are
  std::filesystem::path state;           ///< folder of what Doline itself writes
  bool names_state = false;              ///< the file does
  std::filesystem::path control_socket;  ///< where `doline status` and its kin find us
  std::optional<QueryLog> query_log;     ///< absent: off
  cache::Options cache;                  ///< size_octets is the total over all workers
  listener::TcpLimits tcp;
  std::optional<redirect::Options> redirect;  ///< absent: the file has no such section. `flows.watch` is among them
  std::vector<device::MappedPort> port_map;   ///< `redirect.port_map`; works without a redirect of our own
  bool maps_listed = false;                   ///< `port_map: listed`: as Live::resolver_list says at the start
  seconds flow_warm_up{3'600};                ///< after the start, for which no connection is called without lookup
};

/// What a reload changes by a new snapshot.
struct Live {
  std::vector<IpPrefix> allow_clients;
  upstream::Options upstream;                        ///< routes[0] is `default`
  std::vector<resolver::ForwardZone> forward_zones;  ///< longest suffix first
  response::SpecialUse special_use;
  std::shared_ptr<const response::Dns64> dns64;  ///< null: off
  std::vector<ListSettings> lists;
  std::vector<dns::Name> must_resolve;                   ///< no fetched list may block these; small letters
  std::filesystem::path resolver_list;                   ///< CSV for geo::ResolverBook; empty: none
  std::filesystem::path country_file;                    ///< MaxMind DB for geo::PlaceBook; empty: none
  std::filesystem::path asn_file;                        ///< the same
  std::vector<device::Group> groups;                     ///< position = GroupId
  std::vector<redirect::GroupRestriction> restrictions;  ///< position = GroupId; groups past its end have none
  std::vector<device::DeviceSettings> devices;
  std::vector<std::filesystem::path> leases;
  bool hears_announcements = false;  ///< `discover: mdns`
  bool asks_pointers = false;        ///< `discover: ptr`
  std::vector<response::LocalName> records;
  std::vector<std::filesystem::path> hosts_files;  ///< behind `records`, the first file first
  std::optional<dns::Name> local_domain;           ///< devices have names in it; small letters
  policy::RuleBookSettings policy;
  response::BlockSettings block;
  policy::RebindingSettings rebinding;
  resolver::RateLimit rate_limit;
  std::vector<IpPrefix> trusted_routers;  ///< whose EDNS client data and PROXY headers are believed
  seconds log_keep = std::chrono::hours(90 * 24);
  std::uint64_t log_max_size_octets = std::uint64_t{4} << 30;
};

struct Settings {
  std::filesystem::path file;  ///< they were read from
  Fixed fixed;
  Live live;
};

/// Is it a port that Doline serves on, or takes stray queries on?
[[nodiscard]] bool is_own_port(const Fixed& fixed, std::uint16_t port);

/// As if the file had said `state: FOLDER`: for `--state`. What the file puts elsewhere by name stays there.
void place_state(Fixed& fixed, const std::filesystem::path& folder);

/// The keys whose values differ: what a reload has to leave until the next start. Empty: nothing.
[[nodiscard]] std::vector<std::string> changed_keys(const Fixed& running, const Fixed& wanted);

}  // namespace doline::config
