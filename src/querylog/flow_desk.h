// FlowDesk: what devices connected to, set against what they had looked up, on its way into the query log.
//
// Owned by the log writer's thread, which sees every answer. A connection is held until the answers of its time have
// been seen, then judged, then written with the next batch; what conntrack counts of it is added as it comes. Of
// devices whose log is not full nothing is kept, and of none more than its share. Everything that waits is bounded;
// what has no room is counted as lost.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "flows/answer_book.h"
#include "flows/batch.h"
#include "flows/fair_share.h"
#include "flows/judge.h"
#include "querylog/legend.h"
#include "querylog/record.h"
#include "querylog/store.h"

namespace doline::querylog {

/// A record reaches the log writer when its response has left, and its ring is drained each twentieth of a second.
inline constexpr seconds flow_held{2};
inline constexpr std::size_t flows_held_max = 65'536;
inline constexpr std::size_t flows_pending_max = 20'000;  ///< judged, while the database cannot be written
inline constexpr std::size_t flows_counted_max = 65'536;  ///< connections of which octets are awaited
/// A connection that neither ends nor is counted any more is forgotten after this: its end was not told.
inline constexpr seconds flow_silent_max{600};

struct FlowOptions {
  int channel = -1;  ///< from the warden; taken over
  /// So long after the start nobody is accused: devices use addresses that they were given before we listened.
  seconds warm_up{3'600};
};

struct FlowStatistics {
  bool is_watching = false;  ///< the warden is there
  std::uint64_t seen = 0;    ///< new connections
  std::uint64_t without_lookup = 0;
  std::uint64_t written = 0;
  std::uint64_t repeated = 0;      ///< logged again: nobody answers
  std::uint64_t not_recorded = 0;  ///< by `log: none` or `anonymous`
  std::uint64_t left_out = 0;      ///< of devices that begin more than their share (flows/fair_share.h)
  std::optional<flows::FairShare::LeftOut> left_out_most;
  std::uint64_t lost = 0;        ///< on their way, or for want of room
  std::uint64_t unreadable = 0;  ///< logged packets that are none, or hold no query where one was looked for
  std::uint64_t audited = 0;     ///< queries to foreign resolvers, recorded as such
};

class FlowDesk {
 public:
  explicit FlowDesk(FlowOptions options);
  ~FlowDesk();
  FlowDesk(const FlowDesk&) = delete;
  FlowDesk& operator=(const FlowDesk&) = delete;

  /// Takes in what the warden has sent; queries that were seen are handed over as records. True: there may be more.
  bool read(const Moment& now, const std::shared_ptr<const Legend>& newest,
            const std::function<void(const Record&)>& record_query);
  /// A response that was sent to this device: `ttl` is the smallest of its answers.
  void learn(const Record& record, const device::Device& device, dns::Octets response, seconds ttl, const Moment& now);
  /// Before anything is read: what devices were told before the start and may still use. A log that cannot be read, or
  /// that has no answers, has none.
  void recall(const std::filesystem::path& log, const Moment& now);
  /// Records have been lost: an answer may be among them.
  void miss(const Moment& now);
  /// Judges what has been held long enough; `all`: at the end, what has not.
  void judge(const Moment& now, const std::shared_ptr<const Legend>& newest, bool all);

  [[nodiscard]] bool has_something() const { return !ready_.empty() || !changed_.empty(); }
  /// Half of what may wait does: it is to be written early.
  [[nodiscard]] bool is_filling() const { return ready_.size() >= flows_pending_max / 2; }
  /// The dictionary's id of who a device is; of one that nobody knows, its MAC.
  using DeviceRow =
      std::function<Store::Id(const Legend&, device::DeviceId, const IpAddress& client, const device::MacAddress&)>;
  /// Inside a transaction of the store.
  [[nodiscard]] Result<void, DatabaseFault> write(Store& store, const DeviceRow& device_row);
  /// Another file, or the same one opened anew: what is counted of rows written before finds them no more.
  void begin_anew();
  /// The transaction of the last write() is in the file.
  void have_written();
  [[nodiscard]] FlowStatistics statistics() const;

 private:
  struct Connection {
    WallTime time;
    MonotonicTime at{};
    device::MacAddress mac;
    std::string interface;
    flows::Tuple tuple;
    flows::Kind kind = flows::Kind::connection;
    bool matters_as_doh_only = false;
  };
  struct Judged {
    Connection connection;
    flows::Explanation explanation = flows::Explanation::not_known;
    std::optional<dns::Name> name;
    std::shared_ptr<const Legend> legend;
    device::DeviceId device;
  };
  struct Counted {
    std::int64_t number = 0;  // of the row; 0: not written yet
    std::optional<flows::Traffic> traffic;
    bool is_changed = false, has_ended = false, is_refused = false;
    bool gets_answers = false;  // that we do not see: as long as something passes
    device::MacAddress mac;
    MonotonicTime heard{};
  };

  void take(flows::LoggedPacket packet, const Moment& now, const Legend* newest,
            const std::function<void(const Record&)>& record_query);
  void take(const flows::TrafficReport& report, const Moment& now);
  void record_queries(const flows::LoggedPacket& packet, const Moment& now, const Legend* newest,
                      const std::function<void(const Record&)>& record_query);
  void judge_one(Connection connection, const std::shared_ptr<const Legend>& newest);
  /// It may get answers that we do not see, from then on and for a while.
  void note_elsewhere(const device::MacAddress& mac, const IpAddress& client, MonotonicTime at);
  [[nodiscard]] bool asks_elsewhere(const device::MacAddress& mac, const IpAddress& client, MonotonicTime at) const;
  void prune(const Moment& now);

  const FlowOptions options_;
  int channel_;
  std::vector<std::uint8_t> room_;
  std::vector<IpAddress> addresses_;
  flows::AnswerBook book_;
  flows::FairShare shares_;
  struct Span {
    MonotonicTime since{}, until{};
  };
  std::unordered_map<flows::Holder, Span, flows::HolderHash> elsewhere_;
  std::optional<MonotonicTime> began_;
  MonotonicTime blind_until_{}, next_prune_{};
  std::deque<Connection> held_;
  std::deque<Judged> ready_;
  std::unordered_map<flows::Tuple, Counted> counted_;
  std::vector<flows::Tuple> changed_;
  // Of the transaction under way.
  std::vector<std::int64_t> numbers_;
  std::size_t changes_written_ = 0;

  std::uint64_t lost_by_warden_ = 0;
  FlowStatistics statistics_;
};

}  // namespace doline::querylog
