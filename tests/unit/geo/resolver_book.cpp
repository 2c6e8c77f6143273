#include "geo/resolver_book.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

using doline::IpAddress;
using doline::geo::ResolverBook;

namespace {

const std::string header = "address,operator,country,protocols,hostname,note\n";

std::string problem_of(const std::string& line) {
  const auto reading = ResolverBook::read(header + line + "\n");
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].line == 2);
  CHECK(reading.book.size() == 0);
  return reading.problems[0].what;
}

}  // namespace

TEST_CASE("a resolver is found by its address with all that the line says") {
  const auto reading = ResolverBook::read(header +
                                          "9.9.9.9,Quad9,CH,plain+dot+doh,dns.quad9.net,blocks malware\r\n"
                                          "# a comment\n"
                                          "\n"
                                          "2400:3200::1,AliDNS,CN,doq,,");
  CHECK(reading.problems.empty());
  CHECK(reading.book.size() == 2);
  const auto* quad9 = reading.book.find(IpAddress::v4(9, 9, 9, 9));
  REQUIRE(quad9 != nullptr);
  CHECK(quad9->operator_name == "Quad9");
  CHECK(quad9->country == "CH");
  CHECK(quad9->hostname == "dns.quad9.net");
  CHECK(quad9->note == "blocks malware");
  CHECK((quad9->plain && quad9->dot && quad9->doh && !quad9->doq));
  const auto* ali = reading.book.find(*IpAddress::parse("2400:3200:0::1"));
  REQUIRE(ali != nullptr);
  CHECK((!ali->plain && !ali->dot && !ali->doh && ali->doq));
  CHECK(reading.book.find(IpAddress::v4(9, 9, 9, 10)) == nullptr);
}

TEST_CASE("a quoted field holds commas and quotation marks") {
  const auto reading = ResolverBook::read(header + "1.1.1.1,\"Cloud, \"\"flare\"\"\",US,plain,,\"a,b\"\n");
  CHECK(reading.problems.empty());
  const auto* resolver = reading.book.find(IpAddress::v4(1, 1, 1, 1));
  REQUIRE(resolver != nullptr);
  CHECK(resolver->operator_name == "Cloud, \"flare\"");
  CHECK(resolver->note == "a,b");
}

TEST_CASE("a bad line is reported with its number and reason and the rest is used") {
  CHECK(problem_of("1.1.1,Cloudflare,US,plain,,") == "'1.1.1' is not an address");
  CHECK(problem_of("1.1.1.1,,US,plain,,") == "no operator");
  CHECK(problem_of("1.1.1.1,Cloudflare,usa,plain,,").find("'usa' is not a country") == 0);
  CHECK(problem_of("1.1.1.1,Cloudflare,US,plain+tcp,,").find("'plain+tcp' is not one or more of plain") == 0);
  CHECK(problem_of("1.1.1.1,Cloudflare,US,,,").find("'' is not one or more of plain") == 0);
  CHECK(problem_of("1.1.1.1,Cloudflare,US,plain,no host,").find("'no host' is not a host name") == 0);
  CHECK(problem_of("1.1.1.1,Cloudflare,US,plain,").find("expected 6 fields") == 0);
  CHECK(problem_of("1.1.1.1,Cloudflare,US,plain,,,").find("expected 6 fields") == 0);
  CHECK(problem_of("1.1.1.1,\"Cloudflare,US,plain,,") == "a quotation mark is not closed");
  CHECK(problem_of("1.1.1.1,\"Cloud\"flare,US,plain,,") == "text behind a closing quotation mark");
  CHECK(problem_of("1.1.1.1,Cloud\"flare,US,plain,,") == "a quotation mark inside a field without quotation marks");
  CHECK(problem_of(std::string("1.1.1.1,Cloud\x1b[31mflare,US,plain,,")) == "not text");
  CHECK(problem_of("1.1.1.1,Cloudflare,US,plain,," + std::string(5000, 'x')) == "longer than 4096 octets");

  const auto reading = ResolverBook::read(header + "bad\n1.1.1.1,Cloudflare,US,plain,,\n");
  CHECK(reading.problems.size() == 1);
  CHECK(reading.book.size() == 1);
}

