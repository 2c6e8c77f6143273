#include "warden/warden.h"

#include <doctest/doctest.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "redirect/admission.h"
#include "redirect/origin.h"
#include "running_warden.h"
#include "small_home.h"
#include "warden/leftovers.h"
#include "warden/nflog.h"
#include "warden/routing_watch.h"

using namespace doline;
using namespace doline::tests;
using redirect::Apply;
using redirect::Confirm;
using redirect::Mode;
using redirect::Remove;
using redirect::Restrict;
using redirect::State;
using redirect::Verify;

namespace {

/// Rules, routes and policy rules of this machine in any order, without what counts up.
std::string state_of_machine() {
  return shell(
             "PATH=$PATH:/usr/sbin; { nft -s list ruleset; ip rule; ip -6 rule; ip route show table all; ip -6 route "
             "show "
             "table all; } | sort")
      .output;
}

bool has_table(const char* name) {
  return shell(std::string("PATH=$PATH:/usr/sbin nft list table inet ") + name).status == 0;
}

/// Tries until it is so; the machine is slow now and then.
template <class Condition>
bool becomes_true(Condition condition) {
  for (int tries = 0; tries < 400; ++tries) {
    if (condition()) return true;
    usleep(25'000);
  }
  return false;
}

/// A program that cannot be run by this process and its children, in mounts of their own.
class Hidden {
 public:
  explicit Hidden(const char* program) : program_(program) {
    if (unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) hide();
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
  ~Hidden() { show(); }
  explicit operator bool() const { return is_hidden_; }
  void hide() { is_hidden_ = mount("/dev/null", program_, nullptr, MS_BIND, nullptr) == 0; }
  void show() {
    if (std::exchange(is_hidden_, false)) umount(program_);
  }

 private:
  const char* program_;
  bool is_hidden_ = false;
};

/// A program of iptables that fails while it is told to, in this process's own mounts (Hidden).
class Failing {
 public:
  explicit Failing(const std::string& program) {
    const ShellEnd made = shell("set -e; real=$(readlink -f /usr/sbin/" + program + "); [ \"$(readlink /usr/sbin/" +
                                program + ")\" = " + alternatives_ + "/" + program + " ]; cp -a " + alternatives_ +
                                "/. " + place_ + "; rm " + place_ + "/" + program + "; printf '#!/bin/sh\\n[ -e " +
                                place_ + "/fails ] && exit 4\\nexec %s " + program + " \"$@\"\\n' $real > " + place_ +
                                "/" + program + "; chmod 755 " + place_ + " " + place_ + "/" + program);
    is_there_ = made.status == 0 && mount(place_.c_str(), alternatives_, nullptr, MS_BIND, nullptr) == 0;
  }
  Failing(const Failing&) = delete;
  Failing& operator=(const Failing&) = delete;
  ~Failing() {
    if (is_there_) umount(alternatives_);
    shell("rm -rf " + place_);
  }
  explicit operator bool() const { return is_there_; }
  void fails(bool does) const { REQUIRE(shell((does ? "touch " : "rm ") + place_ + "/fails").status == 0); }

 private:
  static constexpr const char* alternatives_ = "/etc/alternatives";
  std::string place_ = shell("mktemp -d | tr -d '\\n'").output;
  bool is_there_ = false;
};

bool is_refused(RunningWarden& warden, const redirect::Request& request) {
  const auto reply = warden.ask(request);
  return reply && std::holds_alternative<redirect::Failed>(*reply);
}

/// The process that holds the rules: the warden's child.
pid_t nft_of(const RunningWarden& warden) {
  const std::string id = std::to_string(warden.process());
  return std::atoi(shell("for child in $(cat /proc/" + id + "/task/" + id +
                         "/children); do grep -qx nft /proc/$child/comm && echo $child; done")
                       .output.c_str());
}

/// Asks while nft hangs, and kills that; what the warden says then.
std::optional<redirect::Reply> ask_with_dying_nft(RunningWarden& warden, const redirect::Request& request) {
  std::optional<redirect::Reply> reply;
  const pid_t nft = nft_of(warden);
  REQUIRE(nft > 0);
  kill(nft, SIGSTOP);
  bool has_come = false;
  warden.client().ask(request, [&](std::optional<redirect::Reply> taken) {
    reply = std::move(taken);
    has_come = true;
  });
  usleep(200'000);
  kill(nft, SIGKILL);
  CHECK(becomes_true([&] {
    warden.client().beat();
    warden.client().read();
    return has_come;
  }));
  return reply;
}

/// How often policy rules or routes have been removed since it was made.
class Removals {
 public:
  Removals() { REQUIRE(is_ready_); }
  Removals(const Removals&) = delete;
  Removals& operator=(const Removals&) = delete;
  ~Removals() {
    watch_.close();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  int count() {
    uv_run(&loop_, UV_RUN_NOWAIT);
    return count_;
  }

 private:
  uv_loop_t loop_{};
  const bool is_ready_ = uv_loop_init(&loop_) == 0;
  int count_ = 0;
  warden::RoutingWatch watch_{&loop_, [this] { ++count_; }, [] {}};
};

/// Where nft is hidden, is there iptables to stand in? Says what is skipped where not.
bool leaves_iptables(const Hidden& nft) {
  if (nft && is_installed("iptables")) return true;
  MESSAGE("skipped: no iptables, or nft cannot be hidden");
  return false;
}

}  // namespace

TEST_CASE("Applied, applied again, verified and removed: the machine is as it was") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    CAPTURE(redirect::to_string(mode));
    const std::string before = state_of_machine();
    RunningWarden warden;
    CHECK(warden.status().state == State::absent);
    CHECK(warden.status().has_privilege);
    CHECK(is_refused(warden, Verify{}));

    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    CHECK(has_table("doline"));
    const std::string once = state_of_machine();
    CHECK((once != before));
    CHECK(warden.is_done(Verify{}));
    CHECK(warden.status().state == State::applied);
    CHECK(warden.status().mode == mode);

    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    CHECK((state_of_machine() == once));
    CHECK(warden.is_done(Verify{}));

    REQUIRE(warden.is_done(Remove{}));
    CHECK((state_of_machine() == before));
    CHECK(warden.status().state == State::absent);
    CHECK(warden.is_done(Remove{}));
  }
}

TEST_CASE("When the resolver is gone the warden takes the rules away, forgets their flows and ends") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    const std::string before = state_of_machine();
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    const Socket listener = bound_socket({IpAddress(), 5399});
    const Socket device = home->device_socket(AF_INET, SOCK_DGRAM);
    send_to(device, foreign_v4);
    if (mode == Mode::nat) CHECK(sender_of_next(listener).has_value());
    warden.die_as_resolver();
    CHECK(warden.wait_for_end() == 0);
    CHECK_FALSE(has_table("doline"));
    // Its memory of who asked whom outlives it.
    CHECK(has_table("doline_seen"));
    REQUIRE(shell("PATH=$PATH:/usr/sbin nft delete table inet doline_seen").status == 0);
    CHECK((state_of_machine() == before));
    CHECK(shell("grep -c 'dport=53 ' /proc/net/nf_conntrack").output != "1\n");
  }
}

