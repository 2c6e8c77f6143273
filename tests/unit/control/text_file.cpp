#include "control/text_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "temporary_folder.h"

using namespace doline::control;

TEST_CASE("a file is read whole, and what is no regular file, or is not there, is told with its name") {
  const doline::tests::TemporaryFolder folder;
  const std::string text = std::string(200'000, 'x') + '\n';
  std::ofstream(folder / "text") << text;
  const auto read = read_text_file(folder / "text");
  REQUIRE(read.has_value());
  CHECK(*read == text);
  CHECK(read_text_file(folder / "absent").error().find("absent cannot be read: No such file") != std::string::npos);
  CHECK(read_text_file(folder.path()).error().find("no regular file") != std::string::npos);
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_FALSE(read_text_file(folder / "fifo").has_value());
}
