// ExemptionBook: for whom blocking is set aside, and until when; kept in state/exemptions.json from start to start.
//
// What `doline pause`, `resume` and `allow` change. Control thread only; it tells when the next one ends, and control
// makes a new rule book then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "device/roster.h"
#include "policy/exemption.h"

namespace doline::control {

class ExemptionBook {
 public:
  /// Reads the file and writes nothing; what is malformed in it, or has ended, is passed over. `complaint`: the
  /// sentence about a file that is no such one.
  ExemptionBook(std::filesystem::path file, WallTime now, std::string& complaint);

  [[nodiscard]] const std::vector<policy::Exemption>& all() const { return all_; }
  /// When the next one ends.
  [[nodiscard]] std::optional<WallTime> next_end() const;
  /// True: some have ended.
  bool end_until(WallTime now);
  /// One for the same device, group and name is replaced. The fault: there are too many, or the file cannot be written
  /// (then it holds until the next start).
  [[nodiscard]] Result<void, std::string> add(policy::Exemption exemption);
  /// Those for this device, group and name, or all; how many that were.
  std::size_t remove(const policy::Exemption& like);
  std::size_t remove_all();

 private:
  std::string save() const;
  std::filesystem::path file_;
  std::vector<policy::Exemption> all_;
};

/// An object as the file and `doline status --json` have it.
[[nodiscard]] nlohmann::json to_json(const policy::Exemption& exemption);
/// What a request asks for: `device` (a name, a MAC or an address), `group`, `name`, `seconds` from now (0: without an
/// end). The fault says what nobody knows, with the nearest that is known.
[[nodiscard]] Result<policy::Exemption, std::string> read_request(const nlohmann::json& request,
                                                                  const device::Roster& roster, WallTime now);

}  // namespace doline::control
