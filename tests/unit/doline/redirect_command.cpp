#include "doline/redirect_command.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "control/command_socket.h"
#include "control/loop.h"
#include "doline/exit_status.h"
#include "own_network.h"
#include "temporary_folder.h"
#include "warden/claim.h"

using namespace doline;
using doline::tests::TemporaryFolder;
using nlohmann::json;
using Verb = RedirectArguments::Verb;

namespace {

struct Ran {
  int status = -1;
  std::string out, err;
};

config::Fixed settings_in(const TemporaryFolder& folder) {
  config::Fixed settings;
  settings.control_socket = folder / "control";
  settings.redirect.emplace();
  settings.redirect->mode = redirect::Mode::tproxy;
  settings.redirect->interfaces = {"home0"};
  return settings;
}

Ran run(Verb verb, const config::Fixed& settings, bool json = false) {
  std::ostringstream out, err;
  Ran ran;
  ran.status = run_redirect({.verb = verb,
                             .settings = {},
                             .restrictions = {},
                             .json = json,
                             .trial = {},
                             .device = {},
                             .from = {},
                             .patience = {},
                             .after_crash = false},
                            settings, out, err);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

/// The command against a running Doline that answers this.
Ran run_against(Verb verb, const json& answer, json* asked = nullptr, bool as_json = false) {
  const TemporaryFolder folder;
  const config::Fixed settings = settings_in(folder);
  Ran ran;
  {
    control::Loop loop;
    const control::CommandSocket socket(loop, settings.control_socket,
                                        [&](const json& request, control::CommandSocket::Answer give) {
                                          if (asked != nullptr) *asked = request;
                                          give(answer);
                                        });
    REQUIRE(socket.trouble().empty());
    std::thread operator_of_it([&] {
      ran = run(verb, settings, as_json);
      loop.post([&] { loop.stop(); });
    });
    loop.run();
    operator_of_it.join();
  }
  return ran;
}

}  // namespace

TEST_CASE("A plan needs neither a running Doline nor privilege") {
  const TemporaryFolder folder;
  config::Fixed settings = settings_in(folder);
  const Ran planned = run(Verb::plan, settings);
  // A machine without nft and iptables can do nothing, and says so.
  CHECK(planned.status == (planned.out.find("Impossible") == std::string::npos ? exit_ok : exit_no));
  CHECK(planned.err.empty());
  if (planned.status == exit_ok)
    CHECK(planned.out.find("Queries that devices on home0 send to foreign resolvers") == 0);

  const auto object = json::parse(run(Verb::plan, settings, true).out);
  CHECK(object["mode"] == "tproxy");
  CHECK(object["possible"] == (planned.status == exit_ok));

  settings.redirect.reset();
  CHECK(run(Verb::plan, settings).out.find("nothing would be changed") != std::string::npos);
  settings.redirect.emplace().mode = redirect::Mode::tproxy;
  CHECK(run(Verb::plan, settings).status == exit_configuration);
}

TEST_CASE("The running Doline is asked, and what it says decides") {
  json asked;
  Ran ran = run_against(Verb::apply, {{"ok", true}, {"warnings", {"docker too"}}}, &asked);
  CHECK(asked == json{{"ask", "redirect.apply"}});
  CHECK(ran.status == exit_ok);
  CHECK(ran.out == "The redirect is in place: stray DNS of the LAN is answered here.\nNote: docker too\n");

  ran = run_against(Verb::apply, {{"ok", false}, {"reasons", {"no nft", "\x1b[2J"}}});
  CHECK(ran.status == exit_no);
  CHECK(ran.out.empty());
  CHECK(ran.err == "doline redirect: no nft\ndoline redirect: \\x1b[2J\n");

  ran = run_against(Verb::status, {{"ok", true}, {"state", "applied"}, {"text", "redirect: applied\n"}}, &asked);
  CHECK(asked == json{{"ask", "redirect.status"}});
  CHECK(ran.status == exit_ok);
  CHECK(ran.out == "redirect: applied\n");
  ran = run_against(Verb::status, {{"ok", true}, {"state", "suspended"}, {"text", "redirect: suspended\n"}});
  CHECK(ran.status == exit_no);

  ran = run_against(Verb::verify, {{"ok", false}, {"reasons", {"table inet doline is gone"}}}, &asked);
  CHECK(asked == json{{"ask", "redirect.verify"}});
  CHECK(ran.status == exit_no);
  ran = run_against(Verb::remove, {{"ok", true}, {"warnings", json::array()}}, &asked);
  CHECK(asked == json{{"ask", "redirect.remove"}});
  CHECK(ran.status == exit_ok);

  const json status{{"ok", true}, {"state", "applied"}, {"text", ""}};
  ran = run_against(Verb::status, status, nullptr, true);
  CHECK(json::parse(ran.out) == status);
}

TEST_CASE("Another program's port is told in plan, apply and status, and what is led there is not answered") {
  if (!tests::own_network()) return;
  const json status{{"ok", true}, {"state", "applied"}, {"text", ""}, {"interference", json::array()}};
  CHECK(run_against(Verb::status, status).status == exit_ok);
  std::vector<int> sockets;
  const auto hold_port = [&](const IpAddress& address) {
    sockets.push_back(::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    REQUIRE(::setsockopt(sockets.back(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    const SocketAddress place = to_socket_address({address, 53});
    return ::bind(sockets.back(), place.get(), place.length) == 0;
  };
  REQUIRE(hold_port(IpAddress::v4(0, 0, 0, 0)));
  const std::string told = " holds port 53 on all addresses, so that Doline cannot listen there";
  const auto tells = [&](const Ran& ran) { return ran.out.find(told) != std::string::npos; };
  const Ran applied = run_against(Verb::apply, {{"ok", true}, {"warnings", json::array()}});
  CHECK(applied.out.find("The redirect is in place, but not all of what it leads here is answered.\nNote: ") == 0);
  CHECK(tells(applied));
  const Ran shown = run_against(Verb::status, status);
  CHECK(shown.status == exit_no);
  CHECK(tells(shown));
  CHECK(json::parse(run_against(Verb::status, status, nullptr, true).out)["interference"].size() == 1);
  const TemporaryFolder folder;
  const Ran planned = run(Verb::plan, settings_in(folder));
  CHECK((tells(planned) || planned.status == exit_no));
  // A Doline that has its transparent sockets all the same hears what is led there.
  if (tests::shell("PATH=$PATH:/usr/sbin ip link set lo up").status == 0 && hold_port(redirect::transparent_v4) &&
      hold_port(redirect::transparent_v6()))
    CHECK(run_against(Verb::status, status).status == exit_ok);
  else
    MESSAGE("skipped: no loopback of both families here");
  for (const int socket : sockets) ::close(socket);
}

TEST_CASE("Rules on trial are asked for by their time, and a confirmation asks for nothing else") {
  const TemporaryFolder folder;
  const config::Fixed settings = settings_in(folder);
  RedirectArguments arguments;
  arguments.verb = Verb::apply;
  for (const char* wrong : {"0s", "2h", "soon"}) {
    arguments.trial = wrong;
    std::ostringstream out, err;
    CHECK(run_redirect(arguments, settings, out, err) == exit_wrong_usage);
    CHECK(err.str().find("is no time from 1s to 3600s") != std::string::npos);
  }
  json asked;
  const Ran ran = run_against(Verb::confirm, {{"ok", true}, {"warnings", json::array()}}, &asked);
  CHECK(asked == json{{"ask", "redirect.confirm"}});
  CHECK(ran.out == "The rules stay.\n");
  CHECK(run(Verb::confirm, settings).status == exit_unavailable);
  CHECK(run(Verb::confirm, settings).err.find("went with it") != std::string::npos);
}

TEST_CASE("What the kernel has seen is a table") {
  const json row{{"mac", "94:51:3d:13:9a:35"}, {"resolver", "114.114.114.114:53"}, {"packets", 12}};
  const Ran ran = run_against(Verb::seen, {{"ok", true}, {"sightings", {row}}, {"left_out", 2}});
  CHECK(ran.status == exit_ok);
  CHECK(ran.out == "94:51:3d:13:9a:35  114.114.114.114:53" + std::string(28, ' ') + "       12 packets\nand 2 more\n");
}

TEST_CASE("Nothing that the kernel has seen is told too") {
  const Ran ran = run_against(Verb::seen, {{"ok", true}, {"sightings", json::array()}, {"left_out", 0}});
  CHECK(ran.status == exit_ok);
  CHECK(ran.out == "The kernel remembers no device that asked a foreign resolver.\n");
}

TEST_CASE("What a Doline cannot remove whose warden has died, root can") {
  if (!tests::own_network()) return;
  const auto tables = [] { return tests::shell("PATH=$PATH:/usr/sbin; nft list tables").output; };
  REQUIRE(tests::shell("PATH=$PATH:/usr/sbin; nft add table inet doline_seen").status == 0);
  const json dead{{"error", "The warden process is gone."}};
  CHECK(run_against(Verb::status, dead).status == exit_no);
  CHECK(tables() == "table inet doline_seen\n");
  const Ran removed = run_against(Verb::remove, dead);
  CHECK(removed.status == exit_ok);
  CHECK(removed.err.find("The warden process is gone.") != std::string::npos);
  CHECK(removed.out.find("what the last one left is removed.") != std::string::npos);
  CHECK(tables().empty());
}

TEST_CASE("A Doline that cannot do it is not in place") {
  const Ran ran = run_against(Verb::apply, {{"error", "The warden process is gone."}});
  CHECK(ran.status == exit_no);
  CHECK(ran.err.find("The warden process is gone.") != std::string::npos);
}

TEST_CASE("Nothing is applied where no Doline would answer") {
  const TemporaryFolder folder;
  const Ran ran = run(Verb::apply, settings_in(folder));
  CHECK(ran.status == exit_unavailable);
  CHECK(ran.out.empty());
  CHECK(ran.err.find("only while Doline runs") != std::string::npos);
}

TEST_CASE("What a killed Doline left is told and removed where none runs") {
  if (!tests::own_network()) return;
  const TemporaryFolder folder;
  const config::Fixed settings = settings_in(folder);
  CHECK(run(Verb::status, settings).status == exit_unavailable);
  CHECK(run(Verb::status, settings).out == "No Doline runs: the redirect is not in place.\n");
  CHECK(run(Verb::remove, settings).out == "No Doline runs, and there was nothing to remove.\n");

  REQUIRE(
      tests::shell("PATH=$PATH:/usr/sbin; nft add table inet doline && ip rule add fwmark 0x5353/0xffff lookup 5353 "
                   "pref 5353")
          .status == 0);
  const Ran told = run(Verb::verify, settings);
  CHECK(told.status == exit_unavailable);
  CHECK(told.out.find("Left behind: Table inet doline is there") != std::string::npos);
  CHECK(told.out.find("Left behind: The policy rule to table 5353 is there (IPv4)") != std::string::npos);
  const auto object = json::parse(run(Verb::status, settings, true).out);
  CHECK(object["running"] == false);
  CHECK(object["state"] == "left behind");

  const Ran removed = run(Verb::remove, settings);
  CHECK(removed.status == exit_ok);
  CHECK(removed.out == "No Doline runs; what the last one left is removed.\n");
  CHECK(tests::shell("PATH=$PATH:/usr/sbin; nft list ruleset; ip rule | grep 5353").output.empty());
}

TEST_CASE("After a crash rules and routes go, and the memory of who asked whom stays") {
  if (!tests::own_network()) return;
  const TemporaryFolder folder;
  REQUIRE(tests::shell("PATH=$PATH:/usr/sbin; nft add table inet doline && nft add table inet doline_seen").status ==
          0);
  std::ostringstream out, err;
  const RedirectArguments arguments{.verb = Verb::remove,
                                    .settings = {},
                                    .restrictions = {},
                                    .json = false,
                                    .trial = {},
                                    .device = {},
                                    .from = {},
                                    .patience = {},
                                    .after_crash = true};
  CHECK(run_redirect(arguments, settings_in(folder), out, err) == exit_ok);
  CHECK(tests::shell("PATH=$PATH:/usr/sbin; nft list tables").output == "table inet doline_seen\n");
  CHECK(out.str() ==
        "No Doline runs; what the last one left is removed, but for this:\n"
        "Left behind: Table inet doline_seen keeps on noting who asks whom; it changes no packet.\n");
  // What fails closed goes on refusing, and that is told.
  REQUIRE(tests::shell("PATH=$PATH:/usr/sbin; nft add table inet doline").status == 0);
  config::Fixed closed = settings_in(folder);
  closed.redirect.emplace().on_failure = redirect::OnFailure::closed;
  out.str("");
  CHECK(run_redirect(arguments, closed, out, err) == exit_ok);
  CHECK(out.str().find("Left behind: Table inet doline is there") != std::string::npos);
}

TEST_CASE("What a Doline that lives holds is not removed, and one on its way out is waited for") {
  if (!tests::own_network()) return;
  const TemporaryFolder folder;
  const config::Fixed settings = settings_in(folder);
  const std::string list = "PATH=$PATH:/usr/sbin; nft list tables";
  REQUIRE(tests::shell("PATH=$PATH:/usr/sbin; nft add table inet doline").status == 0);
  warden::Claim living;
  REQUIRE(living.take());
  const Ran refused = run(Verb::remove, settings);
  CHECK(refused.status == exit_no);
  CHECK(refused.err.find("held by a Doline that lives") != std::string::npos);
  CHECK(tests::shell(list).output == "table inet doline\n");
  std::thread ending([&] {
    std::this_thread::sleep_for(milliseconds(200));
    living.give_back();
  });
  CHECK(run(Verb::remove, settings).status == exit_ok);
  ending.join();
  CHECK(tests::shell(list).output.empty());
}

TEST_CASE("Who may not see the rules is told who may") {
  if (geteuid() != 0) return;
  const TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const config::Fixed settings = settings_in(folder);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65'534) != 0) _exit(1);
    const Ran ran = run(Verb::status, settings);
    static_cast<void>(!write(ends[1], ran.err.data(), ran.err.size()));
    _exit(ran.status);
  }
  close(ends[1]);
  char room[1'000];
  const ssize_t size = read(ends[0], room, sizeof room);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == exit_no_permission);
  REQUIRE(size > 0);
  CHECK(std::string(room, static_cast<std::size_t>(size)).find("sudo doline redirect status") != std::string::npos);
}
