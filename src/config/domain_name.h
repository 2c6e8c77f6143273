// parse_domain_name(): a domain name that a person has written.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/name.h"

namespace doline::config {

/// In small letters. Labels may hold any octets; where a person wrote such, an address, a path or a list's `||name^`
/// was meant. The fault: what would be right, or empty.
[[nodiscard]] Result<dns::Name, std::string> parse_domain_name(std::string_view text);

}  // namespace doline::config
