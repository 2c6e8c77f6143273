#include "redirect/gate_rules.h"

#include <doctest/doctest.h>

#include <string>

#include "home.h"
#include "redirect/nft_rules.h"

using namespace doline::redirect;
using doline::tests::home_options;
using doline::tests::home_restrictions;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Options leaving_encrypted() {
  Options options = home_options(Mode::tproxy);
  options.encrypted = Encrypted::leave;
  return options;
}

}  // namespace

// The whole text is golden: tests/golden/redirect/gate.nft. Here is what must hold of it.

TEST_CASE("Where nobody is restricted there is no gate") {
  CHECK(nft_gate(leaving_encrypted(), {}).empty());
  Restrictions spared;
  spared.may_encrypt = home_restrictions().may_encrypt;
  CHECK(nft_gate(leaving_encrypted(), spared).empty());
}

TEST_CASE("What is established, inside the house or exempt is let go before anybody is held") {
  const std::string rules = nft_gate(home_options(Mode::tproxy), home_restrictions());
  const std::size_t held = rules.rfind("jump encrypted");
  REQUIRE(held != std::string::npos);
  CHECK(held < rules.rfind("goto only_resolved"));
  for (const char* let_go :
       {"iifname != { \"home0\", \"iot0\" } return", "oifname { \"home0\", \"iot0\" } return",
        "ct state established,related return", "meta pkttype != host return",
        "ether saddr { b8:27:eb:00:50:53 } return", "ip saddr 192.168.50.5/32 return", "ip daddr 10.8.0.0/16 return"}) {
    CAPTURE(let_go);
    CHECK(rules.find(let_go) < held);
  }
}

TEST_CASE("A gate that fails open holds only while the warden says that it lives") {
  Options options = home_options(Mode::tproxy);
  CHECK(has(nft_gate(options, home_restrictions()), "meta nfproto != @alive return"));
  options.on_failure = OnFailure::closed;
  CHECK_FALSE(has(nft_gate(options, home_restrictions()), "@alive"));
}

TEST_CASE("Encrypted DNS is refused to all but some, or to some only") {
  const std::string to_all = nft_gate(home_options(Mode::tproxy), {});
  CHECK(has(to_all, "ether saddr @may_encrypt return"));
  CHECK(has(to_all, "tcp dport 853 goto refuse_encrypted"));
  CHECK(has(to_all, "counter name \"encrypted\"\n    meta l4proto tcp reject with tcp reset"));
  CHECK(has(to_all, "ip6 daddr @answered_doh6 meta l4proto { tcp, udp } th dport 443"));
  CHECK_FALSE(has(to_all, "goto only_resolved"));
  const std::string to_some = nft_gate(leaving_encrypted(), home_restrictions());
  CHECK(has(to_some, "ether saddr @must_not_encrypt jump encrypted"));
  CHECK_FALSE(has(to_some, "@may_encrypt"));
  CHECK(has(to_some, "add element inet doline_gate must_not_encrypt { 94:51:3d:13:9a:35 }"));
  Restrictions flows = home_restrictions();
  flows.must_not_encrypt.clear();
  flows.log_encrypted.clear();
  CHECK_FALSE(has(nft_gate(leaving_encrypted(), flows), "853"));
}

TEST_CASE("Whose encrypted DNS is logged is let through, and logged once, not where everybody's is") {
  Restrictions logged;
  logged.log_encrypted = logged.may_encrypt = home_restrictions().log_encrypted;
  const std::string rules = nft_gate(leaving_encrypted(), logged);
  CHECK(has(rules, "ether saddr @log_encrypted jump log_encrypted"));
  CHECK(has(rules, "tcp dport 853 log prefix \"doline encrypted-dns\" group "));
  CHECK_FALSE(has(rules, "goto refuse_encrypted"));
  CHECK(gate_logs(leaving_encrypted(), logged));
  Options all = leaving_encrypted();
  all.encrypted = Encrypted::log;
  CHECK_FALSE(gate_logs(all, logged));
  CHECK(nft_gate(all, logged).empty());
}

TEST_CASE("What a lock allows is let go before it is noted, counted and refused") {
  const std::string rules = nft_gate(home_options(Mode::tproxy), home_restrictions());
  for (const char* allowed :
       {"ether saddr { 2c:aa:8e:12:34:56 } ip daddr 198.51.100.0/24 meta l4proto 17 th dport 123 accept",
        "ether saddr { 2c:aa:8e:12:34:56 } ip6 daddr 2001:db8:beef::7/128 meta l4proto 6 accept"}) {
    CAPTURE(allowed);
    CHECK(has(rules, allowed));
  }
  CHECK(has(rules, "jump allowed\n    jump unexplained\n    goto refuse_flow"));
  CHECK(has(rules, "update @refused_by { ether saddr counter }\n    counter name \"refused\""));
  CHECK_FALSE(has(rules, "doline refused"));
  Options watched = home_options(Mode::tproxy);
  watched.watch = true;
  CHECK(has(nft_gate(watched, home_restrictions()),
            "counter name \"refused\"\n    log prefix \"doline refused\" group "));
}

TEST_CASE("Renewed, the gate forgets whom it held, and keeps what answers gave") {
  const std::string rules = nft_gate(home_options(Mode::tproxy), home_restrictions());
  for (const char* forgotten : {"only_resolved", "observed", "may_encrypt", "must_not_encrypt", "doh_servers4",
                                "doh_servers6", "unexplained4", "unexplained6"})
    CHECK(has(rules, std::string("flush set inet doline_gate ") + forgotten + "\n"));
  for (const char* kept : {"allowed4", "allowed6", "answered_doh4", "answered_doh6", "alive", "refused_by"})
    CHECK_FALSE(has(rules, std::string("flush set inet doline_gate ") + kept + "\n"));
  CHECK_FALSE(has(rules, "delete"));
  CHECK(has(rules, nft_open_gate()));
}
