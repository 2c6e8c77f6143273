#include "policy/service_catalogue.h"

#include <doctest/doctest.h>

#include <set>

using namespace doline::policy;

TEST_CASE("the shipped catalogue is readable, large, and gives each name to one service") {
  const auto services = read_services(shipped_services());
  REQUIRE(services);
  CHECK(services->size() >= 100);
  std::set<std::string> names;
  for (const Service& service : *services)
    for (const auto& name : service.names) {
      CAPTURE(name.to_string());
      CHECK(name.label_count() >= 2);
      CHECK(names.insert(name.to_string()).second);
    }
}

TEST_CASE("a line that is no service is told with its number") {
  CHECK(read_services("# a comment\na\tsocial\ta.example b.example\n")->at(0).names.size() == 2);
  CHECK(read_services("a\tsocial\n").error() == "line 1: a service has a name, a category and names");
  CHECK(read_services("\na\tsocial\ta..b\n").error().starts_with("line 2: "));
  CHECK(read_services("a\tx\ta.b\na\tx\tb.c\n").error() == "line 2: a stands here for the second time");
}
