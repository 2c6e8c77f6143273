#include "upstream/complaint.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "dns/writer.h"

namespace doline::upstream {
namespace {

const Endpoint quad9{IpAddress::v4(9, 9, 9, 9), 53};

std::vector<std::uint8_t> failure(dns::ResponseCode code, const dns::OptRecord& opt) {
  std::vector<std::uint8_t> octets(4'096);
  dns::MessageWriter writer(octets);
  writer.header(1, {}, code);
  REQUIRE(writer.question({dns::Name::parse("www.example").value(), dns::RecordType::a}));
  REQUIRE(writer.opt(opt));
  octets.resize(writer.size());
  return octets;
}

TEST_CASE("a server's own reason is read and told, bounded and fit for a terminal") {
  const std::string text = "key\x1b[31m \xc3\xa4" + std::string(1'000, 'x');
  const Complaint complaint =
      read_complaint(failure(dns::ResponseCode::servfail, {.error = dns::ExtendedError{9}, .error_text = text}),
                     AcceptFault::server_failed, quad9);
  CHECK(complaint.code == dns::ResponseCode::servfail);
  CHECK(complaint.error == dns::ExtendedError{9});
  CHECK(complaint.text.size() == complaint_octets_max);
  CHECK(complaint.text.starts_with("key?[31m ??xxx"));
  CHECK(to_string(complaint) == complaint.text);
}

TEST_CASE("where it gives none, its code is told, upper bits included") {
  CHECK(to_string(read_complaint(failure(dns::ResponseCode::badvers, {}), AcceptFault::server_failed, quad9)) ==
        "9.9.9.9 said BADVERS");
  CHECK(to_string(read_complaint(failure(dns::ResponseCode::refused, {}), AcceptFault::server_failed,
                                 {quad9.address, 5'353})) == "9.9.9.9:5353 said REFUSED");
  // RFC 1035 section 4.1.1: a server that could not read the question need not repeat it.
  CHECK(to_string(read_complaint(std::vector<std::uint8_t>{0, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0},
                                 AcceptFault::server_failed, quad9)) == "9.9.9.9 said FORMERR");
}

TEST_CASE("every fault has a sentence, whatever the octets") {
  std::set<std::string> sentences;
  for (const auto fault : {AcceptFault::server_failed, AcceptFault::referral, AcceptFault::contradiction,
                           AcceptFault::chain_too_long, AcceptFault::too_large, AcceptFault::malformed})
    sentences.insert(to_string(read_complaint(std::vector<std::uint8_t>{1, 2, 3}, fault, quad9)));
  CHECK(sentences.size() == 6);
}

}  // namespace
}  // namespace doline::upstream
