#include "warden/comparison.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>

#include "redirect/host_facts.h"
#include "running_warden.h"
#include "small_home.h"

using namespace doline;
using namespace doline::tests;
using redirect::Mode;

namespace {

warden::Comparison compare_now(const redirect::Options& options) {
  const redirect::HostFacts facts = redirect::gather_host_facts();
  return warden::compare(redirect::plan(options, facts), facts);
}

std::string changes(const redirect::Options& options) {
  const warden::Comparison compared = compare_now(options);
  for (const std::string& sentence : compared.unread) MESSAGE(sentence);
  CHECK(compared.unread.empty());
  return redirect::describe(compared.parts);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("At first everything is added, once applied nothing is to do, and a change is what changes") {
  for (const Mode mode : {Mode::tproxy, Mode::nat}) {
    const auto home = SmallHome::build();
    if (!home) return;
    CAPTURE(redirect::to_string(mode));
    redirect::Options options = small_home_options(mode);
    options.encrypted = redirect::Encrypted::reject;
    const std::string first = changes(options);
    CHECK(has(first, "table inet doline is added:\n"));
    CHECK(has(first, "table inet doline_seen is added:\n"));
    CHECK(has(first, "policy routing is added:\n+ ip -6 rule add iif home0 fwmark 0x5353") == (mode == Mode::tproxy));

    RunningWarden warden;
    REQUIRE(warden.is_done(redirect::Apply{options}));
    CHECK(changes(options) == "");

    options.ports = {53};
    const std::string fewer = changes(options);
    CHECK(has(fewer, "table inet doline changes:\n- \t\tth dport != { 53, 5300, 5353, 8053 } return\n"));
    CHECK(has(fewer, "+ \t\tth dport != 53 return\n"));
    CHECK_FALSE(has(fewer, "policy"));

    options.on_failure = redirect::OnFailure::closed;
    CHECK(has(changes(options), "- held by Doline's second process, and gone with it\n"));
    REQUIRE(warden.is_done(redirect::Apply{options}));
    CHECK(changes(options) == "");
    CHECK(has(changes(redirect::Options{}), "table inet doline is removed:\n"));
    REQUIRE(warden.is_done(redirect::Remove{}));
    CHECK(changes(redirect::Options{}) == "");
  }
}

TEST_CASE("Whom the gate would hold is told one by one, and what it has been told since is not") {
  const auto home = SmallHome::build();
  if (!home) return;
  const redirect::Options options = small_home_options(Mode::tproxy);
  const redirect::HostFacts facts = redirect::gather_host_facts();
  const auto changes_with = [&](const redirect::Restrictions& restrictions) {
    return redirect::describe(warden::compare(redirect::plan(options, facts, restrictions), facts).parts);
  };
  redirect::Restrictions restrictions;
  for (std::uint8_t number = 1; number <= 9; ++number) restrictions.only_resolved.push_back({{2, 0, 0, 0, 0, number}});
  RunningWarden warden;
  REQUIRE(warden.is_done(redirect::Restrict{restrictions}));
  REQUIRE(warden.is_done(redirect::Apply{options}));
  REQUIRE(warden.is_done(redirect::Admit{{{.purpose = redirect::Purpose::connect,
                                           .ttl_seconds = 300,
                                           .devices = {restrictions.only_resolved.front()},
                                           .addresses = {IpAddress::v4(198, 51, 100, 7)}}}}));
  CHECK(warden.status().gate.admitted == 1);
  CHECK(changes_with(restrictions) == "");
  restrictions.observed = {restrictions.only_resolved.back()};
  restrictions.only_resolved.pop_back();
  const std::string told = changes_with(restrictions);
  CHECK(has(told, "- \t\telement 02:00:00:00:00:09\n"));
  CHECK(has(told, "+ \t\telement 02:00:00:00:00:09\n"));
  CHECK_FALSE(has(told, "02:00:00:00:00:08"));
}

TEST_CASE("What others have changed is seen: rules, policy rules and routes") {
  const auto home = SmallHome::build();
  if (!home) return;
  redirect::Options options = small_home_options(Mode::tproxy);
  options.on_failure = redirect::OnFailure::closed;  // a table that others can touch
  RunningWarden warden;
  REQUIRE(warden.is_done(redirect::Apply{options}));
  kill(warden.process(), SIGSTOP);  // it would put them back
  REQUIRE(
      shell("PATH=$PATH:/usr/sbin; nft flush chain inet doline guard && ip rule del pref 5353 && ip route flush table "
            "5353")
          .status == 0);
  const std::string told = changes(options);
  CHECK(has(told, "policy routing changes:\n+ ip rule add iif home0 fwmark 0x5353/0xffff lookup 5353 pref 5353\n"));
  CHECK(has(told, "routes changes:\n+ ip route replace local default dev lo table 5353\n"));
  CHECK(has(told, "table inet doline changes:\n+ \t\tmeta mark & 0x0000ffff == 0x00005353"));
  CHECK_FALSE(has(told, "doline_seen"));
  kill(warden.process(), SIGCONT);
}

TEST_CASE("Who is not root sees policy rules and routes, and is told of the rest") {
  if (geteuid() != 0) return;
  const auto home = SmallHome::build();
  if (!home) return;
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65'534) != 0) _exit(2);
    const warden::Comparison compared = compare_now(small_home_options(Mode::tproxy));
    _exit(compared.unread.size() == 1 && compared.parts.size() == 2 && !compared.parts[0].after.empty() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}
