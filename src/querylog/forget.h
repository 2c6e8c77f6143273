// forget(): takes records and connections out of a query log for good, whether a Doline is writing to it or not.
//
// Works on the file, on a connection of its own, in any process that may write it. Segments are written anew without
// them, a few in a transaction, so that a running writer gets its turns; then goes what only they had named; at last
// the file is written anew, so that nothing of them is left in its free places. A running writer keeps its records
// until it may write again; a record that it had not yet written when forget() began is not forgotten.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "querylog/database.h"

namespace doline::querylog {

/// Both must match; absent matches all.
struct Forgetting {
  std::vector<std::string> devices;  ///< names, as they were then
  std::optional<WallTime> before;    ///< exclusive
};

struct Forgotten {
  std::uint64_t rows = 0;
  std::uint64_t flows = 0;      ///< connections
  bool leaves_remains = false;  ///< the file could not be written anew: no row is left, but octets of some may be
};

/// Blocks: seconds for millions of rows. The file must be there.
[[nodiscard]] Result<Forgotten, DatabaseFault> forget(const std::filesystem::path& file, const Forgetting& what);

/// Damaged logs that the writer set aside beside `file`: forget() does not look into them.
[[nodiscard]] std::vector<std::filesystem::path> set_aside_logs(const std::filesystem::path& file);

}  // namespace doline::querylog
