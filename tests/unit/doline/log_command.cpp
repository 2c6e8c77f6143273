#include "doline/log_command.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "doline/exit_status.h"
#include "place_file.h"
#include "unit/querylog/day.h"

using namespace doline;
using nlohmann::json;
using querylog::samples::Day;
using querylog::samples::morning;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

const geo::ResolverBook& resolvers() {
  static const geo::ResolverBook book = geo::ResolverBook::read(
                                            "address,operator,country,protocols,hostname,note\n"
                                            "114.114.114.114,114DNS,CN,plain,,\n"
                                            "2400:3200::1,AliDNS,CN,plain,,\n"
                                            "8.8.8.8,Google,US,plain,,\n")
                                            .book;
  return book;
}

struct Said {
  int status = -1;
  std::string out, err;

  std::vector<json> objects() const {
    std::vector<json> found;
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) found.push_back(json::parse(line));
    return found;
  }
  /// What was asked, in the order shown.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const json& object : objects()) found.push_back(object.at("qname"));
    return found;
  }
};

/// Sets what is asked for.
using Asking = std::function<void(LogArguments& it)>;

void in_json(LogArguments& it) {
  it.json = true;
}

/// `doline log`, on this day's log.
Said log(const Day& day, const Asking& ask) {
  LogArguments arguments;
  arguments.database = day.file;
  ask(arguments);
  std::ostringstream out, err;
  const int status = run_log(arguments, {resolvers(), {}}, day.clock, out, err);
  return {status, out.str(), err.str()};
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("each option of doline log finds what it names") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  const auto shown = [&](const Asking& ask) { return log(day, [&](auto& it) { in_json(it), ask(it); }).names(); };
  CHECK(shown([](auto&) {}).size() == 8);
  CHECK(shown([](auto& it) { it.devices = {"wyze-base"}, it.since = "24h"; }) ==
        Names{"api.wyze.com", "api.wyze.com", "log.aliyun.com"});
  CHECK(shown([](auto& it) { it.devices = {"wyze-base", "phone"}; }).size() == 6);
  CHECK(shown([](auto& it) { it.groups = {"guests"}; }) == Names{"www.wyze.com"});
  CHECK(shown([](auto& it) { it.names = {"ADS.example.com."}; }) == Names{"ads.example.com"});
  CHECK(shown([](auto& it) { it.names = {"*.wyze.com"}; }) == Names{"api.wyze.com", "api.wyze.com", "www.wyze.com"});
  CHECK(shown([](auto& it) { it.types = {"aaaa"}; }) == Names{"www.example.com"});
  CHECK(shown([](auto& it) { it.types = {"TYPE28"}; }) == Names{"www.example.com"});
  CHECK(shown([](auto& it) { it.verdicts = {"block", "NXDOMAIN"}; }) == Names{"log.aliyun.com", "ads.example.com"});
  CHECK(shown([](auto& it) { it.clients = {"fd00:0::104"}; }) == Names{"log.aliyun.com"});
  CHECK(shown([](auto& it) { it.meant_for = {"2400:3200::1"}; }) == Names{"api.wyze.com"});
  CHECK(shown([](auto& it) { it.meant_for = {"alidns"}; }) == Names{"api.wyze.com"});
  CHECK(shown([](auto& it) { it.meant_for = {"operator:114DNS"}; }) == Names{"api.wyze.com", "log.aliyun.com"});
  CHECK(shown([](auto& it) { it.meant_for = {"country:cn"}; }).size() == 3);
  CHECK(shown([](auto& it) { it.meant_for = {"Google"}; }).empty());
  CHECK(shown([](auto& it) { it.answers = {"192.0.2.1"}; }) == Names{"api.wyze.com", "www.example.com"});
  CHECK(shown([](auto& it) { it.intercepted = true; }).size() == 3);
  CHECK(shown([](auto& it) { it.since = "3h"; }) == Names{"ads.example.com", "www.wyze.com", "laptop.example.org"});
  CHECK(shown([](auto& it) { it.since = "2026-11-25T08:00Z", it.until = "2026-11-25 10:00"; }) ==
        Names{"www.example.com", "www.example.com"});
  CHECK(shown([](auto& it) { it.limit = 2; }) == Names{"www.wyze.com", "laptop.example.org"});
  CHECK(shown([](auto& it) { it.limit = 0; }).size() == 8);
}

