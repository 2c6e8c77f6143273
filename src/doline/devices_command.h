// `doline devices`: every device seen, with the foreign resolvers it meant to ask.
//
// Reads the database alone, its rollups and not its rows: it is as fast on a large log as on a small one.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "base/time.h"
#include "geo/resolver_book.h"
#include "querylog/log_reader.h"

namespace doline {

struct DevicesArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in
  bool json = false;
};

/// 0, or 1 no device, 66 no database.
int run_devices(const DevicesArguments& arguments, const geo::ResolverBook& resolvers, const Clock& clock,
                std::ostream& out, std::ostream& err);
/// One object of `--json`, without the line's end.
[[nodiscard]] std::string to_json(const querylog::DeviceSummary& device, const geo::ResolverBook& resolvers);

}  // namespace doline
