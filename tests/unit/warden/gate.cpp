#include "warden/gate.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "own_network.h"
#include "redirect/gate_rules.h"
#include "unit/redirect/home.h"
#include "warden/nf_tables.h"

using namespace doline;
using namespace doline::tests;
using redirect::Admission;
using redirect::Purpose;
using warden::Gate;
using warden::Renewal;

namespace {

const device::MacAddress camera = *device::MacAddress::parse("94:51:3d:13:9a:35");
const device::MacAddress stranger = *device::MacAddress::parse("02:00:00:00:00:01");
const IpAddress cloud4 = IpAddress::v4(120, 24, 59, 150);
const IpAddress cloud6 = *IpAddress::parse("2001:db8:beef::1");

std::string nft(const std::string& words) {
  const ShellEnd end = shell("PATH=$PATH:/usr/sbin nft " + words);
  CAPTURE(end.output);
  CHECK(end.status == 0);
  return end.output;
}

void make_table() {
  const std::string script = redirect::nft_gate(home_options(redirect::Mode::tproxy), home_restrictions());
  nft("-f - <<'E'\n" + script + "E");
}

struct HoldingGate : Gate {
  explicit HoldingGate(Renewal renewal) : Gate(renewal) { hold(home_restrictions()); }
};

Admission admission(std::uint32_t ticket, std::uint32_t ttl_seconds, std::vector<IpAddress> addresses) {
  return {.ticket = ticket,
          .purpose = Purpose::connect,
          .ttl_seconds = ttl_seconds,
          .devices = {camera},
          .addresses = std::move(addresses)};
}

/// Seconds until it expires, as nft says (`expires 1h9m59s996ms`); 0 where it is not there.
int seconds_left(const char* set, const std::string& element) {
  const std::string found = shell("PATH=$PATH:/usr/sbin nft get element inet doline_gate " + std::string(set) + " '{ " +
                                  element + " }' 2>/dev/null")
                                .output;
  const std::size_t at = found.find("expires ");
  if (at == std::string::npos) return 0;
  std::istringstream text(found.substr(at + 8));
  int left = 1;  // part of a second, at least
  for (int count = 0; text >> count;) {
    char unit = 0;
    if (!text.get(unit) || (unit == 'm' && text.peek() == 's')) break;
    left += count * (unit == 'd' ? 86'400 : unit == 'h' ? 3'600 : unit == 'm' ? 60 : 1);
  }
  return left;
}

const std::string pair4 = "94:51:3d:13:9a:35 . 120.24.59.150", pair6 = "94:51:3d:13:9a:35 . 2001:db8:beef::1";

}  // namespace

