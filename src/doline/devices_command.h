// `doline devices`: every device seen, with the foreign resolvers it meant to ask; or where one was and what it was
// called, from when to when.
//
// Reads the database alone; which MACs are one device it is told.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "base/time.h"
#include "device/roster.h"
#include "geo/resolver_book.h"
#include "querylog/log_reader.h"

namespace doline {

struct DevicesArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in
  std::string history;             ///< of this device: a name, a MAC, an address; empty: list all
  bool json = false;
};

/// 0, or 1 no device, 66 no database. `roster`: which MACs are one device now.
int run_devices(const DevicesArguments& arguments, const geo::ResolverBook& resolvers, const device::Roster& roster,
                const Clock& clock, std::ostream& out, std::ostream& err);
/// One object of `--json`, without the line's end.
[[nodiscard]] std::string to_json(const querylog::DeviceSummary& device, const geo::ResolverBook& resolvers);
/// The same of `--history --json`.
[[nodiscard]] std::string to_json(const querylog::Stay& stay);

}  // namespace doline
