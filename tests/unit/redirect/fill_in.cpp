#include "redirect/fill_in.h"

#include <doctest/doctest.h>

using namespace doline::redirect;

TEST_CASE("Gaps are filled in, and other braces stay") {
  CHECK(fill_in("via {box} dev { \"{lan}\" } ${x:-} {}\n", {{"box", {"192.0.2.1"}}, {"lan", {"eth0"}}}) ==
        "via 192.0.2.1 dev { \"eth0\" } ${x:-} {}\n");
}

TEST_CASE("A line without a value is left out, and one with several stands once for each") {
  const Values values{{"none", {}}, {"each", {"a", "b"}}, {"other", {"1", "2"}}, {"flag", {""}}, {"one", {"x"}}};
  CHECK(fill_in("first\n{none}second {one}\n{each}={other} {one}\n{flag}last\n", values) ==
        "first\na=1 x\nb=2 x\nlast\n");
  CHECK(fill_in("", values).empty());
  CHECK(fill_in("no line end", values) == "no line end\n");
}

TEST_CASE("What is filled in is not looked at again") {
  CHECK(fill_in("{a} {b}\n", {{"a", {"{b}"}}, {"b", {"{a}"}}}) == "{b} {a}\n");
}
