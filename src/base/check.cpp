#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace doline {

void broken_invariant(std::source_location where) {
  std::fprintf(stderr, "doline: broken invariant at %s:%u in %s: please report this\n", where.file_name(), where.line(),
               where.function_name());
  std::abort();
}

}  // namespace doline
