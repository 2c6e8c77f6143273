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
  std::vector<dns::Octets> coming;

  void begin(std::vector<dns::Octets> messages) {
    coming = std::move(messages);
    foresight.begin(coming, *lists);
  }
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
  const std::vector<std::uint8_t> nothing, few{1, 2, 3};
  for (const bool is_told : {true, false}) {
    looking.begin(is_told ? std::vector<dns::Octets>{one, few, nothing, nothing, other} : std::vector<dns::Octets>{});
    CHECK(looking.take(one) == "One.example");
    CHECK(looking.take(few) == dns::to_string(dns::MessageFault::too_short));
    CHECK(looking.take(nothing) == dns::to_string(dns::MessageFault::too_short));
    CHECK(looking.take(nothing) == dns::to_string(dns::MessageFault::too_short));
    CHECK(looking.take(other) == "other.example");
    CHECK(looking.take(one) == "One.example");
  }
}

TEST_CASE("octets that were others when they were looked at are read again") {
  Looking looking;
  auto octets = query_for("one.example");
  looking.begin({octets});
  CHECK(looking.take(octets) == "one.example");
  octets = query_for("two.example");  // as long, at the same place
  CHECK(looking.take(octets) == "two.example");
  looking.begin({octets});
  looking.begin({});
  octets = query_for("six.example");
  CHECK(looking.take(octets) == "six.example");
}

TEST_CASE("of many each is right, whatever is left out or comes between") {
  Looking looking;
  std::vector<std::vector<std::uint8_t>> queries;
  for (int i = 0; i < 40; ++i) queries.push_back(query_for("n" + std::to_string(i) + ".example"));
  const auto between = query_for("between.example");
  for (const std::size_t step : {1, 2, 3, 4, 5, 9}) {
    looking.begin({queries.begin(), queries.end()});
    for (std::size_t i = 0; i < queries.size(); i += step) {
      CHECK(looking.take(queries[i]) == "n" + std::to_string(i) + ".example");
      if (i % 4 == 3) CHECK(looking.take(between) == "between.example");
    }
    CHECK(looking.take(queries[0]) == "n0.example");
  }
}

TEST_CASE("bits of the query are bits of its key") {
  Looking looking;
  auto query = query_for("www.example");
  query[3] = 0x10;  // CD
  looking.begin({query});
  const cache::Key key = looking.foresight.take(query, *looking.lists).key;
  CHECK(key.checking_disabled);
  CHECK_FALSE(key.dnssec_ok);
  CHECK(key.question.qtype == dns::RecordType::a);
}

}  // namespace
}  // namespace doline::resolver
