// What `doline log` and `doline devices` print, as a table and as JSON, of a day in a household, and of a hostile one.
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "doline/devices_command.h"
#include "doline/log_command.h"
#include "golden/golden.h"
#include "unit/querylog/day.h"

using namespace doline;
using querylog::samples::Day;
using querylog::samples::morning;
using tests::is_golden;

namespace {

const geo::ResolverBook& resolvers() {
  static const geo::ResolverBook book = geo::ResolverBook::read(
                                            "address,operator,country,protocols,hostname,note\n"
                                            "114.114.114.114,114DNS,CN,plain,,\n"
                                            "2400:3200::1,AliDNS,CN,plain,,\n")
                                            .book;
  return book;
}

std::string log(const Day& day, bool json) {
  LogArguments arguments;
  arguments.database = day.file;
  arguments.json = json;
  std::ostringstream out, err;
  CHECK(run_log(arguments, {resolvers(), {}}, day.clock, out, err) == 0);
  CHECK(err.str().empty());
  return out.str();
}

std::string devices(const Day& day, bool json) {
  DevicesArguments arguments;
  arguments.database = day.file;
  arguments.json = json;
  std::ostringstream out, err;
  CHECK(run_devices(arguments, resolvers(), device::Roster(), day.clock, out, err) == 0);
  CHECK(err.str().empty());
  return out.str();
}

void live_in_utc() {
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
}

}  // namespace

TEST_CASE("a household's day, as a table and as JSON") {
  live_in_utc();
  Day day;
  day.household_asks();
  CHECK(is_golden("commands/log.txt", log(day, false)));
  CHECK(is_golden("commands/log.json", log(day, true)));
  CHECK(is_golden("commands/devices.txt", devices(day, false)));
  CHECK(is_golden("commands/devices.json", devices(day, true)));
}

TEST_CASE("a row with everything in it, chosen to harm whoever looks at it") {
  live_in_utc();
  querylog::LogRow row;
  row.time = morning;
  row.device = "cam\x1b[31mera\r\nforged \xe2\x80\xae";
  row.mac = device::MacAddress::parse("94:51:3d:13:9a:35");
  row.vendor = "\xff";
  row.groups = {"cameras"};
  row.client = querylog::samples::address("fd00::104");
  row.original_destination = {querylog::samples::address("2400:3200::1"), 5353};
  row.destination_source = device::DestinationSource::tproxy;
  row.transport = querylog::Transport::tcp;
  row.qname = *dns::Name::parse("\\027[2j.\\\"quoted\\\".example");
  row.qtype = static_cast<dns::RecordType>(65'280);
  row.verdict = querylog::VerdictKind::block;
  row.rule = "lists";
  row.lists = {"ads", "tele\x07metry"};
  row.observed = querylog::VerdictKind::refuse;
  row.observed_rule = "doline.yml:42";
  row.source = querylog::Source::stale;
  row.code = static_cast<dns::ResponseCode>(23);
  row.answers = {
      {row.qname, dns::RecordType::cname, dns::RecordClass::in, {1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0}},
      {*dns::Name::parse("a.example"), dns::RecordType::txt, dns::RecordClass::in, {5, 0x1b, '"', '\\', 0xff, '\n'}},
      {*dns::Name::parse("a.example"), dns::RecordType::aaaa, dns::RecordClass::in, {1, 2, 3}}};
  row.answers_shortened = true;
  row.ttl = 60;
  row.upstream = {querylog::samples::address("2620:fe::fe"), 853};
  row.latency_us = 4'294'967'295;
  row.dnssec = querylog::Dnssec::upstream_said_secure;
  CHECK(is_golden("commands/hostile.json", to_json(row, {resolvers(), {}}) + "\n"));
}
