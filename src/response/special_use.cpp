#include "response/special_use.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace doline::response {

namespace {

using dns::Name;
using dns::RecordType;

Name named(std::string_view text) {
  const auto name = Name::parse(text);
  check(name.has_value());
  return *name;
}

struct Zone {
  Name apex;
  std::uint32_t ttl_seconds = special_use_ttl_seconds;
};

/// Zones that are served here, empty: the top-level names, then those below arpa.
std::vector<Zone> make_zones() {
  std::vector<Zone> zones;
  for (const char* text : {
           "invalid", "test",       // RFC 6761 §6.4, §6.2
           "local", "onion", "alt"  // RFC 6762 §22.1, RFC 7686 §2, RFC 9476 §3
       })
    zones.push_back({named(text)});
  for (const char* text : {"resolver.arpa", "service.arpa",  // RFC 9462 §6.4, RFC 9665
                                                             // RFC 6303 §4
                           "0.in-addr.arpa", "127.in-addr.arpa", "2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa",
                           "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa",
                           "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
                           "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"})
    zones.push_back({named(text)});
  const auto add_of_house = [&](const std::string& text) { zones.push_back({named(text), house_name_ttl_seconds}); };
  for (const char* text : {"home.arpa",  // RFC 8375 §4
                           "10.in-addr.arpa", "168.192.in-addr.arpa", "254.169.in-addr.arpa", "d.f.ip6.arpa",
                           "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa"})
    add_of_house(text);
  for (int octet = 16; octet <= 31; ++octet) add_of_house(std::to_string(octet) + ".172.in-addr.arpa");
  for (int octet = 64; octet <= 127; ++octet)  // RFC 7793
    add_of_house(std::to_string(octet) + ".100.in-addr.arpa");
  return zones;
}

struct Table {
  std::vector<Zone> zones = make_zones();
  Name localhost = named("localhost"), resolver = named("resolver.arpa");
  Name firefox = named("use-application-dns.net");
  Name icloud = named("mask.icloud.com"), icloud_h2 = named("mask-h2.icloud.com");
};

const Table& table() {
  static const Table made;
  return made;
}

}  // namespace

std::optional<LocalAnswer> find_special_use(const Name& lowered, RecordType type, const SpecialUse& choice) {
  using Kind = LocalAnswer::Kind;
  const auto says = [](Kind kind, const Name& zone, std::uint32_t ttl_seconds) {
    return LocalAnswer{kind, static_cast<std::uint8_t>(zone.size()), ttl_seconds};
  };
  const auto serve = [&](const Name& zone, std::uint32_t ttl_seconds) -> std::optional<LocalAnswer> {
    const bool is_apex = lowered.size() == zone.size();
    if (is_apex && type == RecordType::ds) return std::nullopt;
    return says(is_apex ? Kind::apex : Kind::nxdomain, zone, ttl_seconds);
  };
  if (!may_be_special(lowered, choice)) return std::nullopt;
  const Table& known = table();
  if (choice.firefox_canary && lowered == known.firefox) return says(Kind::nodata, lowered, special_use_ttl_seconds);
  if (choice.icloud_canaries && (lowered == known.icloud || lowered == known.icloud_h2))
    return says(Kind::nodata, lowered, special_use_ttl_seconds);
  if (lowered.is_within(known.localhost))
    return choice.names ? std::optional(says(Kind::loopback, known.localhost, special_use_ttl_seconds)) : std::nullopt;
  if (choice.local_domain && lowered.is_within(*choice.local_domain))
    return serve(*choice.local_domain, house_name_ttl_seconds);
  for (const Zone& zone : known.zones) {
    if (!lowered.is_within(zone.apex)) continue;
    if (!choice.names) return std::nullopt;
    auto answer = serve(zone.apex, zone.ttl_seconds);
    // RFC 9462 §4: NODATA says that there is no designated resolver.
    if (answer && answer->kind == Kind::nxdomain && zone.apex == known.resolver) answer->kind = Kind::nodata;
    return answer;
  }
  if (!is_bare(lowered) || !choice.bare_names || is_asked_of_zones(type)) return std::nullopt;
  return LocalAnswer{Kind::nxdomain, 0, house_name_ttl_seconds};
}

bool is_asked_of_zones(RecordType type) {
  constexpr RecordType cds{59}, cdnskey{60}, csync{62}, zonemd{63};
  constexpr std::array zone_types{RecordType::ns,
                                  RecordType::soa,
                                  RecordType::ds,
                                  RecordType::dnskey,
                                  RecordType::rrsig,
                                  RecordType::nsec,
                                  RecordType::nsec3,
                                  RecordType::nsec3param,
                                  RecordType::caa /* RFC 8659 §3: asked up to the top */,
                                  cds,
                                  cdnskey,
                                  csync,
                                  zonemd};
  return std::find(zone_types.begin(), zone_types.end(), type) != zone_types.end();
}

}  // namespace doline::response