TEST_CASE("When both processes are killed the kernel takes the rules away") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  REQUIRE(has_table("doline"));
  kill(warden.process(), SIGKILL);
  CHECK(warden.wait_for_end() == -1);
  CHECK(becomes_true([] { return !has_table("doline"); }));
  CHECK_FALSE(warden.ask(Verify{}));
  CHECK_FALSE(warden.client().is_alive());
}

TEST_CASE("Fail-closed rules stay when everybody is killed, and a new warden takes them over") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;
  {
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{options}));
    warden.die_as_resolver();
    CHECK(warden.wait_for_end() == 0);
    CHECK(has_table("doline"));
  }
  RunningWarden successor;
  REQUIRE(successor.is_done(Apply{options}));
  CHECK(successor.is_done(Verify{}));
  REQUIRE(successor.is_done(Remove{}));
  CHECK_FALSE(has_table("doline"));
}

TEST_CASE("A warden that comes while the one before it goes has its rules and its routes") {
  const auto home = SmallHome::build();
  if (!home) return;
  for (const Mode mode : {Mode::tproxy, Mode::nat})
    for (int round = 0; round < 20; ++round) {
      CAPTURE(round);
      RunningWarden former, warden;
      REQUIRE(former.is_done(Apply{small_home_options(mode)}));
      kill(former.process(), round % 2 == 0 ? SIGTERM : SIGKILL);
      usleep(static_cast<useconds_t>(round * 200));
      REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
      former.wait_for_end();
      CHECK(warden.is_done(Verify{}));
    }
}

TEST_CASE("Where another warden has its rules and stays, that is told in one sentence, and those are left alone") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  for (const auto on_failure : {redirect::OnFailure::open, redirect::OnFailure::closed}) {
    options.on_failure = on_failure;
    RunningWarden first, second;
    REQUIRE(first.is_done(Apply{options}));
    const std::string before = state_of_machine();
    std::optional<redirect::Reply> reply;
    second.client().ask(Apply{options}, [&](std::optional<redirect::Reply> taken) { reply = std::move(taken); });
    CHECK(becomes_true([&] {
      first.client().beat();
      second.client().read();
      return reply.has_value();
    }));
    REQUIRE(reply);
    const auto* failed = std::get_if<redirect::Failed>(&*reply);
    REQUIRE(failed != nullptr);
    REQUIRE(failed->reasons.size() == 1);
    CHECK(failed->reasons[0].find(on_failure == redirect::OnFailure::open
                                      ? "table inet doline belongs to another process"
                                      : "another Doline has a redirect") == 0);
    CHECK((state_of_machine() == before));
    CHECK(first.is_done(Verify{}));
    REQUIRE(first.is_done(Remove{}));
    CHECK(second.is_done(Apply{options}));
    CHECK(second.is_done(Remove{}));
  }
}

TEST_CASE("SIGTERM is a farewell too") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  kill(warden.process(), SIGTERM);
  CHECK(warden.wait_for_end() == 0);
  CHECK_FALSE(has_table("doline"));
}

TEST_CASE("Rules that die with nft are put back") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  const pid_t nft = nft_of(warden);
  REQUIRE(nft > 0);
  kill(nft, SIGKILL);
  CHECK(becomes_true([&] { return nft_of(warden) != nft && warden.status().state == State::applied; }));
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("A resolver that is silent loses the rules, and has them back when it speaks") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  CHECK(becomes_true([] { return !has_table("doline"); }));  // nobody beats
  warden.client().beat();
  CHECK(becomes_true([&] { return warden.status().state == State::applied; }));
  CHECK(has_table("doline"));
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("A warden that did not run itself does not blame the resolver") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  Removals removals;
  kill(warden.process(), SIGSTOP);
  sleep(4);
  warden.client().beat();
  kill(warden.process(), SIGCONT);
  CHECK(warden.is_done(Verify{}));
  CHECK(warden.status().state == State::applied);
  CHECK(removals.count() == 0);
}

TEST_CASE("The goodbye of a warden that was suspended leaves its successor's rules, routes and gate alone") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  RunningWarden silent, successor;
  REQUIRE(silent.is_done(Restrict{restrictions}));
  REQUIRE(silent.is_done(Apply{small_home_options(Mode::tproxy)}));
  CHECK(becomes_true([] { return !has_table("doline"); }));
  REQUIRE(successor.is_done(Restrict{restrictions}));
  REQUIRE(successor.is_done(Apply{small_home_options(Mode::tproxy)}));
  Removals removals;
  kill(silent.process(), SIGTERM);
  CHECK(silent.wait_for_end() == 0);
  CHECK(removals.count() == 0);
  CHECK(shell("PATH=$PATH:/usr/sbin nft list table inet doline_gate").output.find("goto only_resolved") !=
        std::string::npos);
  CHECK(successor.is_done(Verify{}));
}

