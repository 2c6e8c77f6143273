#include "control/neighbours.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "run_until.h"
#include "small_network.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;

namespace {

/// MAC addresses by IP address, as they are seen.
std::function<void(const listener::Neighbour&)> into(std::map<std::string, std::string>& seen) {
  return [&seen](const listener::Neighbour& neighbour) {
    seen[neighbour.sighting.address.to_string()] = neighbour.sighting.mac.to_string();
  };
}

}  // namespace

TEST_CASE("the kernel's table is read and then followed") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!tests::run("ip neigh add 192.0.2.5 lladdr 94:51:3d:13:9a:35 dev lan0 nud stale"))
            return "no first neighbour";
          Loop loop;
          std::map<std::string, std::string> seen;
          const auto neighbours = Neighbours::follow(loop, into(seen));
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

TEST_CASE("after more news than the socket holds the table is read again, and followed on") {
  CHECK(tests::in_small_network([]() -> std::string {
          const auto replace_all = [](const std::string& lladdr) {
            return tests::run("for i in $(seq 700); do echo neigh replace 192.0.$((i / 250 + 4)).$((i % 250)) lladdr " +
                              lladdr + " dev lan0; done | ip -batch -");
          };
          if (!replace_all("02:00:00:00:00:01")) return "no neighbours";
          Loop loop;
          std::map<std::string, std::string> seen;
          const auto neighbours = Neighbours::follow(loop, into(seen));
          if (!neighbours) return neighbours.error();
          // While the kernel has told a part of the table.
          for (const char* lladdr : {"02:00:00:00:00:02", "02:00:00:00:00:03"})
            if (!replace_all(lladdr)) return "no changes";
          const bool are_seen = run_until(loop, [&] {
            return seen.size() == 700 &&
                   std::all_of(seen.begin(), seen.end(), [](const auto& one) { return one.second.ends_with("03"); });
          });
          if (!are_seen) return "what was lost was not read again";
          if (!tests::run("ip neigh add 192.0.2.5 lladdr 02:00:00:00:00:05 dev lan0")) return "no later neighbour";
          if (!run_until(loop, [&] { return seen.contains("192.0.2.5"); })) return "the table was not followed on";
          return "";
        }) == "");
}
