#include "resolver/foresight.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "dns/writer.h"

namespace doline::resolver {
namespace {

std::vector<std::uint8_t> query_for(std::string_view name) {
  std::vector<std::uint8_t> octets(512);
  dns::MessageWriter writer(octets);
  writer.header(0, {}, dns::ResponseCode::noerror);
  REQUIRE(writer.question({dns::Name::parse(name).value(), dns::RecordType::a}));
  octets.resize(writer.size());
  octets[2] = octets[3] = 0;  // a query
  return octets;
}

struct Looking {
  cache::Cache cache{{}, 7};
  std::shared_ptr<const blocklist::ListSet> lists = blocklist::ListSet::none();
  Foresight foresight{cache};

  void look_at(const std::vector<std::uint8_t>& message) { foresight.look_at(message, *lists); }
  std::string take(const std::vector<std::uint8_t>& message) {
    const auto& parsed = foresight.take(message, *lists);
    if (!parsed.query) return std::string(dns::to_string(parsed.query.error()));
    CHECK(parsed.query->question().qname == parsed.key.question.qname);
    CHECK(parsed.key.question.qname.to_string() == parsed.key.question.qname.lowered().to_string());
    CHECK(parsed.key.hash == cache.hash_of(parsed.key));
    return parsed.query->question().qname.to_string();
  }
};

TEST_CASE("a query is the same whether or not it was looked at before") {
  Looking looking;
  const auto one = query_for("One.example"), other = query_for("other.example");
  looking.look_at(one);
  CHECK(looking.take(one) == "One.example");
  CHECK(looking.take(other) == "other.example");
  CHECK(looking.take({1, 2, 3}) == dns::to_string(dns::MessageFault::too_short));
  looking.look_at({1, 2, 3});
  CHECK(looking.take(one) == "One.example");
  const std::vector<std::uint8_t> nothing;
  CHECK(looking.take(nothing) == dns::to_string(dns::MessageFault::too_short));
  looking.look_at(nothing);
  CHECK(looking.take(nothing) == dns::to_string(dns::MessageFault::too_short));
}

TEST_CASE("octets that were others when they were looked at are read again") {
  Looking looking;
  auto octets = query_for("one.example");
  looking.look_at(octets);
  CHECK(looking.take(octets) == "one.example");
  octets = query_for("two.example");  // as long, at the same place
  CHECK(looking.take(octets) == "two.example");
  looking.look_at(octets);
  looking.foresight.forget();
  octets = query_for("six.example");
  CHECK(looking.take(octets) == "six.example");
}

TEST_CASE("of more than are kept each is still right") {
  Looking looking;
  std::vector<std::vector<std::uint8_t>> queries;
  for (int i = 0; i < 20; ++i) queries.push_back(query_for("n" + std::to_string(i) + ".example"));
  for (const auto& query : queries) looking.look_at(query);
  for (int i = 0; i < 20; ++i)
    CHECK(looking.take(queries[static_cast<std::size_t>(i)]) == "n" + std::to_string(i) + ".example");
}

TEST_CASE("bits of the query are bits of its key") {
  Looking looking;
  auto query = query_for("www.example");
  query[3] = 0x10;  // CD
  looking.look_at(query);
  const cache::Key key = looking.foresight.take(query, *looking.lists).key;
  CHECK(key.checking_disabled);
  CHECK_FALSE(key.dnssec_ok);
  CHECK(key.question.qtype == dns::RecordType::a);
}

}  // namespace
}  // namespace doline::resolver