TEST_CASE("An apply that fails takes away no route that was there before") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;  // a table that does not go with nft
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  const std::string before = state_of_machine();
  Removals removals;
  ++options.kernel.nflog_group;
  const auto reply = ask_with_dying_nft(warden, Apply{options});
  REQUIRE(reply);
  CHECK(std::holds_alternative<redirect::Failed>(*reply));
  CHECK(removals.count() == 0);
  CHECK((state_of_machine() == before));
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("Who only watches goes on watching where other rules fail") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::audit);
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  const auto listens = [group = " " + std::to_string(options.kernel.nflog_group) + " "] {
    return (" " + shell("cat /proc/net/netfilter/nfnetlink_log").output).find(group) != std::string::npos;
  };
  CHECK(listens());
  ++options.kernel.nflog_group;
  const auto taken = warden::Nflog::open(options.kernel.nflog_group);
  REQUIRE(taken.has_value());
  CHECK(is_refused(warden, Apply{options}));
  CHECK(listens());
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("A farewell that nft cuts short ends well, whatever nft still says") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  redirect::Options options = small_home_options(Mode::tproxy);
  REQUIRE(warden.is_done(Apply{options}));
  const pid_t nft = nft_of(warden);
  REQUIRE(nft > 0);
  kill(nft, SIGSTOP);
  options.encrypted = redirect::Encrypted::reject;
  warden.client().ask(Apply{options}, [](const auto&) {});
  usleep(200'000);
  kill(warden.process(), SIGTERM);
  usleep(300'000);
  // When the warden runs again its time is up, and the answer lies there.
  kill(warden.process(), SIGSTOP);
  kill(nft, SIGCONT);
  usleep(2'500'000);
  kill(warden.process(), SIGCONT);
  CHECK(warden.wait_for_end() == 0);
  CHECK(becomes_true([] { return !has_table("doline"); }));
}

TEST_CASE("A table that could not be removed keeps its routes, and is removed when asked again") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;  // a table that does not go with nft
  Hidden nft("/usr/sbin/nft");
  if (!nft) {
    MESSAGE("skipped: nft cannot be hidden");
    return;
  }
  nft.show();
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  const std::string applied = state_of_machine();
  nft.hide();
  const auto reply = ask_with_dying_nft(warden, Remove{});
  nft.show();
  REQUIRE(reply);
  CHECK(std::holds_alternative<redirect::Failed>(*reply));
  CHECK((state_of_machine() == applied));
  CHECK(warden.status().state == State::applied);
  CHECK(warden.is_done(Verify{}));
  REQUIRE(warden.is_done(Remove{}));
  CHECK((state_of_machine() == before));
}

TEST_CASE("Where nft dies while it takes the rules away, another one takes away what is left") {
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
  for (const auto on_failure : {redirect::OnFailure::open, redirect::OnFailure::closed}) {
    const auto home = SmallHome::build();
    if (!home) return;
    const std::string before = state_of_machine();
    redirect::Options options = small_home_options(Mode::tproxy);
    options.on_failure = on_failure;
    RunningWarden warden;
    REQUIRE(warden.is_done(Restrict{restrictions}));
    REQUIRE(warden.is_done(Apply{options}));
    REQUIRE(has_table("doline_gate"));
    const auto reply = ask_with_dying_nft(warden, Remove{});
    REQUIRE(reply);
    CHECK(std::holds_alternative<redirect::Done>(*reply));
    CHECK((state_of_machine() == before));
  }
}

TEST_CASE("What is said to the resolver's group, as by a key at the terminal, neither the warden nor its nft hears") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  CHECK(getpgid(warden.process()) == warden.process());
  CHECK(getpgid(nft_of(warden)) == warden.process());
}

TEST_CASE("Policy rules and routes that somebody removes are put back at once") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  const std::string before = state_of_machine();
  for (const char* change :
       {"ip rule del pref 5353", "ip -6 rule del pref 5353", "ip route flush table 5353",
        "ip -6 route flush table 5353",
        "ip rule flush; ip -6 rule flush; ip rule add pref 32766 lookup main; ip -6 rule add pref 32766 lookup main"}) {
    CAPTURE(change);
    REQUIRE(shell(std::string("PATH=$PATH:/usr/sbin; ") + change).status == 0);
    warden.client().beat();
    CHECK(becomes_true([&] { return !is_refused(warden, Verify{}); }));
    CHECK(warden.status().state == State::applied);
  }
  REQUIRE(shell("PATH=$PATH:/usr/sbin; ip rule add pref 32767 lookup default").status == 0);
  CHECK((state_of_machine() == before));
  REQUIRE(warden.is_done(Remove{}));
  usleep(100'000);  // its own removal is nobody's
  CHECK(shell("PATH=$PATH:/usr/sbin; ip rule show pref 5353; ip route show table 5353 2>&1").output.find("from all") ==
        std::string::npos);
}

TEST_CASE("Policy rules that a killed one has left, for other interfaces or for all, go when new ones come") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  const std::string rules = "PATH=$PATH:/usr/sbin; ip rule show pref 5353; ip -6 rule show pref 5353";
  std::string alone;
  for (const char* left : {"", "fwmark 0x5353/0xffff", "iif guest0 fwmark 0x5353/0xffff"}) {
    CAPTURE(left);
    if (*left != '\0')
      REQUIRE(shell(std::string("PATH=$PATH:/usr/sbin; ip rule add ") + left + " lookup 5353 pref 5353").status == 0);
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
    if (alone.empty()) alone = shell(rules).output;
    CHECK(shell(rules).output == alone);
    REQUIRE(warden.is_done(Remove{}));
    CHECK((state_of_machine() == before));
  }
}

TEST_CASE("Rules that somebody changed are noticed") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;  // a table that others can touch
  for (const char* change :
       {"nft flush chain inet doline intercept", "nft delete table inet doline", "nft delete table inet doline_seen"}) {
    CAPTURE(change);
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{options}));
    REQUIRE(warden.is_done(Verify{}));
    REQUIRE(shell(std::string("PATH=$PATH:/usr/sbin ") + change).status == 0);
    CHECK(is_refused(warden, Verify{}));
    REQUIRE(warden.is_done(Apply{options}));
    CHECK(warden.is_done(Verify{}));
    REQUIRE(warden.is_done(Remove{}));
  }
}

