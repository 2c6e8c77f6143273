#include "resolver/worker.h"

#include <net/if.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "base/check.h"
#include "listener/neighbour_table.h"
#include "listener/sockets.h"
#include "resolver/admission_desk.h"
#include "resolver/origin_desk.h"
#include "resolver/renewable_exchange.h"
#include "upstream/plain_exchange.h"

namespace doline::resolver {

namespace {

constexpr int mailbox_messages_max = 16'384;

class RingOutbox final : public Outbox {
 public:
  explicit RingOutbox(querylog::Ring& ring) : ring_(ring) {}
  bool record(const querylog::Record& record, dns::Octets response) override { return ring_.push(record, response); }

 private:
  querylog::Ring& ring_;
};

/// Messages into one loop from other threads, bounded. Full means refused and counted, never waited for.
class Mailbox {
 public:
  explicit Mailbox(asio::io_context& loop) : loop_(loop) {}

  /// Any thread. Runs `message` on the loop; false: the mailbox was full and the message is gone.
  template <class Message>
  bool post(Message message) {
    if (waiting_.fetch_add(1, std::memory_order_relaxed) >= mailbox_messages_max) {
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      refused_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    asio::post(loop_, [this, message = std::move(message)]() mutable {
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      message();
    });
    return true;
  }
  /// Any thread. What becomes of a query that was posted to another worker: never refused, because there are no more of
  /// these than queries that were taken.
  template <class Message>
  void reply(Message message) {
    asio::post(loop_, std::move(message));
  }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  asio::io_context& loop_;
  std::atomic<int> waiting_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// A query on its way between workers: owns its octets.
struct Parcel {
  std::vector<std::uint8_t> octets;
  listener::Arrival arrival;

  static Parcel query(const listener::Arrival& arrival) {
    return {{arrival.message.begin(), arrival.message.end()}, arrival};
  }
};

constexpr std::size_t served_later_max = 256;

/// What the cache keeps them for, clients are told.
upstream::TtlBounds bounds_of(const cache::Options& options) {
  const auto seconds_of = [](seconds ttl) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ttl.count(), 0, INT32_MAX));
  };
  return {seconds_of(options.min_ttl), seconds_of(options.max_ttl), seconds_of(options.max_negative_ttl)};
}

}  // namespace

struct Worker::Impl {
  Impl(int index_in, WorkerOptions options, std::vector<listener::SocketPair> sockets,
       std::shared_ptr<const Snapshot> snapshot, querylog::Ring& ring, const Clock& clock_in,
       std::function<void(const IpAddress&)> report_unknown_client,
       std::function<void(const LockAlarm&)> raise_lock_alarm)
      : index(index_in),
        clock(clock_in),
        loop(ASIO_CONCURRENCY_HINT_UNSAFE_IO),  // others only post() to it
        mailbox(loop),
        outbox(ring),
        upstream(snapshot->upstream),
        bounds(bounds_of(options.resolver.cache)),
        exchange(make_exchange()),
        resolver(options.resolver,
                 {.exchange = exchange,
                  .outbox = outbox,
                  .send = [this](const auto& route, const Endpoint& client,
                                 dns::Octets response) { deliver(route, client, response); },
                  .forget = [this](const auto& route) { forget(route); },
                  .report_unknown_client = std::move(report_unknown_client),
                  .raise_lock_alarm = std::move(raise_lock_alarm),
                  .find_mac = [this](const IpAddress& client) { return neighbours.find(client); },
                  .meet = [this](const IpAddress& client) { return neighbours.meet(client); },
                  .serve_later = [this](const auto& arrival, MonotonicTime at) { return serve_later(arrival, at); },
                  .interface_name =
                      [](std::uint32_t index) {
                        std::array<char, IF_NAMESIZE> name{};
                        return std::string(if_indextoname(index, name.data()) != nullptr ? name.data() : "");
                      },
                  .report_canary = options.report_canary,
                  .admit = [this](const redirect::Admission& admission) { return admissions.ask(admission); },
                  .wake_at = [this](MonotonicTime at) { wake_at(at); },
                  .clock = clock_in},
                 snapshot),
        origins(loop, options.origin_channel),
        admissions(loop, options.admission_channel,
                   [this](redirect::AdmissionAnswer answer) { resolver.hear_admission(answer); }),
        udp(
            loop, sockets, clock_in,
            [this](Moment now, std::span<const dns::Octets> messages) { resolver.begin_batch(now, messages); },
            [this](listener::Arrival& arrival, std::span<std::uint8_t> out) { return receive(arrival, out); }),
        tcp(loop, sockets, clock_in, options.tcp,
            [this](listener::Arrival& arrival, std::span<std::uint8_t> out) {
              resolver.begin_batch(arrival.at);
              return receive(arrival, out);
            }),
        redirect_port(options.redirect_port),
        handed(response_octets_max),
        generation(snapshot->generation) {
    prepare_doors(*snapshot);
  }

