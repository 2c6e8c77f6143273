// Judging: what decides for the commands that judge as the running Doline does, from the same files: rules with what is
// set aside, compiled lists, devices with what was seen of them.
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "blocklist/compile.h"
#include "blocklist/list_set.h"
#include "config/settings.h"
#include "control/device_book.h"
#include "device/roster.h"
#include "geo/place_book.h"
#include "geo/resolver_book.h"
#include "policy/rule_book.h"

namespace doline {

struct Judging {
  std::shared_ptr<const policy::RuleBook> rules;
  std::shared_ptr<const blocklist::ListSet> lists;
  std::shared_ptr<const device::Roster> roster;
  std::shared_ptr<const geo::ResolverBook> resolvers;
  std::shared_ptr<const geo::PlaceBook> places;
  std::vector<blocklist::ListInput> list_inputs;
  bool lacks_lists = false;  ///< what is listed there cannot be known
};

/// Compiles lists that are not up to date, into a file that is gone again; what cannot be had is told on `err` and left
/// out. Writes nothing into the state folder.
[[nodiscard]] Judging prepare_judging(const config::Settings& settings, WallTime now, std::ostream& err);

/// The known public resolvers; none without a file that can be read.
[[nodiscard]] geo::ResolverBook read_resolvers(const config::Settings& settings);
/// `geo` as its files are now; what cannot be read is told on `err` and knows nothing.
[[nodiscard]] geo::PlaceBook open_places(const config::Live& live, std::ostream& err);
/// `CN, AS4134`; empty where nothing is known.
[[nodiscard]] std::string place_text(const IpAddress& address, const geo::PlaceBook& places);
/// The devices alone, as the running Doline has them.
[[nodiscard]] std::shared_ptr<const device::Roster> read_devices(const config::Settings& settings,
                                                                 const control::DeviceBook& book, WallTime now);

/// `doline.yml:42`, `otherwise`, `lists that no rule names`.
[[nodiscard]] std::string rule_place(const policy::RuleBook& rules, policy::RuleId id);

}  // namespace doline
