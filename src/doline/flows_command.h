// `doline flows`: what devices connected to, row by row or summed up, and whether a look-up explains it.
//
// Reads the database alone: it works while Doline runs and while it does not. Country, AS and operator are those of
// today's files, not of the time of the connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "doline/known_addresses.h"
#include "querylog/flow_reader.h"

namespace doline {

inline constexpr std::uint64_t flow_rows_default = 100;    ///< without --since, --until and --limit
inline constexpr std::uint64_t flow_rows_max = 1'000'000;  ///< of --limit
inline constexpr std::size_t flow_sums_max = 100'000;      ///< of --summary; more are counted together

struct FlowsArguments {
  std::filesystem::path database;  ///< empty: as the configuration says; the front door fills it in
  std::vector<std::string> devices, addresses;
  bool without_lookup = false;
  bool summary = false;
  std::string since, until;
  std::optional<std::uint64_t> limit;  ///< the newest so many; 0: all
  bool json = false;
  bool is_watched = false;  ///< as the configuration says; the front door fills it in
};

/// 0, or 1 nothing found, 64 usage, 66 no database.
int run_flows(const FlowsArguments& arguments, const KnownAddresses& known, const Clock& clock, std::ostream& out,
              std::ostream& err);
/// `CN, AS4134`, `Quad9, CH`; empty where nobody knows.
[[nodiscard]] std::string whose_text(const IpAddress& address, const KnownAddresses& known);
/// `TCP`, `protocol 47`.
[[nodiscard]] std::string protocol_text(std::uint8_t protocol);
/// One object of `--json`, without the line's end.
[[nodiscard]] std::string to_json(const querylog::FlowRow& row, const KnownAddresses& known);

}  // namespace doline
