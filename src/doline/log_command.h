// `doline log`: what happened, row by row, as a table for people or as one JSON object a line.
//
// Reads the database alone: it works while Doline runs and while it does not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "doline/known_addresses.h"
#include "geo/country.h"
#include "querylog/database.h"
#include "querylog/log_reader.h"

namespace doline {

inline constexpr std::uint64_t log_rows_default = 100;    ///< without --since, --until and --limit
inline constexpr std::uint64_t log_rows_max = 1'000'000;  ///< of --limit: they are held in memory to be turned round

struct LogArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in
  std::vector<std::string> devices, groups, names, types, verdicts, clients, meant_for, answers;
  std::vector<std::string> countries;  ///< `CN`: of an address that was answered, or of the original destination
  std::vector<std::uint32_t> asns;     ///< the same by AS
  bool intercepted = false;
  std::string since, until;
  std::optional<std::uint64_t> limit;  ///< the newest so many; 0: all
  bool follow = false;
  bool json = false;
};

/// 0, or 1 nothing found, 64 usage, 66 no database. `stop` ends --follow.
int run_log(const LogArguments& arguments, const KnownAddresses& known, const Clock& clock, std::ostream& out,
            std::ostream& err, std::stop_token stop = {});

/// One object of `--json`, without the line's end. Country and AS stand where they are known.
[[nodiscard]] std::string to_json(const querylog::LogRow& row, const KnownAddresses& known);
/// `114.114.114.114 (114DNS, CN)`; the port only where it is not 53.
[[nodiscard]] std::string describe_resolver(const Endpoint& endpoint, const geo::ResolverBook& resolvers);
/// What is wrong with the database and what to do, on `err`; exit_no_input, or exit_no_permission, exit_disk.
int complain(std::string_view command, const std::filesystem::path& database, querylog::DatabaseFault fault,
             std::ostream& err);

}  // namespace doline
