// A snapshot from a configuration's text, as control makes one, in a folder of the test's own.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "resolver/snapshot.h"

namespace doline::tests {

struct Prepared {
  config::Settings settings;
  std::shared_ptr<const resolver::Snapshot> snapshot;
};

/// `folder` holds the files that the configuration names; compiled lists go there too. `line_offset`: empty lines
/// before the text, so that a problem names the line it stands on in `file`. The fault is a text of one or more lines.
[[nodiscard]] Result<Prepared, std::string> snapshot_of(const std::string& configuration,
                                                        const std::filesystem::path& folder, std::uint64_t generation,
                                                        const std::string& file, int line_offset);

}  // namespace doline::tests
