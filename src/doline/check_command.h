// `doline check FILE`: every mistake in a configuration, with its place.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace doline {

struct CheckArguments {
  std::filesystem::path file;
  bool json = false;
};

/// 0, or 78 mistakes.
int run_check(const CheckArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace doline
