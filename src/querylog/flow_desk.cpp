#include "querylog/flow_desk.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "flows/packet.h"
#include "policy/answer.h"
#include "querylog/recent_answers.h"

namespace doline::querylog {

namespace {

constexpr int batches_at_once = 256;
constexpr seconds prune_every{60};
constexpr std::size_t elsewhere_max = 4'096;
constexpr std::uint16_t https_port = 443;
/// A wall clock that was set meanwhile must not make an event ages old.
constexpr seconds late_at_most{10};

/// On the clock that does not jump.
MonotonicTime monotonic_of(WallTime time, const Moment& now) {
  return now.monotonic - std::clamp<microseconds>(now.wall - time, microseconds(0), late_at_most);
}

/// By its address, as of a query; else by its MAC: of an address that nobody has told us of yet.
const device::Device& identify(const device::Roster& roster, const IpAddress& client, const device::MacAddress& mac) {
  const device::Device& device = roster.identify(client);
  if (device.id.value != 0 || mac.is_zero()) return device;
  const device::Device* const known = roster.find(mac);
  return known != nullptr ? *known : device;
}

/// Who sent a packet: links without MAC addresses tell only the address.
flows::Holder holder_of(const device::MacAddress& mac, const IpAddress& client) {
  return mac.is_zero() ? flows::Holder::of(client) : flows::Holder::of(mac);
}

bool is_refused(const Legend& legend, const IpAddress& client, const device::MacAddress& mac) {
  return legend.refuses_encrypted(identify(*legend.roster, client, mac).id);
}

/// Does it lead, by the port of DoH, to what the device was given for the name of such a server?
bool is_doh(const flows::Tuple& tuple, const dns::Name& name, const Legend& legend) {
  const bool is_by_port =
      tuple.destination.port == https_port && (tuple.protocol == IPPROTO_TCP || tuple.protocol == IPPROTO_UDP);
  return is_by_port && legend.doh && legend.doh->hold(name, *legend.lists);
}

}  // namespace

FlowDesk::FlowDesk(FlowOptions options)
    : options_(options), channel_(options.channel), room_(flows::batch_octets_max) {}

FlowDesk::~FlowDesk() {
  if (channel_ >= 0) ::close(channel_);
}

// ── what comes ───────────────────────────────────────────────────────────────────────────────────────────────────────

bool FlowDesk::read(const Moment& now, const std::shared_ptr<const Legend>& newest,
                    const std::function<void(const Record&)>& record_query) {
  if (!began_) began_ = now.monotonic;
  if (now.monotonic >= next_prune_) prune(now);
  for (int batches = 0; batches < batches_at_once; ++batches) {
    if (channel_ < 0) return false;
    const ssize_t size = ::recv(channel_, room_.data(), room_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (size <= 0) {  // the warden is gone
      ::close(std::exchange(channel_, -1));
      return false;
    }
    auto batch = flows::parse_batch({room_.data(), static_cast<std::size_t>(size)});
    if (!batch) {
      ++statistics_.unreadable;
      continue;
    }
    lost_by_warden_ = batch->lost;
    for (flows::Event& event : batch->events)
      if (auto* packet = std::get_if<flows::LoggedPacket>(&event))
        take(std::move(*packet), now, newest.get(), record_query);
      else
        take(std::get<flows::TrafficReport>(event), now);
  }
  return true;
}

void FlowDesk::take(flows::LoggedPacket packet, const Moment& now, const Legend* newest,
                    const std::function<void(const Record&)>& record_query) {
  if (packet.rule == flows::LoggedBy::query) return record_queries(packet, now, newest, record_query);
  const auto parsed = flows::parse_packet(packet.octets);
  if (!parsed) {
    ++statistics_.unreadable;
    return;
  }
  if (packet.rule == flows::LoggedBy::refused) {
    if (const auto known = counted_.find(parsed->tuple); known != counted_.end()) known->second.is_refused = true;
    return;
  }
  const MonotonicTime at = monotonic_of(packet.time, now);
  const flows::Kind kind = flows::kind_of(packet.rule);
  const bool gets_answers =
      kind == flows::Kind::plain_dns ||
      (kind == flows::Kind::encrypted_dns && newest && !is_refused(*newest, parsed->tuple.client.address, packet.mac));
  if (gets_answers) note_elsewhere(packet.mac, parsed->tuple.client.address, at);
  if (const auto known = counted_.find(parsed->tuple); known != counted_.end() && !known->second.has_ended) {
    known->second.heard = now.monotonic;
    ++statistics_.repeated;
    return;
  }
  const bool matters_as_doh_only = packet.rule == flows::LoggedBy::https;
  if (!matters_as_doh_only) ++statistics_.seen;
  if (!shares_.take(holder_of(packet.mac, parsed->tuple.client.address), at)) return;
  if (held_.size() >= flows_held_max) {
    ++statistics_.lost;
    return;
  }
  if (counted_.size() < flows_counted_max) {
    Counted& counted = counted_[parsed->tuple];
    counted = {};
    counted.heard = now.monotonic;
    counted.gets_answers = gets_answers;
    counted.mac = packet.mac;
  }
  held_.push_back({packet.time, at, packet.mac, std::move(packet.interface), parsed->tuple, kind, matters_as_doh_only});
}

void FlowDesk::take(const flows::TrafficReport& report, const Moment& now) {
  const auto known = counted_.find(report.tuple);
  if (known == counted_.end()) return;  // not a new connection of a device, or one of before we watched
  Counted& counted = known->second;
  counted.heard = now.monotonic;
  counted.has_ended = report.has_ended;
  if (counted.traffic == report.traffic && !report.has_ended) return;
  if (counted.gets_answers) note_elsewhere(counted.mac, report.tuple.client.address, now.monotonic);
  counted.traffic = report.traffic;
  if (std::exchange(counted.is_changed, true)) return;
  if (counted.number != 0) changed_.push_back(report.tuple);
}

void FlowDesk::record_queries(const flows::LoggedPacket& packet, const Moment& now, const Legend* newest,
                              const std::function<void(const Record&)>& record_query) {
  const auto parsed = flows::parse_packet(packet.octets);
  const auto questions = parsed ? flows::questions_of(*parsed) : std::vector<dns::Question>();
  if (questions.empty() || newest == nullptr) {
    ++statistics_.unreadable;
    return;
  }
  const IpAddress& client = parsed->tuple.client.address;
  note_elsewhere(packet.mac, client, monotonic_of(packet.time, now));
  const device::Device& device = identify(*newest->roster, client, packet.mac);
  Record record;
  record.time = packet.time;
  record.generation = newest->generation;
  record.device = device.id;
  record.log = newest->roster->log_choice(device, newest->roster->groups_of(device, client));
  record.client = client;
  record.destination = {parsed->tuple.destination, device::DestinationSource::seen};
  record.transport = parsed->tuple.protocol == IPPROTO_TCP ? Transport::tcp : Transport::udp;
  record.verdict = VerdictKind::audited;
  for (const dns::Question& question : questions) {
    record.qname = question.qname;
    record.qtype = question.qtype;
    record_query(record);
    ++statistics_.audited;
  }
}

void FlowDesk::learn(const Record& record, const device::Device& device, dns::Octets response, seconds ttl,
                     const Moment& now) {
  if (record.log != device::LogChoice::full) return;
  policy::collect_addresses(response, addresses_);
  const flows::Holder holder =
      device.macs.empty() ? flows::Holder::of(record.client) : flows::Holder::of(device.macs.front());
  book_.give(holder, record.qname, addresses_, ttl, monotonic_of(record.time, now));
}

void FlowDesk::recall(const std::filesystem::path& log, const Moment& now) {
  auto reader = LogReader::open(log);
  if (!reader) return;
  static_cast<void>(recall_answers(*reader, {}, now.wall, [&](const RecentAnswer& answer) {
    const MonotonicTime at = now.monotonic - std::max(now.wall - answer.time, microseconds(0));
    const auto holder = answer.mac ? flows::Holder::of(*answer.mac) : flows::Holder::of(answer.client);
    return book_.recall(holder, answer.name, answer.addresses, answer.ttl, at, now.monotonic);
  }));
}

void FlowDesk::miss(const Moment& now) {
  blind_until_ = now.monotonic + flows::answer_grace;
}

void FlowDesk::note_elsewhere(const device::MacAddress& mac, const IpAddress& client, MonotonicTime at) {
  const flows::Holder holder = holder_of(mac, client);
  if (elsewhere_.size() >= elsewhere_max && !elsewhere_.contains(holder)) return;
  Span& span = elsewhere_[holder];
  if (at > span.until) span.since = at;
  span.until = std::max(span.until, at + flows::answer_grace);
}

bool FlowDesk::asks_elsewhere(const device::MacAddress& mac, const IpAddress& client, MonotonicTime at) const {
  const auto does = [&](const flows::Holder& holder) {
    const auto known = elsewhere_.find(holder);
    return known != elsewhere_.end() && known->second.since <= at && at <= known->second.until;
  };
  return does(flows::Holder::of(mac)) || does(flows::Holder::of(client));
}

// ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void FlowDesk::judge(const Moment& now, const std::shared_ptr<const Legend>& newest, bool all) {
  if (!newest) return;
  while (!held_.empty() && (all || now.monotonic - held_.front().at >= flow_held)) {
    judge_one(std::move(held_.front()), newest);
    held_.pop_front();
  }
}

void FlowDesk::judge_one(Connection connection, const std::shared_ptr<const Legend>& newest) {
  const flows::Tuple& tuple = connection.tuple;
  const device::Roster& roster = *newest->roster;
  const device::Device& device = identify(roster, tuple.client.address, connection.mac);
  if (roster.log_choice(device, roster.groups_of(device, tuple.client.address)) != device::LogChoice::full) {
    ++statistics_.not_recorded;
    counted_.erase(tuple);
    return;
  }
  std::vector<flows::Holder> holders;
  for (const device::MacAddress& mac : device.macs) holders.push_back(flows::Holder::of(mac));
  if (device.macs.empty() && !connection.mac.is_zero()) holders.push_back(flows::Holder::of(connection.mac));
  holders.push_back(flows::Holder::of(tuple.client.address));
  for (const IpAddress& address : device.addresses) holders.push_back(flows::Holder::of(address));

  Judged judged{std::move(connection), {}, {}, newest, device.id};
  Connection& its = judged.connection;
  flows::Circumstances circumstances;
  for (const flows::Holder& holder : holders) {
    if (!judged.name) judged.name = book_.find(holder, its.tuple.destination.address, its.at);
    circumstances.may_have_missed = circumstances.may_have_missed || book_.has_forgotten(holder, its.at);
  }
  if (judged.name && is_doh(its.tuple, *judged.name, *newest)) {
    its.kind = flows::Kind::encrypted_dns;
    if (!newest->refuses_encrypted(device.id)) {
      note_elsewhere(its.mac, its.tuple.client.address, its.at);
      if (const auto counted = counted_.find(its.tuple); counted != counted_.end()) counted->second.gets_answers = true;
    }
    if (its.matters_as_doh_only) ++statistics_.seen;
  } else if (its.matters_as_doh_only) {
    counted_.erase(its.tuple);
    return;
  }
  circumstances.was_given = judged.name.has_value();
  circumstances.asked_elsewhere = asks_elsewhere(its.mac, its.tuple.client.address, its.at);
  circumstances.is_warming_up = its.at < *began_ + options_.warm_up;
  circumstances.may_have_missed = circumstances.may_have_missed || its.at <= blind_until_;
  judged.explanation = flows::judge(its.tuple, its.kind, circumstances);
  if (judged.explanation == flows::Explanation::without_lookup) ++statistics_.without_lookup;
  if (ready_.size() >= flows_pending_max) {
    counted_.erase(ready_.front().connection.tuple);
    ready_.pop_front();
    ++statistics_.lost;
  }
  ready_.push_back(std::move(judged));
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Result<void, DatabaseFault> FlowDesk::write(Store& store, const DeviceRow& device_row) {
  numbers_.clear();
  changes_written_ = 0;
  KeptIds keep_id;
  for (const Judged& judged : ready_) {
    const Connection& connection = judged.connection;
    FlowEntry entry;
    entry.time = connection.time.time_since_epoch().count();
    keep_id(entry.device, device_row(*judged.legend, judged.device, connection.tuple.client.address, connection.mac));
    keep_id(entry.client, store.endpoint({connection.tuple.client.address, 0}));
    keep_id(entry.destination, store.endpoint({connection.tuple.destination.address, 0}));
    if (judged.name) keep_id(entry.name, store.name(*judged.name));
    if (!connection.interface.empty()) keep_id(entry.interface, store.text(connection.interface));
    if (keep_id.fault) return fail(*keep_id.fault);
    entry.client_port = connection.tuple.client.port;
    entry.port = connection.tuple.destination.port;
    entry.protocol = connection.tuple.protocol;
    entry.kind = connection.kind;
    entry.explanation = judged.explanation;
    if (const auto counted = counted_.find(connection.tuple); counted != counted_.end()) {
      entry.traffic = counted->second.traffic;
      entry.is_refused = counted->second.is_refused;
    }
    const auto number = store.insert(entry);
    if (!number) return fail(number.error());
    numbers_.push_back(*number);
  }
  for (; changes_written_ < changed_.size(); ++changes_written_) {
    const auto counted = counted_.find(changed_[changes_written_]);
    if (counted == counted_.end() || counted->second.number == 0) continue;
    if (const auto set = store.set_traffic(counted->second.number, *counted->second.traffic); !set) return set;
  }
  return {};
}

void FlowDesk::begin_anew() {
  changed_.clear();
  std::erase_if(counted_, [](const auto& entry) { return entry.second.number != 0; });
}

void FlowDesk::have_written() {
  const auto settle = [this](const flows::Tuple& tuple) {
    const auto counted = counted_.find(tuple);
    if (counted == counted_.end()) return;
    counted->second.is_changed = false;
    if (counted->second.has_ended) counted_.erase(counted);
  };
  for (const std::int64_t number : numbers_) {
    const flows::Tuple& tuple = ready_.front().connection.tuple;
    if (const auto counted = counted_.find(tuple); counted != counted_.end()) counted->second.number = number;
    settle(tuple);
    ready_.pop_front();
  }
  statistics_.written += numbers_.size();
  numbers_.clear();
  for (std::size_t at = 0; at < changes_written_; ++at) settle(changed_[at]);
  changed_.erase(changed_.begin(), changed_.begin() + static_cast<std::ptrdiff_t>(std::exchange(changes_written_, 0)));
}

void FlowDesk::prune(const Moment& now) {
  next_prune_ = now.monotonic + prune_every;
  book_.prune(now.monotonic);
  shares_.prune(now.monotonic);
  std::erase_if(elsewhere_, [&](const auto& entry) { return entry.second.until < now.monotonic; });
  std::erase_if(counted_, [&](const auto& entry) {
    return entry.second.number != 0 && now.monotonic - entry.second.heard > flow_silent_max;
  });
}

FlowStatistics FlowDesk::statistics() const {
  FlowStatistics statistics = statistics_;
  statistics.is_watching = channel_ >= 0;
  statistics.lost += lost_by_warden_;
  statistics.left_out = shares_.left_out();
  statistics.left_out_most = shares_.most();
  return statistics;
}

}  // namespace doline::querylog
