#include "control/loop_watch.h"

#include <spdlog/logger.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "control/connected_socket.h"
#include "dns/writer.h"

namespace doline::control {

namespace {

/// A datagram may be lost, and rules take a moment to be in force.
constexpr std::array<milliseconds, 2> repeated_after{milliseconds(1'000), milliseconds(3'000)};

}  // namespace

std::string describe(const LoopFound& loop) {
  const std::string from = loop.way.client.address.to_string();
  std::string sentence = "what upstream " + loop.server.to_string() + " (route " + loop.route +
                         ") is asked comes back to Doline, from " + from;
  if (loop.way.destination.is_intercepted())
    return sentence + ", caught on its way to " + loop.way.destination.endpoint.to_string() +
           ". Let it through: `redirect: {exempt: {from: [" + from + "]}}`.";
  return sentence + ". One of the two has to ask somebody else: that server, or `upstreams` here.";
}

LoopWatch::LoopWatch(Loop& loop, resolver::CanaryCage cage, const Clock& clock, spdlog::logger& log,
                     std::function<void()> changed)
    : loop_(loop), cage_(cage), clock_(clock), log_(log), changed_(std::move(changed)) {
  hourly_ = loop_.every(loop_look_every, [this] { look(upstream_); });
}

LoopWatch::~LoopWatch() {
  close_all();
}

// ── a round ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void LoopWatch::look(const upstream::Options& upstream) {
  upstream_ = upstream;
  close_all();
  again_ = Watch();
  for (const upstream::Route& route : upstream_.routes)
    for (const Endpoint& server : route.servers) {
      const bool is_asked =
          std::any_of(asked_.begin(), asked_.end(), [&](const Asked& asked) { return asked.server == server; });
      if (is_asked || asked_.size() == canaries_max) continue;
      const std::uint32_t serial = ++last_serial_;
      const dns::Name name = cage_.name_of({resolver::Canary::Kind::loop, serial});
      asked_.push_back({server, route.name, serial,
                        dns::make_query(static_cast<std::uint16_t>(std::random_device{}()),
                                        {name, dns::RecordType::txt, dns::RecordClass::in}),
                        connected_socket(server)});
    }
  send_all();
  for (const milliseconds delay : repeated_after) repetitions_.push_back(loop_.after(delay, [this] { send_all(); }));
  round_ = loop_.after(loop_round, [this] { end_round(); });
}

void LoopWatch::send_all() {
  for (const Asked& asked : asked_)
    if (asked.descriptor >= 0)
      static_cast<void>(::send(asked.descriptor, asked.query.data(), asked.query.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

void LoopWatch::end_round() {
  const std::size_t before = found_.size();
  std::erase_if(found_, [&](const LoopFound& loop) {
    if (++clean_[loop.server] <= clean_rounds) return false;
    clean_.erase(loop.server);
    log_.info("Upstream {} does not lead back to Doline any more, and is asked again.", loop.server.to_string());
    return true;
  });
  close_all();
  if (!found_.empty()) again_ = loop_.after(loop_again_after, [this] { look(upstream_); });
  if (found_.size() != before) changed_();
}

void LoopWatch::close_all() {
  for (const Asked& asked : asked_)
    if (asked.descriptor >= 0) ::close(asked.descriptor);
  asked_.clear();
  repetitions_.clear();
  round_ = Watch();
}

// ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────

void LoopWatch::take(const resolver::CanaryReturn& come) {
  if (come.canary && come.canary->kind == resolver::Canary::Kind::probe) return take_probe(come);
  if (come.canary) return take_loop(come);
  const MonotonicTime now = clock_.now().monotonic;
  if (!asked_.empty() || now < suspicion_again_) return;
  suspicion_again_ = now + suspicion_pause;
  look(upstream_);
}

void LoopWatch::take_loop(const resolver::CanaryReturn& come) {
  const auto asked =
      std::find_if(asked_.begin(), asked_.end(), [&](const Asked& one) { return one.serial == come.canary->serial; });
  if (asked == asked_.end()) return;  // it strayed for longer than a round
  clean_[asked->server] = 0;
  const bool is_known =
      std::any_of(found_.begin(), found_.end(), [&](const LoopFound& loop) { return loop.server == asked->server; });
  if (is_known) return;
  found_.push_back({asked->server, asked->route, come});
  log_.error("A loop: {}", describe(found_.back()));
  telling_ = loop_.after(milliseconds(0), [this] { changed_(); });
}

void LoopWatch::forgive() {
  found_.clear();
  clean_.clear();
}

upstream::Options LoopWatch::without_loops(upstream::Options upstream) const {
  for (upstream::Route& route : upstream.routes)
    std::erase_if(route.servers, [&](const Endpoint& server) {
      return std::any_of(found_.begin(), found_.end(), [&](const LoopFound& loop) { return loop.server == server; });
    });
  return upstream;
}

// ── probes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

dns::Name LoopWatch::make_probe() {
  if (probes_.size() == probes_max) probes_.erase(probes_.begin());
  const std::uint32_t serial = ++last_serial_;
  probes_.try_emplace(serial);
  return cage_.name_of({resolver::Canary::Kind::probe, serial});
}

void LoopWatch::take_probe(const resolver::CanaryReturn& come) {
  const auto probe = probes_.find(come.canary->serial);
  if (probe != probes_.end() && probe->second.size() < probe_returns_max) probe->second.push_back(come);
}

const std::vector<resolver::CanaryReturn>* LoopWatch::probe_returns(const dns::Name& name) const {
  const auto canary = cage_.find(name);
  if (!canary || canary->kind != resolver::Canary::Kind::probe) return nullptr;
  const auto probe = probes_.find(canary->serial);
  return probe == probes_.end() ? nullptr : &probe->second;
}

}  // namespace doline::control
