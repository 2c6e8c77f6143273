// A story: one scenario as text, read. README.md beside it tells the language; the stage carries it out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "dns/code.h"
#include "dns/presentation.h"
#include "dns/question.h"
#include "policy/lock.h"
#include "querylog/record.h"
#include "scenario/fakes.h"
#include "upstream/exchange.h"

namespace doline::tests {

// ── steps: what happens ──────────────────────────────────────────────────────────────────────────────────────────────

/// `tv asks www.example A, over tcp, with edns do, meant for 8.8.8.8`
struct Asks {
  std::string client;
  std::vector<dns::Question> questions;  ///< more than one: a name with a range, n{1-512}.example
  bool over_tcp = false;
  bool recursion_desired = true, authentic_data = false, checking_disabled = false;
  bool has_edns = false, dnssec_ok = false, has_cookie = false;
  std::uint16_t payload_size = 1232;
  std::uint8_t version = 0;
  std::optional<Endpoint> meant_for;
  std::string interface;                                                     ///< `by br-guest`
  std::vector<std::pair<std::uint16_t, std::vector<std::uint8_t>>> options;  ///< of EDNS, beside the cookie
};
/// `tv sends 1234 0100 0001`: octets that need be no query
struct Sends {
  std::string client;
  std::vector<std::uint8_t> octets;
  bool over_tcp = false;
};
/// `upstream answers NXDOMAIN, to www.example A, with ad` and records below it
struct Answers {
  dns::ResponseCode code = dns::ResponseCode::noerror;
  std::optional<dns::Question> to;
  bool authentic_data = false;
  std::optional<dns::ExtendedError> error;
  std::string error_text;
  std::vector<Said> records;
};
/// `upstream fails timeout, to www.example A`
struct Fails {
  upstream::ExchangeFault fault = upstream::ExchangeFault::timeout;
  std::optional<dns::Question> to;
  bool all = false;
};
/// `wait 30s`
struct Passes {
  microseconds time{0};
};
/// `the clock is set to 2026-01-05 21:30`
struct ClockIsSet {
  WallTime wall;
};
/// `reload:` and a new configuration below it
struct Reloads {
  std::string configuration;
  int line = 0;  ///< of its first line
};
/// `the kernel sees 94:51:3d:13:9a:35 at 192.168.1.77`
struct KernelSees {
  device::MacAddress mac;
  IpAddress address;
};
/// `DEVICE is locked to NAME =NAME...` (`, observing`), `DEVICE is unlocked`
struct Locks {
  std::string device;
  bool is_end = false;
  policy::Lock lock;
};
/// `the log is full`, `the log has room`
struct LogIs {
  bool full = false;
};

// ── steps: what must be so ───────────────────────────────────────────────────────────────────────────────────────────

/// `upstream is asked www.example A, of router, with do cd`
struct IsAsked {
  dns::Question question;
  std::string route = "default";
  bool dnssec_ok = false, checking_disabled = false;
};
/// `upstream is not asked`
struct IsNotAsked {};
/// `tv gets NOERROR, flags rd ra ad, 3 times` and records below it
struct Gets {
  std::string client;
  dns::ResponseCode code = dns::ResponseCode::noerror;
  std::string flags = "rd ra";
  int times = 1;
  std::vector<Said> records;
  std::optional<std::pair<std::uint16_t, std::optional<std::string>>> extended_error;
};
/// `tv waits`: all it asked and did not get waits for upstream
struct Waits {
  std::string client;
};
/// `tv gets nothing`: what it asked last was dropped
struct GetsNothing {
  std::string client;
};
/// `recorded: tv www.example A block, by rule 1, listed in ads, meant for 8.8.8.8, from synthesized`
struct Recorded {
  std::string client;
  dns::Question question;
  querylog::VerdictKind verdict = querylog::VerdictKind::forward;
  std::optional<std::string> rule;  ///< `1`: the first of the file, `lists` or `otherwise`
  std::vector<std::string> listed;
  std::optional<std::pair<querylog::VerdictKind, std::string>> observed;  ///< and its rule
  std::optional<Endpoint> meant_for;
  std::optional<querylog::Source> source;
  std::optional<dns::ResponseCode> code;
  std::optional<std::string> device;
  std::optional<microseconds> latency;
  bool over_tcp = false;
  bool is_anonymous = false;
  bool is_withheld = false;
};
/// `nothing is recorded`
struct IsNotRecorded {};
/// `DEVICE raises an alarm for NAME`
struct IsAlarmed {
  std::string device, name;
};
/// `192.168.1.77 is reported as unknown`
struct IsReported {
  IpAddress client;
};

struct Step {
  int line = 0;
  std::variant<Asks, Sends, Answers, Fails, Passes, ClockIsSet, KernelSees, Reloads, Locks, LogIs, IsAsked, IsNotAsked,
               Gets, Waits, GetsNothing, Recorded, IsNotRecorded, IsReported, IsAlarmed>
      what;
};

struct Story {
  std::string file, title;
  std::string configuration;
  int configuration_line = 0;
  std::map<std::string, IpAddress> clients;
  std::map<std::string, std::string> files;  ///< beside the configuration, by name
  std::vector<Step> steps;
};

/// The fault is a sentence with its place: `stories/a.scenario:12: …`.
[[nodiscard]] Result<Story, std::string> read_story(std::string_view text, const std::string& file);

}  // namespace doline::tests
