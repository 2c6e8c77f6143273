// check(): an invariant of ours, in every build. Breaking it is a bug of Doline and ends the process with the place on
// standard error. Never for what the network, a file or the operator can cause: that is a Result.
#pragma once

#include <source_location>

namespace doline {

/// Prints the place and aborts. Async-signal-safe; any thread.
[[noreturn]] void broken_invariant(std::source_location where);

constexpr void check(bool holds, std::source_location where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    broken_invariant(where);
}

}  // namespace doline
