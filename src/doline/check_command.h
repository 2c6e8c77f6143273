// `doline check FILE`: every mistake in a configuration, with its place; and where there is none, each file it names
// that cannot be read now, which Doline would do without.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace doline {

struct CheckArguments {
  std::filesystem::path file;
  bool json = false;
};

/// 0 (files that cannot be read are warnings), or 78 mistakes.
int run_check(const CheckArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace doline
