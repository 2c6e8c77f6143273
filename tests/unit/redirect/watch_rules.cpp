#include "redirect/watch_rules.h"

#include <doctest/doctest.h>

#include "home.h"
#include "own_network.h"

using namespace doline;
using namespace doline::redirect;
using tests::home_options;

namespace {

bool has(const std::string& script, std::string_view part) {
  return script.find(part) != std::string::npos;
}

Options watching(Mode mode) {
  Options options = home_options(mode);
  options.watch = true;
  return options;
}

}  // namespace

TEST_CASE("Nothing is logged where nobody asks for it") {
  CHECK(nft_watch(home_options(Mode::tproxy), TableLife::until_removed).empty());
  CHECK_FALSE(asks_to_watch(Options{}));
}

TEST_CASE("Each wish has its own rules: connections, encrypted DNS alone, queries") {
  const std::string connections = nft_watch(watching(Mode::off), TableLife::as_long_as_its_maker);
  CHECK(has(connections, "flags owner"));
  CHECK(has(connections, "log prefix \"doline connection\" group 53 snaplen 128"));
  CHECK(has(connections, "tcp dport 853 log prefix \"doline encrypted-dns\""));
  CHECK_FALSE(has(connections, "doline query"));

  Options options = home_options(Mode::tproxy);
  options.encrypted = Encrypted::log;
  const std::vector known{*IpPrefix::parse("1.1.1.1")};
  const std::string encrypted = nft_watch(options, TableLife::until_removed, known);
  CHECK_FALSE(has(encrypted, "flags owner"));
  CHECK(has(encrypted, "ip daddr @doh_servers4 tcp dport 443 log prefix \"doline encrypted-dns\""));
  CHECK(has(encrypted, "tcp dport 443 log prefix \"doline https\""));
  CHECK_FALSE(has(encrypted, "doline connection"));

  const std::string queries = nft_watch(home_options(Mode::audit), TableLife::until_removed);
  CHECK(has(queries, "meta l4proto udp log prefix \"doline query\" group 53 snaplen 768"));
  CHECK_FALSE(has(queries, "chain connections"));
}

TEST_CASE("The exempt are watched, but their queries are not audited") {
  const std::string script = nft_watch(watching(Mode::audit), TableLife::until_removed);
  const std::size_t exempt = script.find("ether saddr { b8:27:eb:00:50:53 } return");
  REQUIRE(exempt != std::string::npos);
  CHECK(exempt < script.find("chain connections"));
  CHECK(script.find("ether saddr", exempt + 1) == std::string::npos);
}

TEST_CASE("A prefix leads to its rule, another tool's to none") {
  for (const LoggedBy rule :
       {LoggedBy::connection, LoggedBy::plain_dns, LoggedBy::encrypted_dns, LoggedBy::query, LoggedBy::https})
    CHECK(parse_prefix(prefix_of(rule)) == rule);
  CHECK_FALSE(parse_prefix("IN=br0"));
  CHECK_FALSE(parse_prefix(""));
}

TEST_CASE("nft takes the scripts") {
  if (!tests::own_network()) return;
  for (const Mode mode : {Mode::off, Mode::audit, Mode::tproxy}) {
    const std::string script = nft_watch(watching(mode), TableLife::until_removed, {*IpPrefix::parse("1.1.1.1")});
    const auto taken = tests::shell("PATH=$PATH:/usr/sbin nft -c -f - <<'NFT'\n" + script + "NFT\n");
    CAPTURE(taken.output);
    CHECK(taken.status == 0);
  }
}