  void prepare_doors(const Snapshot& snapshot) {
    udp.trust(snapshot.trusted_routers);
    tcp.trust(snapshot.trusted_routers);
    if (snapshot.rules->interfaces().empty()) return;
    udp.tell_interfaces();
    tcp.tell_interfaces();
  }

  /// When the first response that a rule delays is due.
  void wake_at(MonotonicTime at) {
    if (alarm_at && *alarm_at <= at) return;
    alarm_at = at;
    alarm.expires_at(at);
    alarm.async_wait([this](std::error_code error) {
      if (error) return;
      alarm_at.reset();
      resolver.send_due();
    });
  }

  /// A query off one of our own sockets.
  std::size_t receive(listener::Arrival& arrival, std::span<std::uint8_t> out) {
    arrival.route.worker = static_cast<std::uint16_t>(index);
    const bool lacks_origin =
        arrival.destination.source == device::DestinationSource::conntrack && arrival.destination.endpoint.port == 0;
    if (lacks_origin && find_origin(arrival)) return 0;
    return direct(arrival, out);
  }

  /// Step 1, `nat` mode only: whom was it meant for? The warden can ask conntrack. False: it cannot now, and the query
  /// counts as meant for us.
  bool find_origin(listener::Arrival& arrival) {
    auto parcel = std::make_shared<Parcel>(Parcel::query(arrival));
    const Endpoint asked_here{arrival.route.local, redirect_port};
    const bool asked =
        origins.ask(arrival.client, asked_here, [this, parcel, asked_here](std::optional<Endpoint> origin) {
          // Its own origin: nothing was redirected, somebody asks the private port.
          if (origin && *origin != asked_here)
            parcel->arrival.destination.endpoint = *origin;
          else
            parcel->arrival.destination = {{parcel->arrival.route.local, 53}, device::DestinationSource::local};
          parcel->arrival.message = parcel->octets;
          serve_parcel(*parcel);
        });
    if (!asked) arrival.destination = {{arrival.route.local, 53}, device::DestinationSource::local};
    return asked;
  }

  /// To the worker that owns the question, which usually is this one.
  std::size_t direct(const listener::Arrival& arrival, std::span<std::uint8_t> out) {
    if (all.size() > 1 && (arrival.route.carrier == listener::Carrier::tcp || arrival.destination.is_intercepted())) {
      const int owner = listener::owner_of(arrival.message, static_cast<int>(all.size()));
      if (owner != index) {
        hand_over(arrival, *all[static_cast<std::size_t>(owner)]->impl_);
        return 0;
      }
    }
    return resolver.serve(arrival, out);
  }

  void hand_over(const listener::Arrival& arrival, Impl& owner) {
    auto parcel = std::make_shared<Parcel>(Parcel::query(arrival));
    if (!owner.mailbox.post([&owner, parcel] {
          parcel->arrival.message = parcel->octets;
          owner.serve_parcel(*parcel);
        }))
      forget(arrival.route);
  }

  /// False: too many wait so.
  bool serve_later(const listener::Arrival& arrival, MonotonicTime at) {
    if (later == served_later_max) return false;
    ++later;
    auto parcel = std::make_shared<Parcel>(Parcel::query(arrival));
    auto timer = std::make_shared<asio::steady_timer>(loop, at);
    timer->async_wait([this, parcel, timer](std::error_code error) {
      if (error) return;
      --later;
      parcel->arrival.message = parcel->octets;
      serve_parcel(*parcel);
    });
    return true;
  }

  /// A query that came by message, or waited for its origin or for who asks.
  void serve_parcel(const Parcel& parcel) {
    resolver.begin_batch(clock.now());
    const std::size_t size = direct(parcel.arrival, handed);
    if (size > 0) deliver(parcel.arrival.route, parcel.arrival.client, {handed.data(), size});
  }

  /// A response that is sent outside of a batch: from our own sockets, or by message to the worker whose socket it was.
  void deliver(const listener::ReplyRoute& route, const Endpoint& client, dns::Octets response) {
    if (route.worker != index) {
      auto octets = std::make_shared<std::vector<std::uint8_t>>(response.begin(), response.end());
      Impl& other = *all[route.worker]->impl_;
      other.mailbox.reply([&other, octets, route, client] { other.deliver(route, client, *octets); });
      return;
    }
    if (route.carrier == listener::Carrier::tcp)
      tcp.send(route, response);
    else
      udp.send(route, client, response);
  }