TEST_CASE("Others cannot take the rules of a fail-open redirect away") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  CHECK(shell("PATH=$PATH:/usr/sbin nft delete table inet doline").status != 0);
  shell("PATH=$PATH:/usr/sbin nft flush ruleset");
  CHECK(has_table("doline"));
  // The memory is everybody's: it is made anew.
  CHECK_FALSE(has_table("doline_seen"));
  CHECK(is_refused(warden, Verify{}));
  CHECK(becomes_true([&] { return warden.status().state == State::applied && has_table("doline_seen"); }));
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("As much as can be asked for is applied") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Socket any(socket(AF_NETLINK, SOCK_RAW, 0));
  const int octets = 1 << 24;
  if (setsockopt(any.get(), SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof octets) != 0) {
    MESSAGE("skipped: in a user namespace nft may not send a transaction of that size");
    return;
  }
  redirect::Options options = small_home_options(Mode::tproxy);
  options.encrypted = redirect::Encrypted::reject;
  options.interfaces.clear();
  for (std::size_t i = 0; i < redirect::interfaces_max; ++i)
    options.interfaces.push_back("br-lan-" + std::to_string(i));
  options.ports.clear();
  for (std::uint16_t i = 0; i < redirect::ports_max; ++i) options.ports.push_back(static_cast<std::uint16_t>(53 + i));
  for (std::uint16_t i = 0; i < redirect::exempt_max; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8), low = static_cast<std::uint8_t>(i);
    options.exempt.macs.push_back({{2, 0, 0, 0, high, low}});
    const IpPrefix prefix(IpAddress::v4(10, high, low, 0), 24);
    options.exempt.clients.push_back(prefix);
    options.exempt.destinations.push_back(prefix);
  }
  redirect::Restrictions everybody;
  for (std::uint16_t i = 0; i < redirect::restricted_max; ++i)
    for (auto* macs : {&everybody.only_resolved, &everybody.observed, &everybody.may_encrypt,
                       &everybody.must_not_encrypt, &everybody.log_encrypted})
      macs->push_back({{2, 0, 0, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}});
  for (std::uint16_t i = 0; i < redirect::doh_networks_max; ++i)
    everybody.doh_networks.emplace_back(
        IpAddress::v4(9, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)), 32);
  for (std::size_t i = 0; i < redirect::flow_locks_max; ++i) {
    redirect::Allowance& allowance = everybody.allowances.emplace_back();
    allowance.macs = {everybody.only_resolved[i]};
    allowance.flows.resize(redirect::allowed_flows_max / redirect::flow_locks_max,
                           {*IpPrefix::parse("2001:db8:1234:5678:9abc::/80"), 132, 65'535});
  }
  REQUIRE(redirect::find_problems(options).empty());
  REQUIRE(redirect::find_problems(everybody).empty());
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  REQUIRE(warden.is_done(Restrict{everybody}));
  CHECK(warden.is_done(Verify{}));
  CHECK(warden.is_done(Remove{}));
}

TEST_CASE("Restrictions wait for the rules, change without them, and are gone with them") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35");
  redirect::Restrictions restrictions;
  restrictions.only_resolved = {camera};
  RunningWarden warden;
  const auto is_admitted = [&] {
    const auto octets = redirect::write_admissions(std::vector<redirect::Admission>{
        {.ticket = 7, .ttl_seconds = 60, .devices = {camera}, .addresses = {IpAddress::v4(120, 24, 59, 150)}}});
    REQUIRE(send(warden.admission(), octets.data(), octets.size(), 0) > 0);
    pollfd ready{warden.admission(), POLLIN, 0};
    REQUIRE(poll(&ready, 1, 20'000) == 1);
    std::array<std::uint8_t, 64> room;
    const ssize_t size = recv(warden.admission(), room.data(), room.size(), 0);
    REQUIRE(size > 0);
    const auto answers = redirect::parse_admission_answers(std::span(room).first(static_cast<std::size_t>(size)));
    REQUIRE(answers);
    REQUIRE(answers->size() == 1);
    CHECK(answers->front().ticket == 7);
    return answers->front().is_admitted;
  };

  REQUIRE(warden.is_done(Restrict{restrictions}));
  CHECK((state_of_machine() == before));
  CHECK_FALSE(is_admitted());
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  CHECK(has_table("doline_gate"));
  CHECK(is_admitted());
  CHECK(warden.status().gate.only_resolved == 1);
  CHECK(warden.status().gate.admitted == 1);
  CHECK(warden.is_done(Verify{}));

  // Renewed or not, the address is kept; without anybody to hold, the table goes.
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  restrictions.observed = {*device::MacAddress::parse("02:d0:11:00:50:32")};
  REQUIRE(warden.is_done(Restrict{restrictions}));
  CHECK(warden.status().gate.admitted == 1);
  CHECK(warden.status().gate.observed == 1);
  REQUIRE(warden.is_done(Restrict{}));
  CHECK_FALSE(has_table("doline_gate"));
  CHECK_FALSE(is_admitted());
  CHECK(warden.is_done(Verify{}));
  REQUIRE(warden.is_done(Restrict{restrictions}));
  CHECK(is_admitted());
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft delete table inet doline_gate").status == 0);
  CHECK(is_refused(warden, Verify{}));
  CHECK(becomes_true([&] { return warden.status().state == State::applied && has_table("doline_gate"); }));

  restrictions.observed = {device::MacAddress()};
  CHECK(is_refused(warden, Restrict{restrictions}));
  REQUIRE(warden.is_done(Remove{}));
  CHECK((state_of_machine() == before));
}

TEST_CASE("When the resolver is gone the gate is open and remembers what it admitted, or stays shut") {
  for (const auto on_failure : {redirect::OnFailure::open, redirect::OnFailure::closed}) {
    const auto home = SmallHome::build();
    if (!home) return;
    redirect::Options options = small_home_options(Mode::tproxy);
    options.on_failure = on_failure;
    redirect::Restrictions restrictions;
    restrictions.only_resolved = {*device::MacAddress::parse("94:51:3d:13:9a:35")};
    RunningWarden warden;
    REQUIRE(warden.is_done(Restrict{restrictions}));
    REQUIRE(warden.is_done(Apply{options}));
    warden.die_as_resolver();
    CHECK(warden.wait_for_end() == 0);
    REQUIRE(has_table("doline_gate"));
    const std::string rules = shell("PATH=$PATH:/usr/sbin nft list table inet doline_gate").output;
    CHECK((rules.find("goto only_resolved") != std::string::npos) == (on_failure == redirect::OnFailure::closed));
    CHECK((rules.find("@alive") != std::string::npos) == false);
  }
}

TEST_CASE("A table that anybody can remove is missed and put back") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  REQUIRE(shell("PATH=$PATH:/usr/sbin nft flush ruleset").status == 0);
  CHECK(warden.status().state == State::lost);
  CHECK(becomes_true([&] { return warden.status().state == State::applied; }));
  CHECK(has_table("doline"));
}

TEST_CASE("Without nft, iptables is led there, led there again and cleared") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    const Hidden nft("/usr/sbin/nft");
    if (!leaves_iptables(nft)) return;
    // Once used, iptables leaves tables with their chains and no rules: that is its zero.
    const std::string rules =
        "PATH=$PATH:/usr/sbin; for t in mangle nat; do iptables -t $t -S; ip6tables -t $t -S; done";
    const std::string before = shell(rules).output;
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    const std::string once = shell(rules).output;
    CHECK((once != before));
    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    CHECK(shell(rules).output == once);
    CHECK(warden.is_done(Verify{}));
    CHECK_FALSE(warden.status().has_counters);
    CHECK(is_refused(warden, redirect::Seen{}));
    warden.die_as_resolver();
    CHECK(warden.wait_for_end() == 0);
    CHECK(shell(rules).output == before);
  }
}

