// read_hosts(): the lines of a hosts file (hosts(5)): an address, then the names that it has.
//
// Pure; any thread. Time and memory are bounded by the text and hosts_names_max.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "response/local_records.h"

namespace doline::response {

inline constexpr std::size_t hosts_names_max = 65'536;  ///< of one file; what stands behind is not read
inline constexpr std::size_t hosts_problems_max = 20;   ///< told of one file

struct HostsProblem {
  std::size_t line = 0;  ///< from 1
  std::string what;      ///< without the line's own words
};

struct HostsReading {
  std::vector<LocalName> names;        ///< one for each name on each line, in the order of the file
  std::vector<HostsProblem> problems;  ///< bad lines and names; the rest is used
};

/// Only addresses that other hosts can use: a machine's own loopback lines say nothing to them, 0.0.0.0 nothing at all.
/// `localhost` is never taken.
[[nodiscard]] HostsReading read_hosts(std::string_view text);

}  // namespace doline::response
