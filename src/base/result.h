// Result: what a function returns that can fail in an expected way (a packet is malformed, a file is missing).
//
// Each room declares one small closed enum (or struct) of faults; an error of a library is turned into it at the room's
// door. A broken invariant is not a fault: see check.h.
#pragma once

#include <tl/expected.hpp>
#include <utility>

namespace doline {

template <class T, class Fault>
using Result = tl::expected<T, Fault>;

/// `return fail(Fault::x);` from a function that returns Result<T, Fault>.
template <class Fault>
[[nodiscard]] constexpr tl::unexpected<std::decay_t<Fault>> fail(Fault&& fault) {
  return tl::unexpected<std::decay_t<Fault>>(std::forward<Fault>(fault));
}

}  // namespace doline
