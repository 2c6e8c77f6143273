#include "control/neighbours.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "run_until.h"
#include "small_network.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;

TEST_CASE("the kernel's table is read and then followed") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!tests::run("ip neigh add 192.0.2.5 lladdr 94:51:3d:13:9a:35 dev lan0 nud stale"))
            return "no first neighbour";
          Loop loop;
          std::map<std::string, std::string> seen;
          const auto neighbours = Neighbours::follow(loop, [&](const listener::Neighbour& neighbour) {
            const device::Sighting& sighting = neighbour.sighting;
            seen[sighting.address.to_string()] = sighting.mac.to_string();
          });
          if (!neighbours) return neighbours.error();
          if (!run_until(loop, [&] { return seen.contains("192.0.2.5"); })) return "the table was not read";
          if (seen["192.0.2.5"] != "94:51:3d:13:9a:35") return "it was misread: " + seen["192.0.2.5"];

          if (!tests::run("ip neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev lan0 nud reachable"))
            return "no second neighbour";
          if (!run_until(loop, [&] { return seen.contains("2001:db8::7"); })) return "the table was not followed";
          if (!tests::run("ip neigh replace 192.0.2.5 lladdr 02:00:00:00:00:05 dev lan0 nud stale")) return "no change";
          if (!run_until(loop, [&] { return seen["192.0.2.5"] == "02:00:00:00:00:05"; }))
            return "a change was not seen";

          seen.clear();
          (*neighbours)->look_again();
          (*neighbours)->look_again();
          if (!run_until(loop, [&] { return seen.size() == 2; }))
            return "a second look saw " + std::to_string(seen.size());
          return "";
        }) == "");
}
