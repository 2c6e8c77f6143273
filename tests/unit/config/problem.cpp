#include "config/problem.h"

#include <doctest/doctest.h>

#include <string>

using namespace doline::config;

TEST_CASE("A problem names its file, line and column, and what may have been meant") {
  Problem problem;
  problem.file = "doline.yml";
  problem.line = 12;
  problem.column = 5;
  problem.message = "unknown key 'upstream' in the top level";
  problem.hint = "did you mean 'upstreams'?";
  CHECK(to_string(problem) == "doline.yml:12:5: unknown key 'upstream' in the top level; did you mean 'upstreams'?");
  problem.hint.clear();
  problem.line = 0;
  CHECK(to_string(problem) == "doline.yml: unknown key 'upstream' in the top level");
}

TEST_CASE("The caret stands under the place, though letters before it have several octets") {
  Problem problem;
  problem.file = "f";
  problem.line = 3;
  problem.column = 7;  // of the x, in octets: two letters of two
  problem.message = "wrong";
  problem.source_line = "\u00fc\u00e4: x";
  CHECK(to_text(problem) == "f:3:7: wrong\n 3 | \u00fc\u00e4: x\n   |     ^\n");
  problem.source_line.clear();
  CHECK(to_text(problem) == "f:3:7: wrong\n");
}

TEST_CASE("What is quoted is fit for a terminal") {
  CHECK(quote("plain") == "'plain'");
  CHECK(quote("") == "''");
  CHECK(quote("Wohnzimmer-K\u00fcche") == "'Wohnzimmer-K\u00fcche'");
  CHECK(quote("\x1b[31m\n") == "'\\x1b[31m\\x0a'");
  CHECK(quote("\xff\xc3") == "'\\xff\\xc3'");
  CHECK(quote("\xc0\xaf") == "'\\xc0\\xaf'");           // overlong
  CHECK(quote("\xed\xa0\x80") == "'\\xed\\xa0\\x80'");  // a surrogate
  CHECK(quote("a\u202eb") == "'a\\xe2\\x80\\xaeb'");    // turns the writing around
  CHECK(quote("a\u0085b") == "'a\\xc2\\x85b'");
  const std::string shortened = quote(std::string(500, 'a'));
  CHECK(shortened.size() < 80);
  CHECK(shortened.ends_with("...'"));
}

TEST_CASE("A line that is shown keeps its length, so that the caret stays right") {
  const std::string line = "a\tb\x1b[0m\u202e\xff z";
  const std::string shown = printable_line(line);
  CHECK(shown.size() == line.size());
  CHECK(shown == "a b?[0m???? z");
  CHECK(printable_line("C:\\x") == "C:\\x");
}

TEST_CASE("The nearest word is one that could have been meant, or none") {
  const std::vector<std::string_view> keys{"upstreams", "listen", "lists", "cache", "rules", "querylog"};
  CHECK(find_nearest("upstream", keys) == "upstreams");
  CHECK(find_nearest("upsteams", keys) == "upstreams");
  CHECK(find_nearest("lsitne", keys) == "listen");
  CHECK(find_nearest("Rules", keys) == "rules");
  CHECK(find_nearest("query_log", keys) == "querylog");
  CHECK(find_nearest("dashboard", keys).empty());
  CHECK(find_nearest("", keys).empty());
  CHECK(find_nearest("x", keys).empty());
  CHECK(find_nearest(std::string(10'000, 'u'), keys).empty());
  CHECK(find_nearest("block-response", {"block_response"}) == "block_response");
  CHECK(find_nearest("lists", {}).empty());
}
