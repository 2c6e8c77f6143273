#include "querylog/answers.h"

#include <random>

#include "dns/presentation.h"
#include "unit/querylog/samples.h"

using namespace doline;
using namespace doline::querylog;
using samples::a;
using samples::cname;

namespace {

EncodedAnswers encode(const std::vector<samples::SampleAnswer>& answers, std::string_view qname = "www.example.com") {
  EncodedAnswers encoded;
  encode_answers(samples::response(qname, dns::RecordType::a, answers), samples::name(qname), encoded);
  return encoded;
}

std::vector<std::string> texts(const std::vector<std::uint8_t>& octets, std::string_view qname = "www.example.com") {
  std::vector<std::string> lines;
  for (const Answer& answer : decode_answers(octets, samples::name(qname)).answers)
    lines.push_back(answer.owner.to_string() + " " + dns::to_string(answer.type) + " " +
                    dns::rdata_to_string(answer.type, answer.rdata));
  return lines;
}

}  // namespace

TEST_CASE("a CNAME chain with addresses comes back as it was answered") {
  const auto encoded =
      encode({cname("www.example.com", "cdn.example.net"), cname("cdn.example.net", "edge.example.org"),
              a("edge.example.org", "192.0.2.1"), a("edge.example.org", "192.0.2.2")});
  CHECK(texts(encoded.octets) ==
        std::vector<std::string>{"www.example.com CNAME cdn.example.net.", "cdn.example.net CNAME edge.example.org.",
                                 "edge.example.org A 192.0.2.1", "edge.example.org A 192.0.2.2"});
  CHECK(answer_addresses(encoded.octets) ==
        std::vector<IpAddress>{IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 0, 2, 2)});
}

TEST_CASE("one address takes seven octets") {
  CHECK(encode({a("www.example.com", "192.0.2.1")}).octets.size() == 7);
}

TEST_CASE("neither the TTL nor the order of addresses nor the case of names makes another answer") {
  const auto one = encode({cname("www.example.com", "cdn.example.net", 60), a("cdn.example.net", "192.0.2.1", 300),
                           a("cdn.example.net", "192.0.2.2", 300)});
  const auto other = encode({cname("WWW.example.com", "cdn.example.net", 59), a("CDN.example.net", "192.0.2.2", 17),
                             a("cdn.example.net", "192.0.2.1", 17)},
                            "wWw.exaMple.com");
  CHECK(one.octets == other.octets);
  CHECK(one.ttl == 60);
  CHECK(other.ttl == 17);
}

TEST_CASE("other addresses make another answer") {
  CHECK(encode({a("www.example.com", "192.0.2.1")}).octets != encode({a("www.example.com", "192.0.2.2")}).octets);
}

TEST_CASE("a response without answers, a broken one and none at all have no answers") {
  EncodedAnswers encoded;
  encode_answers(samples::response("www.example.com", dns::RecordType::a, {}), samples::name("www.example.com"),
                 encoded);
  CHECK(encoded.octets.empty());
  auto broken = samples::response("www.example.com", dns::RecordType::a, {a("www.example.com", "192.0.2.1")});
  broken.resize(broken.size() - 3);
  encode_answers(broken, samples::name("www.example.com"), encoded);
  CHECK(encoded.octets.empty());
  encode_answers({}, samples::name("www.example.com"), encoded);
  CHECK(encoded.octets.empty());
}

TEST_CASE("answers stand one behind another, each as if it were alone") {
  std::vector<samples::SampleAnswer> endless;
  for (int number = 0; number < 200; ++number)
    endless.push_back(a("n" + std::to_string(number) + ".example.net", "192.0.2.1"));
  const std::vector<samples::SampleAnswer> each[] = {
      {a("www.example.com", "192.0.2.3", 7), a("www.example.com", "192.0.2.2", 9)},
      {},
      endless,
      {cname("www.example.com", "cdn.example.net", 60), a("cdn.example.net", "192.0.2.1", 300)},
      endless};
  EncodedAnswers all;
  std::vector<std::uint8_t> expected;
  for (const auto& answers : each) {
    const EncodedAnswers alone = encode(answers);
    expected.insert(expected.end(), alone.octets.begin(), alone.octets.end());
    encode_answers(samples::response("www.example.com", dns::RecordType::a, answers), samples::name("www.example.com"),
                   all);
    CHECK(all.ttl == alone.ttl);
  }
  CHECK(all.octets == expected);
}

TEST_CASE("an answer without end is shortened, and says so") {
  std::vector<samples::SampleAnswer> many;
  for (int number = 0; number < 1000; ++number)
    many.push_back(a("www.example.com", "10.0." + std::to_string(number / 256) + "." + std::to_string(number % 256)));
  const auto encoded = encode(many);
  CHECK(encoded.octets.size() <= answer_octets_max);
  const auto decoded = decode_answers(encoded.octets, samples::name("www.example.com"));
  CHECK(decoded.is_shortened);
  CHECK(decoded.answers.size() > 100);
  CHECK_FALSE(decode_answers(encode({a("www.example.com", "192.0.2.1")}).octets, samples::name("www.example.com"))
                  .is_shortened);
}

TEST_CASE("a response that was cut off for its client is no response without data") {
  for (const std::size_t addresses : {0, 1, 3}) {
    const std::vector<samples::SampleAnswer> some(addresses, a("www.example.com", "192.0.2.1"));
    auto response = samples::response("www.example.com", dns::RecordType::a, some);
    for (const bool is_truncated : {false, true}) {
      response[2] = static_cast<std::uint8_t>((response[2] & ~0x02) | (is_truncated ? 0x02 : 0));
      EncodedAnswers encoded;
      encode_answers(response, samples::name("www.example.com"), encoded);
      const auto decoded = decode_answers(encoded.octets, samples::name("www.example.com"));
      CHECK(decoded.is_shortened == is_truncated);
      CHECK(decoded.answers.size() == addresses);
    }
  }
}

TEST_CASE("any octets decode to some answers, within bounds") {
  std::mt19937 random(20'261'125);
  std::size_t found = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::vector<std::uint8_t> octets(random() % 64);
    for (auto& octet : octets) octet = static_cast<std::uint8_t>(random() % (random() % 2 == 0 ? 6 : 256));
    const auto decoded = decode_answers(octets, samples::name("www.example.com"));
    REQUIRE(decoded.answers.size() <= answers_max);
    for (const Answer& answer : decoded.answers) REQUIRE(answer.rdata.size() <= octets.size());
    found += decoded.answers.size();
  }
  CHECK(found > 0);
}