TEST_CASE("a port stands for one resolver, and a line may go without") {
  const std::string with_port = "address,operator,country,protocols,hostname,note,port\n";
  const auto reading = ResolverBook::read(with_port +
                                          "9.9.9.9,Quad9,CH,plain,,\"a,b\",29200\r\n"
                                          "1.1.1.1,Cloudflare,US,plain,,a,\n"
                                          "8.8.8.8,Google,US,plain,,a\n"
                                          "8.8.4.4,Google,US,plain,,");
  CHECK(reading.problems.empty());
  REQUIRE(reading.book.size() == 4);
  CHECK(reading.book.find(IpAddress::v4(9, 9, 9, 9))->port == 29200);
  CHECK(reading.book.find(IpAddress::v4(9, 9, 9, 9))->note == "a,b");
  CHECK(reading.book.find(IpAddress::v4(1, 1, 1, 1))->port == 0);
  CHECK(reading.book.find(IpAddress::v4(8, 8, 8, 8))->port == 0);
  CHECK(reading.book.find(IpAddress::v4(8, 8, 8, 8))->note == "a");
  CHECK(reading.book.find(IpAddress::v4(8, 8, 4, 4))->port == 0);

  const auto problem_behind = [&](const std::string& line) {
    const auto wrong = ResolverBook::read(with_port + "9.9.9.9,Quad9,CH,plain,,,29200\n" + line + "\n");
    REQUIRE(wrong.problems.size() == 1);
    CHECK(wrong.problems[0].line == 3);
    CHECK(wrong.book.size() == 1);
    return wrong.problems[0].what;
  };
  CHECK(problem_behind("1.1.1.1,Cloudflare,US,plain,,,29200") == "port 29200 stands for 9.9.9.9 already");
  for (const std::string port : {"0", "65536", "-1", " 1", "1x", "x"})
    CHECK(problem_behind("1.1.1.1,Cloudflare,US,plain,,," + port) ==
          "'" + port + "' is not a port: 1 to 65535, or nothing");
  CHECK(problem_behind("1.1.1.1,Cloudflare,US,plain,") ==
        "expected 7 fields: " + with_port.substr(0, with_port.size() - 1));
  CHECK(problem_behind("1.1.1.1,Cloudflare,US,plain,,,1,").find("expected 7 fields") == 0);
}

TEST_CASE("the second line of an address is a problem, in whatever spelling") {
  const auto reading = ResolverBook::read(header + "2a09::,DNS.SB,DE,plain,,\n2a09:0::0,Other,DE,plain,,\n");
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].line == 3);
  CHECK(reading.problems[0].what == "2a09:: stands here for the second time");
  CHECK(reading.book.find(*IpAddress::parse("2a09::"))->operator_name == "DNS.SB");
}

TEST_CASE("a file without the header line says so and is read all the same") {
  const auto reading = ResolverBook::read("address,name\n1.1.1.1,Cloudflare,US,plain,,\n");
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].what.find("the first line must be address,operator,country,protocols,hostname,note,port") ==
        0);
  CHECK(reading.book.size() == 1);
}

TEST_CASE("a file of rubbish is given up after a hundred problems") {
  std::string rubbish;
  for (int line = 0; line < 100'000; ++line) rubbish += "<html>\n";
  const auto reading = ResolverBook::read(rubbish);
  CHECK(reading.problems.size() == 101);
  CHECK(reading.problems.back().what.find("too many problems") == 0);
}

TEST_CASE("the shipped resolvers.csv is without problems and knows the resolvers that devices hard-code") {
  std::ifstream file(DOLINE_SOURCE_DIR "/blocklists/resolvers.csv");
  const std::string csv{std::istreambuf_iterator<char>(file), {}};
  const auto reading = ResolverBook::read(csv);
  for (const auto& problem : reading.problems) FAIL_CHECK("line " << problem.line << ": " << problem.what);
  CHECK(reading.book.size() >= 400);
  for (const auto& [address, operator_name] : {std::pair{"114.114.114.114", "114DNS"},
                                               {"2400:3200::1", "AliDNS"},
                                               {"8.8.8.8", "Google"},
                                               {"1.1.1.1", "Cloudflare"},
                                               {"77.88.8.8", "Yandex"}}) {
    const auto* resolver = reading.book.find(*IpAddress::parse(address));
    REQUIRE(resolver != nullptr);
    CHECK(resolver->operator_name == operator_name);
    CHECK(resolver->plain);
  }
}

// Routers remember these numbers: a port once given to an address is neither changed nor given to another. 29170 to
// 29998 are nobody's (IANA), and below what kernels give to clients.
TEST_CASE("every shipped resolver has a port that nothing else uses, and keeps it") {
  std::ifstream file(DOLINE_SOURCE_DIR "/blocklists/resolvers.csv");
  const std::string csv{std::istreambuf_iterator<char>(file), {}};
  const auto reading = ResolverBook::read(csv);
  std::set<std::uint16_t> ports;
  for (const auto& [address, resolver] : reading.book.all()) {
    CAPTURE(address.to_string());
    CHECK((resolver.port >= 29200 && resolver.port <= 29998));
    ports.insert(resolver.port);
  }
  // Numbers are given without gaps, so that a line taken out (or renumbered to the end) is noticed.
  REQUIRE(!ports.empty());
  CHECK(*ports.begin() == 29200);
  CHECK(*ports.rbegin() - *ports.begin() + std::size_t{1} == ports.size());
  for (const auto& [address, port] :
       {std::pair{"114.114.114.114", 29200}, {"8.8.8.8", 29247}, {"209.88.198.133", 29615}})
    CHECK(reading.book.find(*IpAddress::parse(address))->port == port);
}