  void forget(const listener::ReplyRoute& route) {
    if (route.carrier != listener::Carrier::tcp) return;
    if (route.worker == index) return tcp.forget(route);
    Impl& other = *all[route.worker]->impl_;
    other.mailbox.reply([&other, route] { other.tcp.forget(route); });
  }

  [[nodiscard]] std::unique_ptr<upstream::PlainExchange> make_exchange() {
    return std::make_unique<upstream::PlainExchange>(loop, *upstream, bounds);
  }

  void install(std::shared_ptr<const Snapshot> snapshot) {
    generation = snapshot->generation;
    if (snapshot->upstream != upstream) {
      upstream = snapshot->upstream;
      exchange.renew(make_exchange());
    }
    prepare_doors(*snapshot);
    (void)resolver.install(std::move(snapshot));  // control still holds the old one and drops the last reference
  }

  WorkerReport report() {
    WorkerReport report;
    report.resolver = resolver.statistics();
    report.cache = resolver.cache_statistics();
    report.udp = udp.statistics();
    report.tcp = tcp.statistics();
    report.upstreams = static_cast<upstream::PlainExchange&>(exchange.newest()).health();
    report.mailbox_refused = mailbox.refused();
    report.origins_unknown = origins.unknown();
    report.generation = generation;
    return report;
  }

  void run() {
    pthread_setname_np(pthread_self(), ("worker " + std::to_string(index)).c_str());
    udp.start();
    tcp.start();
    while (loop.run_one() > 0) end_turn();
  }

  /// What one handler has queued leaves before the loop waits for the next. What cannot be asked is answered here.
  void end_turn() {
    exchange.flush();
    admissions.flush();
    udp.flush();
    tcp.flush();
  }

  void wait_for_the_last(MonotonicTime until) {
    if (resolver.statistics().waiting == 0 || clock.now().monotonic >= until) {
      udp.stop();
      tcp.stop();
      loop.stop();
      return;
    }
    patience.expires_after(milliseconds(10));
    patience.async_wait([this, until](std::error_code) { wait_for_the_last(until); });
  }

  int index;
  const Clock& clock;
  asio::io_context loop;
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  Mailbox mailbox;
  RingOutbox outbox;
  std::shared_ptr<const upstream::Options> upstream;
  const upstream::TtlBounds bounds;
  RenewableExchange exchange;
  listener::NeighbourTable neighbours;
  Resolver resolver;
  OriginDesk origins;
  AdmissionDesk admissions;
  listener::UdpListener udp;
  listener::TcpListener tcp;
  asio::steady_timer patience{loop};
  asio::steady_timer alarm{loop};
  std::optional<MonotonicTime> alarm_at;  // what it is set to
  std::uint16_t redirect_port;
  std::size_t later = 0;  // queries that serve_later() has
  std::vector<std::uint8_t> handed;
  std::uint64_t generation;
  std::vector<Worker*> all;
  std::thread thread;
};

Worker::Worker(int index, WorkerOptions options, std::vector<listener::SocketPair> sockets,
               std::shared_ptr<const Snapshot> snapshot, querylog::Ring& ring, const Clock& clock,
               std::function<void(const IpAddress&)> report_unknown_client,
               std::function<void(const LockAlarm&)> raise_lock_alarm)
    : impl_(std::make_unique<Impl>(index, std::move(options), std::move(sockets), std::move(snapshot), ring, clock,
                                   std::move(report_unknown_client), std::move(raise_lock_alarm))) {}

Worker::~Worker() {
  if (impl_ && impl_->thread.joinable()) stop(milliseconds(0));
}

void Worker::meet(std::vector<Worker*> all) {
  impl_->all = std::move(all);
}

void Worker::start() {
  // Signals belong to the control thread's loop: the new thread is born with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Worker::stop(milliseconds patience) {
  asio::post(impl_->loop,
             [impl = impl_.get(), patience] { impl->wait_for_the_last(impl->clock.now().monotonic + patience); });
  impl_->thread.join();
}

bool Worker::install(std::shared_ptr<const Snapshot> snapshot, std::function<void()> done) {
  return impl_->mailbox.post([impl = impl_.get(), snapshot = std::move(snapshot), done = std::move(done)]() mutable {
    impl->install(std::move(snapshot));
    if (done) done();
  });
}

bool Worker::report(std::function<void(WorkerReport)> take) {
  return impl_->mailbox.post([impl = impl_.get(), take = std::move(take)] { take(impl->report()); });
}

}  // namespace doline::resolver
