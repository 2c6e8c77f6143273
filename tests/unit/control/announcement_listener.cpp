#include "control/announcement_listener.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "announcing.h"
#include "run_until.h"
#include "small_network.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;

TEST_CASE("announcements of the LAN are heard in both families, and nothing else") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!has_private_network()) return "no private network";
          Loop loop;
          const SystemClock clock;
          std::vector<std::string> heard;
          AnnouncementListener listener(loop, clock, {}, [&](const IpAddress& source, const dns::Announcement& said) {
            for (const auto& host : said.hosts) heard.push_back(source.to_string() + " " + host.name.to_string());
          });
          if (listener.joined() != 4) return "joined " + std::to_string(listener.joined()) + listener.failure();
          if (!send_v4(announcement("strange.local"), 1'234)) return "nothing was sent";
          if (!send_v4({1, 2, 3}, mdns_port)) return "no nonsense was sent";
          if (!send_v4(announcement("speaker.local"), mdns_port)) return "nothing was sent by IPv4";
          if (!run_until(loop, [&] { return !heard.empty(); })) return "nothing was heard by IPv4";
          for (const std::string& one : heard)
            if (one != "192.168.7.2 speaker.local") return "heard " + one;
          heard.clear();
          if (!send_v6(announcement("printer.local"))) return "nothing was sent by IPv6";
          if (!run_until(loop, [&] { return !heard.empty(); })) return "nothing was heard by IPv6";
          if (heard[0] != "fd07::2 printer.local") return "heard " + heard[0];
          return "";
        }) == "");
}

TEST_CASE("it hears on the interfaces that were named, alone, and beside another that listens there") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!has_private_network()) return "no private network";
          Loop loop;
          const SystemClock clock;
          int first = 0, second = 0;
          const AnnouncementListener one(loop, clock, {"lan0"}, [&](const auto&, const auto&) { ++first; });
          const AnnouncementListener other(loop, clock, {"lan0", "none"}, [&](const auto&, const auto&) { ++second; });
          const AnnouncementListener none(loop, clock, {"none"}, [](const auto&, const auto&) {});
          if (one.joined() != 2 || other.joined() != 2) return "not joined: " + one.failure() + other.failure();
          if (none.joined() != 0 || !none.failure().empty()) return "it joined nothing, and fails";
          if (!send_v4(announcement("speaker.local"), mdns_port)) return "nothing was sent";
          if (!run_until(loop, [&] { return first == 1 && second == 1; })) return "not both heard it";
          return "";
        }) == "");
}

TEST_CASE("a flood is not looked at for ever") {
  CHECK(tests::in_small_network([]() -> std::string {
          if (!has_private_network()) return "no private network";
          struct Still final : Clock {
            [[nodiscard]] Moment now() const override { return {MonotonicTime(seconds(100)), WallTime(seconds(1))}; }
          };
          Loop loop;
          const Still clock;
          int heard = 0;
          const AnnouncementListener listener(loop, clock, {"lan0"}, [&](const auto&, const auto&) { ++heard; });
          for (int i = 0; i < announcements_a_second_max + 50; ++i) {
            if (!send_v4(announcement("speaker.local"), mdns_port)) return "not sent";
            if (i % 50 == 0) settle(loop, milliseconds(5));
          }
          settle(loop, milliseconds(100));
          return heard == announcements_a_second_max ? "" : "looked at " + std::to_string(heard);
        }) == "");
}