TEST_CASE("without a time, the newest hundred are shown, and with one, all") {
  Day day;
  for (int number = 0; number < 150; ++number)
    day.ask(morning + milliseconds(number), Day::phone, std::to_string(number) + ".example");
  day.writer->flush();
  const auto newest = log(day, in_json).names();
  REQUIRE(newest.size() == log_rows_default);
  CHECK(newest.front() == "50.example");
  CHECK(newest.back() == "149.example");
  CHECK(log(day, [](auto& it) { it.json = true, it.since = "24h"; }).names().size() == 150);
}

TEST_CASE("each line of --json has the fields that are promised") {
  Day day;
  day.household_asks();
  const auto objects = log(day, in_json).objects();
  REQUIRE(objects.size() == 8);
  for (const json& object : objects)
    for (const char* field :
         {"time", "device", "mac", "client", "original_destination", "known_as", "transport", "qname", "qtype",
          "verdict", "rule", "lists", "rcode", "answers", "upstream", "latency_us", "dnssec"}) {
      INFO(std::string(field));
      CHECK(object.contains(field));
    }
  const json& camera = objects[0];
  CHECK(camera["time"] == "2026-11-25T07:00:00.000000Z");
  CHECK(camera["device"] == "wyze-base");
  CHECK(camera["mac"] == "94:51:3d:13:9a:35");
  CHECK(camera["client"] == "192.168.50.104");
  CHECK(camera["original_destination"] == "114.114.114.114");
  CHECK(camera["original_port"] == 53);
  CHECK(camera["known_as"] == json({{"operator", "114DNS"}, {"country", "CN"}}));
  CHECK(camera["transport"] == "udp");
  CHECK(camera["qname"] == "api.wyze.com");
  CHECK(camera["qtype"] == "A");
  CHECK(camera["verdict"] == "forward");
  CHECK(camera["rule"] == "otherwise");
  CHECK(camera["lists"] == json::array());
  CHECK(camera["rcode"] == "NOERROR");
  CHECK(camera["answers"] == json::array({{{"name", "api.wyze.com"}, {"type", "A"}, {"rdata", "192.0.2.1"}}}));
  CHECK(camera["upstream"] == "9.9.9.9:53");
  CHECK(camera["latency_us"] == 12'345);
  CHECK(camera["dnssec"] == "unchecked");
  const json& blocked = objects[5];
  CHECK(blocked["rule"] == "lists");
  CHECK(blocked["original_destination"].is_null());
  CHECK(blocked["known_as"].is_null());
  CHECK(blocked["upstream"].is_null());
  const json& anonymous = objects[7];
  CHECK(anonymous["device"].is_null());
  CHECK(anonymous["mac"].is_null());
  CHECK(anonymous["client"].is_null());
}

TEST_CASE("what an option cannot mean is said, with what it could") {
  Day day;
  day.household_asks();
  const auto complains = [&](const Asking& ask, std::string_view about) {
    const Said said = log(day, ask);
    INFO(said.err);
    CHECK(said.status == exit_wrong_usage);
    CHECK(said.out.empty());
    CHECK(said.err.find(about) != std::string::npos);
  };
  complains([](auto& it) { it.since = "soon"; }, "--since soon: a time like 24h");
  complains([](auto& it) { it.until = "2026-02-30"; }, "--until 2026-02-30");
  complains([](auto& it) { it.clients = {"phone"}; }, "--client phone: no IP address");
  complains([](auto& it) { it.answers = {"1.2.3"}; }, "--answer 1.2.3: no IP address");
  complains([](auto& it) { it.types = {"QUUX"}; }, "--type QUUX: no record type");
  complains([](auto& it) { it.verdicts = {"maybe"}; }, "one of forward, block");
  complains([](auto& it) { it.names = {"a..b"}; }, "--name a..b");
  complains([](auto& it) { it.meant_for = {"nobody"}; }, "--meant-for nobody");
  complains([](auto& it) { it.limit = 1'000'001; }, "at most 1000000");
  complains([](auto& it) { it.follow = true, it.until = "now"; }, "--follow has no end");
  complains([](auto& it) { it.clients = {"\x1b[2J"}; }, "\\x1b[2J");
}

TEST_CASE("nothing found, no log, and a file that is no log have statuses and words of their own") {
  Day day;
  day.household_asks();
  const Said nothing = log(day, [](auto& it) { it.devices = {"fridge"}; });
  CHECK(nothing.status == exit_no);
  CHECK(nothing.err.find("Nothing found in " + day.file.string() + ".\n") == 0);
  CHECK(log(day, [](auto& it) { it.devices = {"fridge"}, it.json = true; }).err.empty());
  CHECK(log(day, [](auto& it) { it.devices = {"phone"}; }).status == exit_ok);

  LogArguments arguments;
  arguments.database = day.folder / "none.db";
  std::ostringstream out, err;
  CHECK(run_log(arguments, {resolvers(), {}}, day.clock, out, err) == exit_no_input);
  CHECK(err.str().find("none.db: no such file") != std::string::npos);
  CHECK(err.str().find("--database FILE") != std::string::npos);
}

TEST_CASE("addresses have country and AS as the databases say now, and rows are found by them") {
  ::setenv("TZ", "UTC0", 1);
  Day day;
  day.household_asks();
  const std::string file = tests::place_file(
      "192.0.2.1/32 CN AS4134\n"
      "192.0.2.4/32 DE AS4134\n"
      "114.114.114.0/24 CN AS174\n");
  const auto table = [&](geo::PlaceKind kind) {
    return *geo::PlaceTable::read({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, kind);
  };
  const KnownAddresses known{resolvers(), {table(geo::PlaceKind::country), table(geo::PlaceKind::asn)}};
  const auto shown = [&](const Asking& ask) {
    LogArguments arguments;
    arguments.database = day.file;
    ask(arguments);
    std::ostringstream out, err;
    const int status = run_log(arguments, known, day.clock, out, err);
    return Said{status, out.str(), err.str()};
  };
  const Said in_china = shown([](auto& it) { in_json(it), it.countries = {"cn"}; });
  CHECK(in_china.names() == Names{"api.wyze.com", "api.wyze.com", "log.aliyun.com", "www.example.com"});
  const json first = in_china.objects().front();
  CHECK(first["answers"][0]["country"] == "CN");
  CHECK(first["answers"][0]["asn"] == 4134);
  CHECK(first["original_country"] == "CN");
  CHECK(first["original_asn"] == 174);
  CHECK(shown([](auto& it) { in_json(it), it.asns = {4134}, it.countries = {"DE"}; }).names() == Names{"www.wyze.com"});
  CHECK(shown([](auto& it) { in_json(it), it.asns = {174}, it.limit = 1; }).names() == Names{"log.aliyun.com"});
  CHECK(shown([](auto& it) { in_json(it), it.countries = {"FR"}; }).status == exit_no);
  CHECK(shown([](auto& it) { it.countries = {"China"}; }).status == exit_wrong_usage);
  CHECK(shown([](auto& it) { it.countries = {"DE"}; }).out.find("192.0.2.4 (DE, AS4134)") != std::string::npos);
  const json nowhere =
      shown([](auto& it) { in_json(it), it.answers = {IpAddress::parse("192.0.2.5")->to_string()}; }).objects().front();
  CHECK(!nowhere["answers"][0].contains("country"));
}

TEST_CASE(
    "without databases of places the operators' countries count, as in rules, and what is not known is told once") {
  Day day;
  day.household_asks();
  const Said meant = log(day, [](auto& it) { in_json(it), it.countries = {"cn"}; });
  CHECK(meant.names() == log(day, [](auto& it) { in_json(it), it.meant_for = {"country:cn"}; }).names());
  CHECK(meant.names().size() == 3);
  CHECK(meant.err.find("`geo: {country: FILE}`") != std::string::npos);
  CHECK(log(day, [](auto& it) { it.countries = {"cn"}, it.meant_for = {"google"}; }).status == exit_no);
  const Said by_asn = log(day, [](auto& it) { it.asns = {4134}; });
  CHECK(by_asn.status == exit_no);
  CHECK(by_asn.err.find("`geo: {asn: FILE}`") != std::string::npos);
  CHECK(by_asn.err.find("country") == std::string::npos);
  CHECK(log(day, [](auto&) {}).err.empty());
}

TEST_CASE("a device and a group that the log does not know are told with the nearest that it does") {
  Day day;
  day.household_asks();
  const Said device = log(day, [](auto& it) { it.devices = {"wyzebase"}; });
  CHECK(device.status == exit_no);
  CHECK(device.err.find("There is no device 'wyzebase'; did you mean 'wyze-base'?") != std::string::npos);
  CHECK(log(day, [](auto& it) { it.groups = {"camera"}; }).err.find("did you mean 'cameras'?") != std::string::npos);
  const Said known = log(day, [](auto& it) { it.devices = {"wyze-base"}, it.until = "2020-01-01"; });
  CHECK(known.err.find("There is no") == std::string::npos);
}

TEST_CASE("names and lists that were chosen to harm a terminal do not reach it") {
  querylog::LogRow row;
  row.time = morning;
  row.device = "\x1b[31mcamera\n2026-11-25 forged";
  row.vendor = "\xff\xfe";
  row.qname = *dns::Name::parse("\\027[2J\\010.\\255.example");
  row.rule = "lists";
  row.lists = {"ads\x07"};
  row.answers.push_back({row.qname, dns::RecordType::txt, dns::RecordClass::in, {6, 0x1b, '[', '2', 'J', '"', 0xff}});
  const std::string line = to_json(row, {resolvers(), {}});
  for (const char letter : line) {
    const auto octet = static_cast<unsigned char>(letter);
    REQUIRE((octet >= 0x20 && octet < 0x7f));
  }
  const json object = json::parse(line);
  CHECK(object["device"] == row.device);
  CHECK(object["qname"] == "\\027[2J\\010.\\255.example");
  CHECK(object["lists"] == json::array({"ads\x07"}));

  Day day;
  day.ask(morning, Day::phone, "\\027[2J\\010.\\255.example");
  day.writer->flush();
  const Said table = log(day, [](auto&) {});
  CHECK(table.out.find("\\027[2j\\010.\\255.example") != std::string::npos);
  for (const char letter : table.out) REQUIRE((letter == '\n' || static_cast<unsigned char>(letter) >= 0x20));
}

namespace {

/// A stream whose text another thread may read.
class SharedText : public std::streambuf {
 public:
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 protected:
  int_type overflow(int_type letter) override {
    const std::lock_guard lock(mutex_);
    text_ += static_cast<char>(letter);
    return letter;
  }
  std::streamsize xsputn(const char* letters, std::streamsize count) override {
    const std::lock_guard lock(mutex_);
    text_.append(letters, static_cast<std::size_t>(count));
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

}  // namespace

TEST_CASE("--follow shows the last rows, then what comes, each once, until it is stopped") {
  Day day;
  day.household_asks();
  LogArguments arguments;
  arguments.database = day.file;
  arguments.follow = arguments.json = true;
  arguments.limit = 2;
  SharedText shared;
  std::ostream out(&shared);
  std::ostringstream err;
  int status = -1;
  std::jthread follower([&](std::stop_token stop) {
    status = run_log(arguments, {resolvers(), {}}, day.clock, out, err, std::move(stop));
  });
  const auto wait_for_lines = [&](long wanted) {
    for (int turn = 0; turn < 1'000; ++turn) {
      const std::string text = shared.text();
      if (std::count(text.begin(), text.end(), '\n') >= wanted) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  };
  CHECK(wait_for_lines(2));
  day.ask(morning + hours(6), Day::phone, "one.example");
  day.writer->flush();
  CHECK(wait_for_lines(3));
  day.ask(morning + hours(6) + minutes(1), Day::phone, "two.example");
  day.ask(morning + hours(6) + minutes(1), Day::phone, "three.example");
  day.writer->flush();
  CHECK(wait_for_lines(5));
  follower.request_stop();
  follower.join();
  CHECK(status == exit_ok);
  const Said said{status, shared.text(), err.str()};
  CHECK(said.names() == Names{"www.wyze.com", "laptop.example.org", "one.example", "two.example", "three.example"});
}
