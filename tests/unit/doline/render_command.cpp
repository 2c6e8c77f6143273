#include "doline/render_command.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "doline/exit_status.h"

using namespace doline;

namespace {

struct Ran {
  int status = -1;
  std::string out, err;
};

Ran run(const RenderArguments& arguments, redirect::Mode mode = redirect::Mode::remote) {
  config::Fixed settings;
  settings.redirect.emplace();
  settings.redirect->mode = mode;
  settings.redirect->interfaces = {"no-such-link"};
  std::ostringstream out, err;
  Ran ran;
  ran.status = run_render(arguments, settings, {*IpPrefix::parse("9.9.9.9")}, out, err);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

RenderArguments arguments() {
  return {.platform = "nftables",
          .box_addresses = {"192.168.88.53", "fd00:88::53"},
          .box_mac = "b8:27:eb:00:50:53",
          .lan = {"br-lan", "br-iot"},
          .router = "192.168.88.1"};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("What is typed is in the text, and this machine's own addresses are not") {
  const Ran ran = run(arguments());
  CHECK(ran.status == exit_ok);
  CHECK(ran.err.empty());
  for (const char* part : {"via 192.168.88.53 dev br-lan", "via fd00:88::53 dev br-lan", "{ \"br-lan\", \"br-iot\" }",
                           "ether saddr b8:27:eb:00:50:53 return", "192.168.88.1"}) {
    CAPTURE(part);
    CHECK(has(ran.out, part));
  }
}

TEST_CASE("A machine that is the router itself is told that the text is for another one") {
  CHECK(has(run(arguments(), redirect::Mode::tproxy).err, "is to be the router itself (`redirect: {mode: tproxy}`)"));
  CHECK(run(arguments(), redirect::Mode::tproxy).status == exit_ok);
  CHECK(run(arguments(), redirect::Mode::off).err.empty());
}

TEST_CASE("What is wrong or missing is told, all of it, and there is no text") {
  RenderArguments wrong = arguments();
  wrong.box_addresses = {"192.168.88.530", "10.0.0.1", "10.0.0.2"};
  wrong.box_mac = "b8:27";
  wrong.router = "router";
  const Ran ran = run(wrong);
  CHECK(ran.status == exit_wrong_usage);
  CHECK(ran.out.empty());
  for (const char* part :
       {"'192.168.88.530' is no IP address", "one of each family", "'b8:27' is no MAC", "'router'"}) {
    CAPTURE(part);
    CHECK(has(ran.err, part));
  }
  CHECK(has(run({.platform = "nftables"}).err, "--box-address"));
  CHECK(has(run({.platform = "nftables"}).err, "--lan"));
  CHECK(has(run({.platform = "fritzbox"}).err, "'fritzbox' is none of openwrt"));
}

TEST_CASE("Nothing that is typed can be more than the value it is to be") {
  RenderArguments hostile = arguments();
  hostile.lan = {"br-lan; reboot"};
  CHECK(run(hostile).out.empty());
  hostile.lan = {"br-lan\nreboot"};
  CHECK(run(hostile).out.empty());
  hostile = arguments();
  hostile.router = "192.168.88.1\nreboot";
  CHECK(run(hostile).out.empty());
  hostile = arguments();
  hostile.platform = "nftables\033[2J";
  CHECK_FALSE(has(run(hostile).err, "\033"));
}