TEST_CASE("Without nft chains that somebody removes are missed and put back") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Hidden nft("/usr/sbin/nft");
  if (!leaves_iptables(nft)) return;
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    const std::string table = mode == Mode::nat ? "nat" : "mangle";
    for (const std::string& change : {"iptables -t " + table + " -F", "ip6tables -t " + table + " -F PREROUTING"}) {
      CAPTURE(change);
      REQUIRE(shell("PATH=$PATH:/usr/sbin; " + change).status == 0);
      CHECK(is_refused(warden, Verify{}));
      CHECK(warden.status(true).state == State::lost);
      CHECK(becomes_true([&] { return warden.status().state == State::applied; }));
      CHECK(warden.is_done(Verify{}));
    }
  }
}

TEST_CASE("Where the rules name the LAN's networks, they follow those that come and go") {
  for (const Mode mode : {Mode::remote, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    CAPTURE(redirect::to_string(mode));
    std::optional<Hidden> nft;
    if (mode == Mode::nat && !leaves_iptables(nft.emplace("/usr/sbin/nft"))) return;
    RunningWarden warden;
    REQUIRE(warden.is_done(Apply{small_home_options(mode)}));
    const auto is_named = [&](const char* network) {
      warden.client().beat();
      return shell(mode == Mode::nat ? "PATH=$PATH:/usr/sbin; iptables -t nat -S; ip6tables -t nat -S"
                                     : "PATH=$PATH:/usr/sbin; nft list table inet doline")
                 .output.find(network) != std::string::npos;
    };
    CHECK(is_named("192.168.50.0/24"));
    CHECK_FALSE(is_named("192.168.51.0/24"));
    REQUIRE(shell("PATH=$PATH:/usr/sbin; ip addr add 192.168.51.1/24 dev home0; ip -6 addr add 2001:db8:51::1/64 dev "
                  "home0 nodad")
                .status == 0);
    CHECK(becomes_true([&] { return is_named("192.168.51.0/24") && is_named("2001:db8:51::/64"); }));
    CHECK(warden.is_done(Verify{}));
    REQUIRE(shell("PATH=$PATH:/usr/sbin ip addr del 192.168.51.1/24 dev home0").status == 0);
    CHECK(becomes_true([&] { return !is_named("192.168.51.0/24"); }));
    CHECK(warden.is_done(Verify{}));
  }
}

TEST_CASE("Without nft an apply that fails half-way changes nothing") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Hidden nft("/usr/sbin/nft");
  if (!leaves_iptables(nft)) return;
  const Failing restore("ip6tables-restore");
  if (!restore) {
    MESSAGE("skipped: ip6tables is not where Debian has it");
    return;
  }
  const std::string everything =
      "PATH=$PATH:/usr/sbin; for t in mangle nat; do iptables -t $t -S; ip6tables -t $t -S; done; ip rule; ip -6 rule; "
      "ip route show table all; ip -6 route show table all";
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  REQUIRE(warden.is_done(Remove{}));
  const std::string absent = shell(everything).output;
  restore.fails(true);
  CHECK(is_refused(warden, Apply{small_home_options(Mode::tproxy)}));
  CHECK(shell(everything).output == absent);
  restore.fails(false);
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  const std::string applied = shell(everything).output;
  restore.fails(true);
  redirect::Options others = small_home_options(Mode::tproxy);
  others.ports = {53};
  others.kernel.table = 6453;
  others.on_failure = redirect::OnFailure::closed;
  CHECK(is_refused(warden, Apply{others}));
  CHECK(shell(everything).output == applied);
  CHECK(warden.is_done(Verify{}));
  // What comes after the warden is of what is in place, not of what failed.
  kill(warden.process(), SIGKILL);
  CHECK(warden.wait_for_end() == -1);
  CHECK(becomes_true([&] { return shell(everything).output == absent; }));
}

TEST_CASE("Chains that could not be removed keep their routes, and a killed warden's too") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Hidden nft("/usr/sbin/nft");
  if (!leaves_iptables(nft)) return;
  const Failing iptables("iptables");
  if (!iptables) {
    MESSAGE("skipped: iptables is not where Debian has it");
    return;
  }
  const std::string everything =
      "PATH=$PATH:/usr/sbin; for t in mangle nat; do xtables-nft-multi iptables -t $t -S; ip6tables -t $t -S; done; ip "
      "rule; ip -6 rule; ip route show table all; ip -6 route show table all";
  const redirect::Options options = small_home_options(Mode::tproxy);
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{options}));
  REQUIRE(warden.is_done(Remove{}));
  const std::string before = shell(everything).output;
  const std::string rules = "PATH=$PATH:/usr/sbin; ip rule; ip -6 rule; ip route show table all";
  REQUIRE(warden.is_done(Apply{options}));
  const std::string routing = shell(rules).output;
  iptables.fails(true);
  CHECK(is_refused(warden, Remove{}));
  CHECK(shell(rules).output == routing);
  CHECK(warden.status().state == State::applied);
  kill(warden.process(), SIGKILL);
  CHECK(warden.wait_for_end() == -1);
  CHECK_FALSE(warden::remove_leftovers(options, warden::Memory::forget).empty());
  CHECK(shell(rules).output == routing);
  iptables.fails(false);
  CHECK(warden::remove_leftovers(options, warden::Memory::forget).empty());
  CHECK(shell(everything).output == before);
}

