#include "doline/terminal_text.h"

#include <doctest/doctest.h>

#include <sstream>

using namespace doline;

TEST_CASE("columns are as wide as their widest cell, by characters and not by octets") {
  TextTable table({"NAME", "N"});
  table.add({"Küche", "1"});
  table.add({"tv", "2"});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() == "NAME   N\nKüche  1\ntv     2\n");
}

TEST_CASE("a cell that is too long is not cut, and it pushes the rest of its row only") {
  TextTable table({"NAME", "N"});
  const std::string longest(TextTable::column_width_max + 10, 'x');
  table.add({longest, "1"});
  table.add({"tv", "2"});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() == "NAME" + std::string(TextTable::column_width_max - 4, ' ') + "  N\n" + longest + "  1\ntv" +
                         std::string(TextTable::column_width_max - 2, ' ') + "  2\n");
}

TEST_CASE("rows that come later have the widths of the first ones, and no second title") {
  TextTable table({"NAME", "N"});
  table.add({"camera", "1"});
  std::ostringstream out;
  table.print(out);
  table.add({"tv", "2"});
  CHECK(table.waiting() == 1);
  table.print(out);
  table.print(out);
  CHECK(out.str() == "NAME    N\ncamera  1\ntv      2\n");
}

TEST_CASE("empty cells at a row's end leave no blanks behind") {
  TextTable table({"NAME", "LIST", "N"});
  table.add({"tv", "", ""});
  std::ostringstream out;
  table.print(out);
  CHECK(out.str() == "NAME  LIST  N\ntv\n");
}
