// The search engines that publish a name of their own for searches without what is not for children, and the names that
// lead there then, as their operators document it for administrators of networks. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"

namespace doline::policy {

struct SafeEngine {
  std::string_view word;    ///< in the configuration: `google`
  std::string_view target;  ///< `forcesafesearch.google.com`
  std::string_view names;   ///< that are led there, separated by blanks; empty: Google's, of all countries
};

[[nodiscard]] std::span<const SafeEngine> safe_engines();
[[nodiscard]] std::vector<dns::Name> names_of(const SafeEngine& engine);

}  // namespace doline::policy