TEST_CASE("Impossible options are refused and change nothing") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  redirect::Options options = small_home_options(Mode::tproxy);
  options.interfaces = {"x\" accept"};
  RunningWarden warden;
  CHECK(is_refused(warden, Apply{options}));
  CHECK((state_of_machine() == before));
}

TEST_CASE(
    "What interferes on this machine is told with its cure, at once, whenever rules are applied, verified or shown") {
  struct Interference {
    const char *make, *undo, *told;
  };
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy)}));
  const auto always = warden.status().interference;  // of this very machine
  for (const auto& [make, undo, told] : {
           Interference{"nft 'table ip other { chain pre { type nat hook prerouting priority dstnat ; udp dport 53 "
                        "redirect to :5353 ; } ; }'",
                        "nft delete table ip other", "table ip other, chain pre, also redirects DNS: udp dport 53"},
           Interference{"iptables-nft -t nat -A PREROUTING -p udp --dport 53 -j REDIRECT --to-ports 5300",
                        "iptables-nft -t nat -F PREROUTING", "table ip nat, chain PREROUTING, also redirects DNS: udp"},
           Interference{"nft 'table inet fw { chain in { type filter hook input priority 0 ; policy drop ; } ; }'",
                        "nft delete table inet fw", "chain in of table inet fw drops what nobody accepts"},
           Interference{
               "nft 'table inet vpn { chain m { type filter hook output priority 0 ; meta mark set 0x5353 ; } ; }'",
               "nft delete table inet vpn", "table inet vpn, chain m, sets Doline's mark"},
           Interference{"nft 'table inet ulog { chain f { type filter hook forward priority 0 ; log group 53 ; } ; }'",
                        "nft delete table inet ulog", "table inet ulog, chain f, logs to Doline's NFLOG group"},
           Interference{"ip rule add lookup 52 pref 100 && ip route add default dev wan0 table 52",
                        "ip rule del pref 100; ip route flush table 52", "preference 100 (IPv4, to table 52) is asked"},
       }) {
    CAPTURE(make);
    const std::string path = "PATH=$PATH:/usr/sbin; ";
    if (shell(path + make).status != 0) {
      MESSAGE("skipped: not possible on this machine");
      continue;
    }
    CHECK(warden.status(true).interference.size() == always.size() + 1);
    for (const redirect::Request& request :
         {redirect::Request(Apply{small_home_options(Mode::tproxy)}), redirect::Request(Verify{})}) {
      const auto reply = warden.ask(request);
      REQUIRE(reply);
      REQUIRE(std::holds_alternative<redirect::Done>(*reply));
      const auto& warnings = std::get<redirect::Done>(*reply).warnings;
      CHECK(std::count_if(warnings.begin(), warnings.end(), [wanted = told](const std::string& sentence) {
              return sentence.find(wanted) != std::string::npos && sentence.find("Cure") != std::string::npos;
            }) == 1);
    }
    CHECK(warden.status().interference.size() == always.size() + 1);
    REQUIRE(shell(path + undo).status == 0);
    CHECK(warden.status(true).interference == always);
    CHECK(warden.status().interference == always);
  }
}

TEST_CASE("Who has taken the resolver over gets nothing caught but what it was started for") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  const redirect::Options options = small_home_options(Mode::nat);
  RunningWarden warden({.ports = options.ports, .nat_port = options.nat_port});
  redirect::Options greedy = options;
  greedy.ports = {53, 80};
  CHECK(is_refused(warden, Apply{greedy}));
  greedy = options;
  greedy.nat_port = 8'080;
  CHECK(is_refused(warden, Apply{greedy}));
  CHECK((state_of_machine() == before));
  redirect::Options fewer = options;
  fewer.ports = {53};
  CHECK(warden.is_done(Apply{fewer}));
  CHECK(warden.is_done(Remove{}));
}

TEST_CASE("What is no request is passed over, and too many at once are refused: the warden serves on") {
  const auto home = SmallHome::build();
  if (!home) return;
  const std::string before = state_of_machine();
  RunningWarden warden;
  const auto whole = redirect::write_request({1, Apply{small_home_options(Mode::tproxy), 60}});
  for (std::size_t size = 1; size < whole.size(); ++size)
    REQUIRE(send(warden.client().descriptor(), whole.data(), size, 0) == static_cast<ssize_t>(size));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto bent = whole;
    bent[at] = 0xff;  // a mode, a count, a letter of a name, a time that cannot be
    if (redirect::parse_request(bent)) continue;
    REQUIRE(send(warden.client().descriptor(), bent.data(), bent.size(), 0) == static_cast<ssize_t>(bent.size()));
  }
  CHECK(warden.status().state == State::absent);
  CHECK((state_of_machine() == before));

  int done = 0, refused = 0, awaited = 0;
  for (int i = 0; i < 100; ++i) {
    ++awaited;
    warden.client().ask(Verify{}, [&](const std::optional<redirect::Reply>& reply) {
      --awaited;
      if (!reply) return;
      const auto* failed = std::get_if<redirect::Failed>(&*reply);
      (failed != nullptr && failed->reasons == std::vector<std::string>{"too much is asked at once"} ? refused
                                                                                                     : done)++;
    });
    if (i == 0) warden.client().ask(Apply{small_home_options(Mode::tproxy)}, [](const auto&) {});
  }
  CHECK(becomes_true([&] {
    warden.client().read();
    return awaited == 0;
  }));
  CHECK(refused > 0);
  CHECK(done > 0);
  CHECK(warden.is_done(Verify{}));
}

