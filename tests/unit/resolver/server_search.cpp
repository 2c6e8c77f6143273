#include "resolver/server_search.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "dns/presentation.h"
#include "dns/writer.h"

namespace doline::resolver {
namespace {

using dns::RecordType;

dns::Name name(std::string_view text) {
  return dns::Name::parse(text).value();
}

/// Words as accept() makes them.
std::vector<std::uint8_t> words(const std::string& qname, RecordType qtype, const std::vector<std::string>& answers,
                                const std::string& soa_owner = "") {
  std::vector<std::uint8_t> octets(4'096);
  dns::MessageWriter writer(octets);
  writer.header(0, {}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({name(qname), qtype}));
  const auto add = [&](dns::Section section, const std::string& line) {
    const auto record = dns::parse_record(line, 300);
    REQUIRE_MESSAGE(record.has_value(), line);
    REQUIRE(writer.record(section, record->owner, record->type, record->record_class, record->ttl, record->rdata));
  };
  for (const std::string& line : answers) add(dns::Section::answer, line);
  if (!soa_owner.empty()) add(dns::Section::authority, soa_owner + ". SOA ns. root. 1 2 3 4 300");
  octets.resize(writer.size());
  return octets;
}

/// A cache that is told what upstream says, and a search in it.
struct Searching {
  cache::Cache cache{{}, 7};
  MonotonicTime now{std::chrono::hours(1)};
  ServerSearch search;
  std::vector<std::string> failed;

  void knows(const std::string& qname, RecordType qtype, const std::vector<std::string>& answers,
             const std::string& soa_owner = "") {
    cache::Key key;
    key.question = {name(qname), qtype};
    key.hash = cache.hash_of(key);
    cache.insert(key, words(qname, qtype, answers, soa_owner), seconds(300), answers.empty(), now);
  }
  /// What is found, and what is missing, of an answer.
  std::string run(const std::vector<std::uint8_t>& answer, bool wants_addresses = false) {
    search.search(cache, {answer, 0, wants_addresses}, now, [&](const cache::Key& key) {
      return std::find(failed.begin(), failed.end(), key.question.to_string()) != failed.end();
    });
    std::string text;
    for (const dns::Name& server : search.found().names) text += server.to_string() + ' ';
    for (const IpAddress& address : search.found().addresses) text += address.to_string() + ' ';
    for (const cache::Key& key : search.missing()) text += "asks " + key.question.to_string() + ' ';
    if (search.is_unknown()) text += "unknown ";
    return text;
  }
};

std::vector<std::uint8_t> an_answer() {
  return words("WWW.shop.example", RecordType::a, {"www.shop.example. A 192.0.2.1"});
}

TEST_CASE("the way to the zone goes by the SOA record that denies what is further down") {
  Searching searching;
  CHECK(searching.run(an_answer()) == "asks www.shop.example NS ");
  searching.knows("www.shop.example", RecordType::ns, {}, "shop.example");
  CHECK(searching.run(an_answer()) == "asks shop.example NS ");
  searching.knows("shop.example", RecordType::ns,
                  {"shop.example. NS NS2.shop.example.", "shop.example. NS b.host.example."});
  CHECK(searching.run(an_answer()) == "b.host.example ns2.shop.example ");
  const auto deeper = words("a.b.www.shop.example", RecordType::a, {"a.b.www.shop.example. A 192.0.2.1"});
  searching.knows("a.b.www.shop.example", RecordType::ns, {}, "shop.example");
  CHECK(searching.run(deeper) == "b.host.example ns2.shop.example ");
}

TEST_CASE("without an SOA record, or with one that is not above, the next label goes") {
  Searching searching;
  searching.knows("www.shop.example", RecordType::ns, {"www.shop.example. CNAME other.example."}, "other.example");
  CHECK(searching.run(an_answer()) == "asks shop.example NS ");
  searching.knows("shop.example", RecordType::ns, {});
  CHECK(searching.run(an_answer()) == "asks example NS ");
  searching.knows("example", RecordType::ns, {}, "shop.example");  // it leads back: nobody is sent in a circle
  CHECK(searching.run(an_answer()) == "unknown ");
}

TEST_CASE("the zones of CNAME targets count too, but not of many") {
  Searching searching;
  searching.knows("a.example", RecordType::ns, {"a.example. NS ns.a.example."});
  searching.knows("b.example", RecordType::ns, {"b.example. NS ns.b.example."});
  searching.knows("c.example", RecordType::ns, {"c.example. NS ns.c.example."});
  const auto chain = words("a.example", RecordType::a,
                           {"a.example. CNAME b.example.", "b.example. CNAME c.example.", "c.example. CNAME d.example.",
                            "d.example. A 192.0.2.1"});
  CHECK(searching.run(chain) == "ns.a.example ns.b.example ns.c.example ");
}

TEST_CASE("addresses are asked for where they are wanted, of some servers") {
  Searching searching;
  std::vector<std::string> servers;
  for (char letter = 'a'; letter <= 'z'; ++letter)
    servers.push_back("www.shop.example. NS " + std::string(1, letter) + ".ns.example.");
  searching.knows("www.shop.example", RecordType::ns, servers);
  searching.run(an_answer());
  CHECK(searching.search.found().names.size() == server_names_max);
  CHECK(searching.search.missing().empty());
  searching.run(an_answer(), true);
  CHECK(searching.search.missing().size() == 2 * server_addresses_max);
  searching.knows("www.shop.example", RecordType::ns, {"www.shop.example. NS ns.example."});
  CHECK(searching.run(an_answer(), true) == "ns.example asks ns.example A asks ns.example AAAA ");
  searching.knows("ns.example", RecordType::a, {"ns.example. A 203.0.113.9", "ns.example. A 203.0.113.1"});
  searching.knows("ns.example", RecordType::aaaa, {"ns.example. AAAA 2001:db8::1"});
  searching.run(an_answer(), true);
  CHECK(searching.search.found().addresses.size() == 3);
  CHECK(std::is_sorted(searching.search.found().addresses.begin(), searching.search.found().addresses.end()));
}

TEST_CASE("what failed a moment ago, or leads to no zone, is unknown, and what is stale is asked for again") {
  Searching searching;
  searching.failed = {"www.shop.example NS"};
  CHECK(searching.run(an_answer()) == "unknown ");
  searching.failed.clear();
  searching.knows("www.shop.example", RecordType::ns, {"www.shop.example. NS ns.example."});
  CHECK(searching.run(an_answer()) == "ns.example ");
  searching.failed = {"ns.example A"};
  searching.knows("ns.example", RecordType::aaaa, {"ns.example. AAAA 2001:db8::1"});
  CHECK(searching.run(an_answer(), true) == "ns.example 2001:db8::1 unknown ");
  searching.now += seconds(301);
  CHECK(searching.run(an_answer()) == "asks www.shop.example NS ");

  std::string deep = "a";
  for (int label = 0; label < 20; ++label) {
    searching.knows(deep, RecordType::ns, {});
    deep = "a." + deep;
  }
  searching.knows(deep, RecordType::ns, {});
  CHECK(searching.run(words(deep, RecordType::a, {deep + ". A 192.0.2.1"})) == "unknown ");
}

}  // namespace
}  // namespace doline::resolver
