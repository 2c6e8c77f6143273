#include "control/spare_memory.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <fstream>

namespace {

/// Pages of files that this process has mapped and touched (proc(5), statm).
std::size_t resident_file_pages() {
  std::size_t size = 0, resident = 0, of_files = 0;
  std::ifstream("/proc/self/statm") >> size >> resident >> of_files;
  return of_files;
}

}  // namespace

TEST_CASE("code that the start alone needed is no longer resident, and what is used again comes back") {
  const std::size_t before = resident_file_pages();
  REQUIRE(before > 0);
  doline::control::give_back_code();
  CHECK(resident_file_pages() < before);
  doline::control::give_back_freed_memory();
}
