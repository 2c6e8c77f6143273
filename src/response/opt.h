// How every response ends: its OPT record, and the room that is kept for it. Private to response.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "dns/code.h"
#include "response/synthesize.h"

namespace doline::response {

/// What the OPT record takes without an error in it: the error may be left out, the rest may not. 0 without EDNS.
[[nodiscard]] std::size_t opt_octets(const Fit& fit);

/// Puts it behind the message of `size` octets in `space`, where the client speaks EDNS. Returns the new size. `code`:
/// its upper bits go into the record.
[[nodiscard]] std::size_t end_with_opt(std::span<std::uint8_t> space, std::size_t size, const Fit& fit,
                                       dns::ResponseCode code, std::optional<dns::ExtendedError> error,
                                       std::string_view error_text);

}  // namespace doline::response