TEST_CASE("What is admitted is in the kernel's sets, for its TTL and longer, and given again is there for longer") {
  for (const Renewal renewal : {Renewal::by_adding, Renewal::by_replacing}) {
    if (!own_network()) return;
    if (renewal == Renewal::by_adding && !redirect::gather_host_facts().renews_elements()) continue;
    make_table();
    HoldingGate gate(renewal);
    CHECK(gate.admit({{admission(7, 0, {cloud4, cloud6, cloud4})}}) ==
          std::vector<redirect::AdmissionAnswer>{{7, true}});
    const int shortest = static_cast<int>((redirect::admission_min + redirect::admission_grace).count());
    CHECK(seconds_left("allowed4", pair4) > shortest - 30);
    CHECK(seconds_left("allowed4", pair4) <= shortest + 1);
    CHECK(seconds_left("allowed6", pair6) > shortest - 30);
    // Of two answers in one message the longer one holds.
    CHECK(gate.admit({{admission(8, 3'600, {cloud4}), admission(9, 60, {cloud4})}}).size() == 2);
    CHECK(seconds_left("allowed4", pair4) > 3'600);
    // And a shorter one that comes later cuts nothing.
    CHECK(gate.admit({{admission(8, 60, {cloud4})}}).front().is_admitted);
    CHECK(seconds_left("allowed4", pair4) > 3'600);
    CHECK(gate.admit({{admission(8, 0xffffffff, {cloud6})}}).front().is_admitted);
    CHECK(seconds_left("allowed6", pair6) <=
          static_cast<int>((redirect::admission_max + redirect::admission_grace).count()) + 1);
    CHECK(warden::NfTables().gate_counts().admitted == 2);
    CHECK(gate.turned_away() == 0);
  }
}

TEST_CASE("Only of devices that are held, and only addresses beyond the gateway, are taken") {
  if (!own_network()) return;
  make_table();
  HoldingGate gate(Renewal::by_replacing);
  Admission of_stranger = admission(1, 60, {cloud4});
  of_stranger.devices = {stranger};
  Admission of_nobody = admission(2, 60, {cloud4});
  of_nobody.devices.clear();
  Admission of_both = admission(4, 60, {cloud4});
  of_both.devices.push_back(stranger);
  const std::vector<Admission> asked{of_stranger, of_nobody, admission(3, 60, {cloud6, IpAddress::v4(224, 0, 0, 251)}),
                                     of_both};
  CHECK(gate.admit(asked) == std::vector<redirect::AdmissionAnswer>{{1, false}, {2, false}, {3, false}, {4, true}});
  CHECK(gate.turned_away() == 3);
  CHECK(warden::NfTables().gate_counts().admitted == 1);
  gate.hold({});
  CHECK_FALSE(gate.admit({{admission(5, 60, {cloud4})}}).front().is_admitted);
}

TEST_CASE("Addresses of a DoH name are nobody's device's") {
  if (!own_network()) return;
  make_table();
  HoldingGate gate(Renewal::by_replacing);
  const Admission doh{
      .ticket = 1, .purpose = Purpose::doh, .ttl_seconds = 60, .devices = {}, .addresses = {cloud4, cloud6}};
  CHECK(gate.admit({{doh}}).front().is_admitted);
  CHECK(seconds_left("answered_doh4", "120.24.59.150") > 0);
  CHECK(seconds_left("answered_doh6", "2001:db8:beef::1") > 0);
  CHECK(warden::NfTables().gate_counts().admitted == 0);
}

TEST_CASE("A gate that nobody made, or that is full, admits nobody, and serves on") {
  if (!own_network()) return;
  HoldingGate gate(Renewal::by_replacing);
  CHECK_FALSE(gate.admit({{admission(1, 60, {cloud4})}}).front().is_admitted);
  CHECK_FALSE(gate.stay_alive());
  nft("-f - <<'E'\ntable inet doline_gate {\n set allowed4 { type ether_addr . ipv4_addr; size 1; flags timeout; "
      "}\n}\nE");
  CHECK_FALSE(gate.admit({{admission(2, 60, {cloud4, IpAddress::v4(1, 1, 1, 1)})}}).front().is_admitted);
  CHECK(gate.admit({{admission(3, 60, {cloud4})}}).front().is_admitted);
  CHECK(gate.turned_away() == 2);
}

TEST_CASE("The largest message is one transaction") {
  if (!own_network()) return;
  make_table();
  std::vector<IpAddress> many;
  for (std::size_t i = 0; i < redirect::admitted_per_message; ++i)
    many.push_back(IpAddress::v4(9, 9, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)));
  HoldingGate gate(Renewal::by_replacing);
  CHECK(gate.admit({{admission(1, 60, many)}}).front().is_admitted);
  CHECK(warden::NfTables().gate_counts().admitted == many.size());
}

TEST_CASE("The sign of life is renewed before it expires, in whatever way the kernel renews elements") {
  if (!own_network()) return;
  for (const Renewal renewal : {Renewal::by_adding, Renewal::by_replacing}) {
    if (renewal == Renewal::by_adding && !redirect::gather_host_facts().renews_elements()) continue;
    make_table();
    nft("flush set inet doline_gate alive");
    nft("add element inet doline_gate alive '{ ipv4 timeout 10s expires 3s }'");
    HoldingGate gate(renewal);
    CHECK(gate.stay_alive());
    CHECK(seconds_left("alive", "ipv4") > 5);
    CHECK(seconds_left("alive", "ipv6") > 5);
  }
}

TEST_CASE("The sign of life is there for ten seconds, and a new gate keeps what it had") {
  if (!own_network()) return;
  make_table();
  HoldingGate gate(Renewal::by_replacing);
  CHECK(gate.stay_alive());
  CHECK(seconds_left("alive", "ipv4") > 0);
  CHECK(seconds_left("alive", "ipv6") <= 11);
  REQUIRE(gate.admit({{admission(1, 60, {cloud4})}}).front().is_admitted);
  make_table();
  CHECK(gate.stay_alive());
  CHECK(seconds_left("allowed4", pair4) > 0);
  nft("-f - <<'E'\n" + redirect::nft_open_gate() + "E");
  CHECK(seconds_left("allowed4", pair4) > 0);
}
