#include "redirect/options.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "home.h"

using namespace doline::redirect;
using doline::tests::home_options;

namespace {

bool is_told(const Options& options, const std::string& words) {
  const auto problems = find_problems(options);
  return std::any_of(problems.begin(), problems.end(),
                     [&](const std::string& problem) { return problem.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("Options as an operator writes them have no problems") {
  CHECK(find_problems(Options{}).empty());
  CHECK(find_problems(home_options(Mode::tproxy)).empty());
  CHECK(find_problems(home_options(Mode::nat)).empty());
}

TEST_CASE("A name that could end a string of the rules is no interface") {
  for (const char* name :
       {"", "a\"b", "eth0; flush ruleset", "eth0\n", "a b", "..", "../x", "a{b", "eth0*", "lo", "sixteen-letters-"}) {
    Options options = home_options(Mode::tproxy);
    options.interfaces = {name};
    CAPTURE(name);
    CHECK_FALSE(find_problems(options).empty());
  }
  for (const char* name : {"br-lan", "eth0.20", "wlan0_1", "veth1@if2", "fifteen-letters"}) {
    Options options = home_options(Mode::tproxy);
    options.interfaces = {name};
    CAPTURE(name);
    CHECK(find_problems(options).empty());
  }
}

TEST_CASE("What is named twice, not at all or too often is told") {
  Options options = home_options(Mode::tproxy);
  options.interfaces = {"home0", "home0"};
  CHECK(is_told(options, "named twice"));
  options.interfaces.clear();
  CHECK(is_told(options, "no interface"));

  options = home_options(Mode::tproxy);
  options.ports = {53, 53};
  CHECK(is_told(options, "named twice"));
  options.ports = {0};
  CHECK(is_told(options, "port 0"));
  options.ports.clear();
  CHECK(is_told(options, "no port"));
  for (std::uint16_t port = 1; port <= ports_max + 1; ++port) options.ports.push_back(port);
  CHECK(is_told(options, "more than 15 ports"));

  options = home_options(Mode::tproxy);
  options.exempt.macs.resize(exempt_max + 1);
  CHECK(is_told(options, "exemptions"));
}

TEST_CASE("The private port of nat is not an intercepted one") {
  Options options = home_options(Mode::nat);
  options.nat_port = 53;
  CHECK(is_told(options, "private port of nat"));
  options.nat_port = 0;
  CHECK(is_told(options, "private port"));
  options.mode = Mode::tproxy;
  CHECK(find_problems(options).empty());
}

TEST_CASE("The kernel's own routing tables, and preferences behind them, are left alone") {
  for (const std::uint32_t table : {0u, 253u, 254u, 255u, 32'766u, 100'000u}) {
    Options options = home_options(Mode::tproxy);
    options.kernel.table = table;
    CAPTURE(table);
    CHECK(is_told(options, "routing table"));
  }
  Options options = home_options(Mode::tproxy);
  options.kernel.mark = 0;
  CHECK(is_told(options, "mark"));
}

TEST_CASE("Ports of other protocols are told with what would break") {
  Options options = home_options(Mode::tproxy);
  CHECK(find_ports_of_others(Options{}).empty());
  CHECK(find_ports_of_others(options).empty());
  options.ports = {53, 443, 853};
  const auto found = find_ports_of_others(options);
  REQUIRE(found.size() == 2);
  CHECK(found[0].find("Port 443 of `redirect.ports` is known as that of HTTPS") == 0);
  CHECK(found[1].find("`redirect: {encrypted: reject}` has them fall back") != std::string::npos);
  CHECK(find_problems(options).empty());
  options.mode = Mode::audit;  // alters nothing
  CHECK(find_ports_of_others(options).empty());
}

TEST_CASE("Who only watches needs interfaces too") {
  Options options;
  options.watch = true;
  CHECK(is_told(options, "no interface of the LAN is named"));
  options.interfaces = {"home0"};
  CHECK(find_problems(options).empty());
  CHECK(find_problems(home_options(Mode::audit)).empty());
}

TEST_CASE("Redirect that is off needs nothing") {
  Options options;
  options.interfaces.clear();
  options.ports.clear();
  CHECK(find_problems(options).empty());
}
