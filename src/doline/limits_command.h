// `doline limits`: every limit that is built in, by room. The named constants themselves are printed: it cannot lie.
#pragma once

#include <iosfwd>

namespace doline {

struct LimitsArguments {
  bool json = false;
};

/// 0
int run_limits(const LimitsArguments& arguments, std::ostream& out);

}  // namespace doline
