// LogReader: questions to the query log, on a read-only connection of its own.
//
// It never holds up the writer: rows are fetched in pages, and no read is open while they are handed over, however
// slowly the taker takes them. Segments of which their head says that nothing matches are passed over. One thread. Any
// process may read while another writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "device/destination.h"
#include "device/mac_address.h"
#include "dns/code.h"
#include "dns/name.h"
#include "querylog/answers.h"
#include "querylog/database.h"
#include "querylog/record.h"

namespace doline::querylog {

struct NameFilter {
  dns::Name name;
  bool below = false;  ///< `*.name`: what is below it, else it alone
};

/// All that is present must match; inside one, any value matches. An empty one is absent.
struct LogFilter {
  std::vector<std::string> devices;      ///< names, as they were then
  std::vector<device::MacAddress> macs;  ///< or of these MACs: one condition with the names
  std::vector<std::string> groups;
  std::vector<NameFilter> names;
  std::vector<dns::RecordType> types;
  std::vector<VerdictKind> verdicts;
  std::vector<IpAddress> clients;
  std::vector<IpAddress> meant_for;  ///< original destinations
  std::vector<IpAddress> answers;    ///< addresses that were answered
  bool only_intercepted = false;
  std::optional<WallTime> since;  ///< inclusive
  std::optional<WallTime> until;  ///< exclusive
};

struct LogRow {
  std::uint64_t number = 0;  ///< grows with each row that is written; no two rows of a file have one
  WallTime time;             ///< of receipt
  std::string device;        ///< empty: anonymous
  std::optional<device::MacAddress> mac;
  std::string vendor;
  std::vector<std::string> groups;
  std::optional<IpAddress> client;               ///< absent: anonymous
  std::optional<Endpoint> original_destination;  ///< absent: it meant to ask us
  device::DestinationSource destination_source = device::DestinationSource::local;
  Transport transport = Transport::udp;
  dns::Name qname;  ///< small letters
  dns::RecordType qtype = dns::RecordType::a;
  VerdictKind verdict = VerdictKind::forward;
  std::string rule;  ///< `doline.yml:42`, `lists`, `otherwise`; empty where nothing was decided
  std::vector<std::string> lists;
  std::optional<VerdictKind> observed;
  std::string observed_rule;
  Source source = Source::none;
  dns::ResponseCode code = dns::ResponseCode::noerror;
  std::vector<Answer> answers;
  std::vector<Answer> withheld;  ///< what upstream said and the verdict kept from the client; then `answers` is empty
  bool answers_shortened = false;
  std::optional<std::uint32_t> ttl;  ///< the smallest of the answers
  std::optional<Endpoint> upstream;
  std::uint32_t latency_us = 0;
  Dnssec dnssec = Dnssec::unchecked;
};

struct ForeignResolver {
  Endpoint endpoint;
  std::uint64_t queries = 0;
};

/// A device as it was, at one address, from when to when.
struct Stay {
  std::string name, vendor, hostname;
  std::optional<device::MacAddress> mac;
  std::vector<std::string> groups;
  std::optional<IpAddress> address;
  WallTime first, last;
  std::uint64_t queries = 0;  ///< 0: it was only seen there
};

struct DeviceSummary {
  std::string name;  ///< the newest; empty: all anonymous ones together
  std::optional<device::MacAddress> mac;
  std::string vendor;
  std::string hostname;
  std::vector<std::string> groups;
  std::vector<device::MacAddress> macs;  ///< all of it, the newest first
  std::vector<IpAddress> addresses;      ///< latest first
  WallTime first_seen, last_seen;        ///< of what is still kept
  std::uint64_t queries = 0;
  std::uint64_t intercepted = 0;
  std::uint64_t not_forwarded = 0;            ///< blocked, rewritten, refused, ...
  std::vector<ForeignResolver> meant_to_ask;  ///< most asked first
};

struct ListHits {
  std::optional<WallTime> since;                        ///< the oldest query that is kept; absent: there is none
  std::unordered_map<std::string, std::uint64_t> hits;  ///< by the list's name: queries that it had a word on
};

/// Of devices that asked or were seen, as far as rows of them are kept.
struct KnownNames {
  std::set<std::string> devices, groups;
};

enum class Order : std::uint8_t { newest_first, oldest_first };

class LogReader {
 public:
  using SlotOf = std::function<std::uint32_t(WallTime)>;

  static Result<LogReader, DatabaseFault> open(const std::filesystem::path& file);
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;
  ~LogReader();

  /// Calls `take` for each match until it returns false or there is no more. How many it was called for.
  [[nodiscard]] Result<std::uint64_t, DatabaseFault> read(const LogFilter& filter, Order order,
                                                          const std::function<bool(const LogRow&)>& take);
  /// The same rows in no order, at a fraction of the cost: those are handed over together, with their number, that
  /// are alike in who asked for what and whom it was meant for, in verdict (of a rewrite also the rule), lists and
  /// answer, and in what `slot_of` says of their times. Of the rest of a row nothing is said but the time of one of
  /// them; `cache` and `stale` are told as `upstream`, without server. Here a read is open meanwhile: `take` is to be
  /// quick.
  [[nodiscard]] Result<std::uint64_t, DatabaseFault> read_alike(
      const LogFilter& filter, const SlotOf& slot_of,
      const std::function<bool(const LogRow&, std::uint64_t rows)>& take);
  /// From the end of the log on: each call hands over, oldest first, what was written since the call before. Late
  /// records, which waited for an upstream, come too, each once. The filter's `since` and `until` are not looked at.
  [[nodiscard]] Result<std::uint64_t, DatabaseFault> follow(const LogFilter& filter,
                                                            const std::function<bool(const LogRow&)>& take);
  /// So far: how many segments' rows were looked at, where their heads alone did not say that none matches.
  [[nodiscard]] std::uint64_t segments_read() const;
  /// Every device that asked or was seen, latest first. Devices with one MAC are one, whatever they were called; and
  /// so are those with MACs of which `same` says so.
  [[nodiscard]] Result<std::vector<DeviceSummary>, DatabaseFault> devices(
      const std::vector<std::vector<device::MacAddress>>& same = {});
  [[nodiscard]] Result<KnownNames, DatabaseFault> known_names();
  /// Where those were that had this name or one of these MACs, and under which names these MACs else were; by time. A
  /// pause of a day ends a stay.
  [[nodiscard]] Result<std::vector<Stay>, DatabaseFault> history(const std::string& name,
                                                                 const std::vector<device::MacAddress>& macs);
  /// How often each list named the name asked for, or the one that the answer led to, whether or not it decided; of
  /// several listed names above it the longest counts.
  [[nodiscard]] Result<ListHits, DatabaseFault> list_hits();

 private:
  struct Impl;
  explicit LogReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::querylog
