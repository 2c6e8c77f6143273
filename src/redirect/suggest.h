// suggest(): the options that most likely fit this machine, for an operator who has not written any.
#pragma once

#include <optional>

#include "redirect/host_facts.h"
#include "redirect/options.h"

namespace doline::redirect {

/// Mode tproxy for the interfaces with a private IPv4 network by which no default route leaves; nothing where there is
/// none, or where this machine routes for nobody.
[[nodiscard]] std::optional<Options> suggest(const HostFacts& facts);

}  // namespace doline::redirect
