// The catalogue of services: which names belong to TikTok, Netflix and others (blocklists/services.tsv), for `service`
// in rules. Read when a configuration is read; pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/name.h"

namespace doline::policy {

struct Service {
  std::string name;              ///< `tiktok`
  std::string category;          ///< `social`
  std::vector<dns::Name> names;  ///< small letters; each covers what is below it
};

/// The text that is part of the program.
[[nodiscard]] std::string_view shipped_services();
/// One service a line: name, category and names, with tabs between and blanks between the names. The fault is a
/// sentence with the line's number.
[[nodiscard]] Result<std::vector<Service>, std::string> read_services(std::string_view text);

}  // namespace doline::policy