TEST_CASE("Who asked whom is counted, and the redirected flow's destination is known") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  const redirect::Options options = small_home_options(Mode::nat);
  REQUIRE(warden.is_done(Apply{options}));
  for (const Endpoint& foreign : {foreign_v4, foreign_v6}) {
    CAPTURE(foreign.to_string());
    const bool is_v4 = foreign.address.is_v4();
    const Endpoint gateway{*IpAddress::parse(is_v4 ? "192.168.50.1" : "2001:db8:50::1"), options.nat_port};
    const Socket listener = bound_socket(gateway);
    const Socket device = home->device_socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    send_to(device, foreign);
    const auto client = sender_of_next(listener);
    REQUIRE(client);
    const std::vector<redirect::OriginQuestion> questions{
        {.ticket = 7, .protocol = redirect::Protocol::udp, .client = *client, .local = gateway},
        {.ticket = 8, .protocol = redirect::Protocol::tcp, .client = *client, .local = gateway}};
    const auto packet = redirect::write_origin_questions(questions);
    REQUIRE(send(warden.origin(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
    std::vector<std::uint8_t> room(65'536);
    const ssize_t size = recv(warden.origin(), room.data(), room.size(), 0);
    REQUIRE(size > 0);
    const auto answers = redirect::parse_origin_answers({room.data(), static_cast<std::size_t>(size)});
    REQUIRE(answers);
    CHECK(*answers == std::vector<redirect::OriginAnswer>{{7, foreign}, {8, std::nullopt}});
  }
  CHECK(warden.status().counters == redirect::Counters{.udp4 = 1, .tcp4 = 0, .udp6 = 1, .tcp6 = 0});
  const auto reply = warden.ask(redirect::Seen{});
  REQUIRE(reply);
  const auto& seen = std::get<redirect::SeenReply>(*reply);
  const auto camera = *device::MacAddress::parse("94:51:3d:13:9a:35");
  REQUIRE(seen.sightings.size() == 2);
  for (const Endpoint& foreign : {foreign_v4, foreign_v6})
    CHECK(std::count(seen.sightings.begin(), seen.sightings.end(), redirect::Sighting{camera, foreign, 1}) == 1);
}

TEST_CASE("Applied again while a query is under way, the answer still finds its way back") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  const redirect::Options options = small_home_options(Mode::nat);
  REQUIRE(warden.is_done(Apply{options}));
  for (const Endpoint& foreign : {foreign_v4, foreign_v6}) {
    CAPTURE(foreign.to_string());
    const bool is_v4 = foreign.address.is_v4();
    const Socket listener =
        bound_socket({*IpAddress::parse(is_v4 ? "192.168.50.1" : "2001:db8:50::1"), options.nat_port});
    const Socket device = home->device_socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    send_to(device, foreign);
    const auto client = sender_of_next(listener);
    REQUIRE(client);
    REQUIRE(warden.is_done(Apply{options}));
    redirect::Options others = options;  // of no matter for this query
    others.encrypted = redirect::Encrypted::reject;
    REQUIRE(warden.is_done(Apply{others}));
    send_to(listener, *client);
    CHECK(sender_of_next(device) == foreign);
  }
}

TEST_CASE("Rules on trial go when nobody confirms them in time, and stay when somebody does") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    CAPTURE(redirect::to_string(mode));
    const std::string before = state_of_machine();
    RunningWarden warden;
    CHECK(is_refused(warden, Confirm{}));
    REQUIRE(warden.is_done(Apply{small_home_options(mode), 2}));
    CHECK(warden.status().state == State::applied);
    CHECK(warden.status().trial_seconds_left > 0);
    const auto live = [&] { warden.client().beat(); };
    CHECK(becomes_true([&] {
      live();
      return warden.status().state == State::absent;
    }));
    CHECK(warden.status().trial_seconds_left == 0);
    CHECK(is_refused(warden, Verify{}));  // in its turn: behind the removal
    CHECK(warden.status().reason == "the rules on trial were not confirmed in time");
    CHECK((state_of_machine() == before));
    CHECK(is_refused(warden, Confirm{}));

    REQUIRE(warden.is_done(Apply{small_home_options(mode), 3'600}));
    REQUIRE(warden.is_done(Confirm{}));
    CHECK(warden.status().trial_seconds_left == 0);
    CHECK(warden.status().state == State::applied);
    CHECK(warden.is_done(Verify{}));
    REQUIRE(warden.is_done(Remove{}));
    CHECK((state_of_machine() == before));
  }
}

TEST_CASE("What comes back after a trial is what was there before the first of them") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  const redirect::Options former = small_home_options(Mode::tproxy);
  REQUIRE(warden.is_done(Apply{former}));
  const std::string before = state_of_machine();
  redirect::Options wanted = former;
  wanted.mode = Mode::nat;
  REQUIRE(warden.is_done(Apply{wanted, 3'600}));
  CHECK((state_of_machine() != before));
  wanted.ports = {53};
  wanted.kernel.table = 6453;
  REQUIRE(warden.is_done(Apply{wanted, 1}));
  // What cannot be applied ends no trial.
  redirect::Options impossible = wanted;
  impossible.interfaces.clear();
  CHECK(is_refused(warden, Apply{impossible}));
  CHECK(becomes_true([&] { return warden.status().trial_seconds_left == 0; }));
  CHECK(warden.is_done(Verify{}));  // in its turn
  CHECK(warden.status().mode == Mode::tproxy);
  CHECK((state_of_machine() == before));

  // Applied for good meanwhile, nothing comes back.
  REQUIRE(warden.is_done(Apply{wanted, 3'600}));
  REQUIRE(warden.is_done(Apply{wanted}));
  CHECK(warden.status().trial_seconds_left == 0);
  CHECK(is_refused(warden, Confirm{}));
  // Removed meanwhile, neither.
  REQUIRE(warden.is_done(Apply{former, 3'600}));
  REQUIRE(warden.is_done(Remove{}));
  CHECK(warden.status().trial_seconds_left == 0);
  CHECK(warden.status().state == State::absent);
}

TEST_CASE("Rules that could not be confirmed are on trial still") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options closed = small_home_options(Mode::tproxy);
  closed.on_failure = redirect::OnFailure::closed;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{closed, 3'600}));
  const auto reply = ask_with_dying_nft(warden, Confirm{});
  REQUIRE(reply);
  CHECK(std::holds_alternative<redirect::Failed>(*reply));
  CHECK(warden.status().trial_seconds_left > 0);
  CHECK(becomes_true([&] { return warden.status().state == State::applied; }));
  CHECK(warden.is_done(Confirm{}));
  CHECK(warden.status().trial_seconds_left == 0);
}

TEST_CASE("A trial whose time is up while it is begun again goes on") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  REQUIRE(warden.is_done(Apply{small_home_options(Mode::tproxy), 1}));
  const pid_t nft = nft_of(warden);
  REQUIRE(nft > 0);
  kill(nft, SIGSTOP);
  bool is_done = false;
  warden.client().ask(Apply{small_home_options(Mode::tproxy), 60}, [&](const std::optional<redirect::Reply>& reply) {
    is_done = reply && std::holds_alternative<redirect::Done>(*reply);
  });
  usleep(1'500'000);
  kill(nft, SIGCONT);
  CHECK(becomes_true([&] {
    warden.client().beat();
    warden.client().read();
    return is_done;
  }));
  CHECK(warden.is_done(Verify{}));  // in its turn
  CHECK(warden.status().state == State::applied);
  CHECK(warden.status().trial_seconds_left > 0);
}

TEST_CASE("Nothing that is on trial outlives both processes, and what was before does, where it fails closed") {
  redirect::Options closed = small_home_options(Mode::tproxy);
  closed.on_failure = redirect::OnFailure::closed;
  redirect::Options narrower = closed;
  narrower.ports = {53};
  for (const bool had_rules : {false, true}) {
    const auto home = SmallHome::build();
    if (!home) return;
    CAPTURE(had_rules);
    {
      RunningWarden warden;
      if (had_rules) REQUIRE(warden.is_done(Apply{closed}));
      const std::string before = state_of_machine();
      REQUIRE(warden.is_done(Apply{narrower, 3'600}));
      warden.die_as_resolver();
      CHECK(warden.wait_for_end() == 0);
      CHECK((state_of_machine() == before));
    }
    RunningWarden killed;
    REQUIRE(killed.is_done(Apply{narrower, 3'600}));
    kill(killed.process(), SIGKILL);
    CHECK(killed.wait_for_end() == -1);
    CHECK(becomes_true([] { return !has_table("doline"); }));
    RunningWarden confirmed;
    REQUIRE(confirmed.is_done(Apply{narrower, 3'600}));
    REQUIRE(confirmed.is_done(Confirm{}));
    CHECK(confirmed.is_done(Verify{}));
    kill(confirmed.process(), SIGKILL);
    CHECK(confirmed.wait_for_end() == -1);
    CHECK(has_table("doline"));
  }
}

TEST_CASE("A trial goes on while the resolver hangs, and what comes back is the former") {
  const auto home = SmallHome::build();
  if (!home) return;
  RunningWarden warden;
  const redirect::Options former = small_home_options(Mode::tproxy);
  redirect::Options wanted = former;
  wanted.mode = Mode::nat;
  REQUIRE(warden.is_done(Apply{former}));
  REQUIRE(warden.is_done(Apply{wanted, 5}));
  CHECK(becomes_true([] { return !has_table("doline"); }));  // nobody beats
  sleep(3);                                                  // past the trial's end
  CHECK_FALSE(has_table("doline"));
  warden.client().beat();
  CHECK(becomes_true([&] { return warden.status().state == State::applied; }));
  CHECK(warden.status().mode == Mode::tproxy);
  CHECK(warden.status().trial_seconds_left == 0);
}

TEST_CASE("Without nft a trial ends as well") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Hidden nft("/usr/sbin/nft");
  if (!leaves_iptables(nft)) return;
  const std::string rules =
      "PATH=$PATH:/usr/sbin; for t in mangle nat; do iptables -t $t -S; ip6tables -t $t -S; done; ip rule; ip route "
      "show table all";
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    RunningWarden warden;
    const std::string before = shell(rules).output;
    REQUIRE(warden.is_done(Apply{small_home_options(mode), 1}));
    CHECK((shell(rules).output != before));
    CHECK(becomes_true([&] { return warden.status().state == State::absent; }));
    CHECK(is_refused(warden, Verify{}));  // in its turn
    CHECK((shell(rules).output == before));
  }
}

TEST_CASE("Without nft a killed warden's rules are taken away, on trial even where they are to fail closed") {
  const auto home = SmallHome::build();
  if (!home) return;
  const Hidden nft("/usr/sbin/nft");
  if (!leaves_iptables(nft)) return;
  const std::string rules =
      "PATH=$PATH:/usr/sbin; for t in mangle nat; do iptables -t $t -S; ip6tables -t $t -S; done; ip rule";
  const std::string before = shell(rules).output;
  for (const Mode mode : {Mode::tproxy, Mode::nat})
    for (const auto on_failure : {redirect::OnFailure::open, redirect::OnFailure::closed})
      for (const std::uint16_t trial_seconds : {60, 0}) {
        const bool stays = on_failure == redirect::OnFailure::closed && trial_seconds == 0;
        CAPTURE(redirect::to_string(mode));
        CAPTURE(trial_seconds);
        redirect::Options options = small_home_options(mode);
        options.on_failure = on_failure;
        RunningWarden warden;
        REQUIRE(warden.is_done(Apply{options, trial_seconds}));
        kill(warden.process(), SIGKILL);
        CHECK(warden.wait_for_end() == -1);
        if (!stays) {
          CHECK(becomes_true([&] { return shell(rules).output == before; }));
          continue;
        }
        sleep(1);
        CHECK((shell(rules).output != before));
        CHECK_FALSE(warden::find_leftovers(options).iptables_chains.empty());
        CHECK(warden::remove_leftovers(options, warden::Memory::forget).empty());
        CHECK((shell(rules).output == before));
      }
}
