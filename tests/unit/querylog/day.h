// A day of a household in a query log, through the real writer: what readers, and the commands that show it, are tried
// on.
#pragma once

#include "unit/querylog/samples.h"

namespace doline::querylog::samples {

/// A day of a household: the camera asks foreign resolvers, the phone asks us.
struct Day {
  Day() {
    Options options;
    options.path = folder / "x.db";
    options.flush_every = milliseconds(20);
    options.keep = std::chrono::hours(10'000);
    writer = std::make_unique<LogWriter>(options, std::vector<Ring*>{&ring}, clock, events.taker());
    writer->install(legend(1, roster));
    file = options.path;
  }

  void ask(WallTime time, std::string_view client, std::string_view qname, std::string_view answer = "",
           std::string_view destination = "", VerdictKind verdict = VerdictKind::forward,
           dns::RecordType qtype = dns::RecordType::a) {
    Record asked = record(*roster, time, client, qname, qtype);
    if (!destination.empty()) asked = intercepted(asked, destination);
    asked.verdict = verdict;
    if (verdict != VerdictKind::forward) {
      asked.rule = verdict == VerdictKind::block ? policy::lists_rule : policy::RuleId{2};
      asked.source = Source::synthesized;
      asked.upstream = {};
    }
    if (verdict == VerdictKind::nxdomain) asked.code = dns::ResponseCode::nxdomain;
    std::vector<std::uint8_t> octets;
    if (!answer.empty()) octets = response(qname, qtype, {a(std::string(qname), answer)}, asked.code);
    REQUIRE(ring.push(asked, octets));
  }

  void household_asks() {
    ask(morning, camera, "api.wyze.com", "192.0.2.1", "114.114.114.114");
    ask(morning + std::chrono::minutes(1), camera, "api.wyze.com", "192.0.2.2", "2400:3200::1");
    ask(morning + std::chrono::minutes(2), "fd00::104", "log.aliyun.com", "", "114.114.114.114", VerdictKind::nxdomain);
    ask(morning + std::chrono::hours(1), phone, "www.example.com", "192.0.2.1");
    ask(morning + std::chrono::hours(2), phone, "www.example.com", "2001:db8::1", "", VerdictKind::forward,
        dns::RecordType::aaaa);
    ask(morning + std::chrono::hours(3), phone, "ads.example.com", "0.0.0.0", "", VerdictKind::block);
    ask(morning + std::chrono::hours(4), "192.168.60.7", "www.wyze.com", "192.0.2.4");
    ask(morning + std::chrono::hours(5), "192.168.50.30", "laptop.example.org", "192.0.2.5");
    writer->flush();
  }

  std::vector<std::string> found(const LogFilter& filter, Order order = Order::oldest_first) const {
    std::vector<std::string> texts;
    for (const LogRow& row : rows(file, filter, order))
      texts.push_back(std::to_string(std::chrono::floor<std::chrono::minutes>(row.time - morning).count()) + " " +
                      row.qname.to_string());
    return texts;
  }

  static constexpr const char* camera = "192.168.50.104";
  static constexpr const char* phone = "192.168.50.105";
  Folder folder;
  WallClock clock{morning + std::chrono::hours(6)};
  std::shared_ptr<const device::Roster> roster = household();
  Events events;
  Ring ring;
  std::unique_ptr<LogWriter> writer;
  std::filesystem::path file;
};

}  // namespace doline::querylog::samples
