#include <doctest/doctest.h>

#include "dns/presentation.h"
#include "unit/config/yaml.h"

using namespace doline::config;
using namespace doline::tests;
using doline::response::LocalName;

namespace {

/// `TYPE TTL DATA`, one a record.
std::vector<std::string> records_of(const std::string& value, const std::string& name = "a.home.arpa") {
  const auto names = settings_of("records: {\"" + name + "\": " + value + "}\n").live.records;
  REQUIRE(names.size() == 1);
  std::vector<std::string> texts;
  for (const auto& record : names[0].records)
    texts.push_back(doline::dns::to_string(record.type) + ' ' + std::to_string(record.ttl_seconds) + ' ' +
                    doline::dns::rdata_to_string(record.type, record.rdata));
  return texts;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("Local records are addresses, or records of the types that a house needs") {
  CHECK(records_of("[192.168.1.10, \"fd00::10\"]") == Lines{"A 60 192.168.1.10", "AAAA 60 fd00::10"});
  CHECK(records_of("192.168.1.1") == Lines{"A 60 192.168.1.1"});
  CHECK(records_of("{cname: NAS.home.arpa, ttl: 1h}") == Lines{"CNAME 3600 nas.home.arpa."});
  CHECK(records_of("{a: 192.168.1.10, mx: [\"10 mail.home.arpa\", \"20 b.home.arpa\"]}") ==
        Lines{"A 60 192.168.1.10", "MX 60 10 mail.home.arpa.", "MX 60 20 b.home.arpa."});
  CHECK(records_of("{srv: 0 0 631 printer.home.arpa}") == Lines{"SRV 60 0 0 631 printer.home.arpa."});
  CHECK(records_of("{caa: '0 issue \"ca.example\"'}") == Lines{"CAA 60 0 issue \"ca.example\""});
  CHECK(records_of("{ptr: nas.home.arpa}", "10.1.168.192.in-addr.arpa") == Lines{"PTR 60 nas.home.arpa."});
  CHECK(records_of("{ns: ns.home.arpa}") == Lines{"NS 60 ns.home.arpa."});
  CHECK(records_of("{https: 1 . alpn=h2}").size() == 1);
  CHECK(records_of("{svcb: 1 nas.home.arpa alpn=h2}").size() == 1);
  CHECK(records_of("{naptr: '10 100 \"S\" \"SIP+D2U\" \"\" _sip._udp.home.arpa'}").size() == 1);
}

TEST_CASE("Text is meant as it stands, but where it has quotes of its own") {
  CHECK(records_of("{txt: v=spf1 -all}") == Lines{"TXT 60 \"v=spf1 -all\""});
  CHECK(records_of("{txt: '\"one\" \"two\"'}") == Lines{"TXT 60 \"one\" \"two\""});
  CHECK(records_of("{txt: " + std::string(300, 'x') + "}") ==
        Lines{"TXT 60 \"" + std::string(255, 'x') + "\" \"" + std::string(45, 'x') + "\""});
}

TEST_CASE("A name of a local record is a name, or a '*.name'") {
  const auto names = settings_of("records: {NAS.home.arpa: 192.168.1.10, \"*.Dev.home.arpa\": 192.168.1.11}\n");
  REQUIRE(names.live.records.size() == 2);
  CHECK(names.live.records[0].owner.to_string() == "nas.home.arpa");
  CHECK_FALSE(names.live.records[0].is_wildcard);
  CHECK(names.live.records[1].owner.to_string() == "dev.home.arpa");
  CHECK(names.live.records[1].is_wildcard);
  CHECK(problems_of("records: {a.*.example: 192.0.2.1}\n") ==
        "2:11: 'a.*.example' is not a name or '*.name'; a '*' stands for whole labels at the left only\n");
}

TEST_CASE("What is no record is told with one that would be") {
  CHECK_FALSE(problems_of("records: {a.example: b.example}\n").empty());  // {cname: b.example} would be
  CHECK(problems_of("records: {a.example: []}\n").find("no address") != std::string::npos);
  CHECK(problems_of("records: {a.example: {}}\n").find("no record; addresses") != std::string::npos);
  CHECK(problems_of("records: {a.example: {mx: b.example}}\n") ==
        "2:27: 'b.example' is not the data of a record of type MX; '10 mail.home.arpa' would be\n");
  CHECK(problems_of("records: {a.example: {a: \"fd00::1\"}}\n").find("'192.168.1.10' would be") != std::string::npos);
  CHECK(problems_of("records: {a.example: {mxx: b.example}}\n").find("did you mean 'mx'?") != std::string::npos);
  CHECK(problems_of("records: {a.example: {cname: b.example, txt: x}}\n").find("has nothing else") !=
        std::string::npos);
  CHECK(problems_of("records: {a.example: {cname: b.example, ttl: 30d}}\n").find("30d") != std::string::npos);
  const std::string circle = problems_of(
      "records:\n  a.example: {cname: b.example}\n  b.example: {cname: c.example}\n  c.example: {cname: b.example}\n");
  CHECK(circle ==
        "4:3: the 'cname' of 'b.example' leads back to it\n5:3: the 'cname' of 'c.example' leads back to it\n");
}

TEST_CASE("Hosts files are paths, one or several") {
  CHECK(settings_of("hosts_files: /etc/hosts\n").live.hosts_files.size() == 1);
  CHECK(settings_of("hosts_files: [/etc/hosts, /etc/hosts.lan]\n").live.hosts_files.size() == 2);
  CHECK_FALSE(problems_of("hosts_files: {a: b}\n").empty());
}

TEST_CASE("Devices have names in a domain of the operator's") {
  CHECK_FALSE(settings_of("").live.local_domain);
  CHECK(settings_of("local_domain: Home.arpa\n").live.local_domain->to_string() == "home.arpa");
  CHECK(problems_of("local_domain: .\n").find("home.arpa would be") != std::string::npos);
}
