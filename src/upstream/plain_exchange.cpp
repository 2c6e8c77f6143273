#include "upstream/plain_exchange.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <queue>
#include <utility>

#include "base/check.h"
#include "dns/writer.h"
#include "upstream/datagram_socket.h"
#include "upstream/random_source.h"
#include "upstream/server_state.h"
#include "upstream/server_stream.h"

namespace doline::upstream {

namespace {

constexpr std::uint16_t udp_payload_octets = 1'232;  // what passes without fragments (DNS Flag Day 2020)
constexpr std::size_t datagram_octets_max = 4'096;   // a larger one is none that we asked for
constexpr int datagrams_per_wake = 16;               // of one socket: more wait for their next turn
constexpr int events_per_batch = 64;
constexpr int batches_per_wake = 8;
/// Attempts of one exchange that are still listened for; older ones are given up, so that descriptors suffice.
constexpr int sockets_per_exchange_max = 3;
/// `fastest`: one exchange in so many is asked of another server too, so that its speed stays known.
constexpr std::size_t measure_one_in = 64;

enum class Carrier : std::uint8_t { datagram, stream };

enum class AttemptState : std::uint8_t {
  waiting,   ///< for its answer
  overdue,   ///< the same, but others are asked meanwhile
  replaced,  ///< the server is asked in another way
  failed,    ///< by what the server said, or because nothing can be sent to it
};

struct Attempt {
  DatagramSocket socket;
  std::uint16_t server = 0;
  std::uint16_t id = 0;
  Carrier carrier = Carrier::datagram;
  AttemptState state = AttemptState::waiting;
  bool has_edns = true;
  bool exact_case = true;
  MonotonicTime sent;
};

struct InFlight {
  Request request;
  Exchange::Completion done;
  dns::Name cased;
  MonotonicTime deadline, due;
  std::uint32_t generation = 0;
  std::array<Attempt, attempts_max> attempts;
  int attempts_count = 0;
  bool is_used = false;
  bool is_probe = false;  ///< of one server, beside an exchange that serves a client: nobody waits for it
  bool was_unreachable = false, has_heard_failure = false;
  bool distrusts_datagrams = false;  ///< malformed ones have come
};

}  // namespace

struct PlainExchange::Impl : std::enable_shared_from_this<Impl> {
  struct RouteState {
    Route route;
    std::vector<ServerState> servers;
    std::vector<std::unique_ptr<ServerStream>> streams;  // made when first needed
  };
  struct Due {
    MonotonicTime at;
    std::uint32_t slot, generation;
    bool operator>(const Due& other) const { return at > other.at; }
  };

  Impl(asio::io_context& loop_in, const Options& options_in)
      : loop(loop_in),
        options(options_in),
        poll(loop_in, ::epoll_create1(EPOLL_CLOEXEC)),
        timer(loop_in),
        words(dns::message_octets_max) {
    for (const Route& route : options.routes) {
      RouteState& state = routes.emplace_back();
      state.route = route;
      for (const Endpoint& server : route.servers) state.servers.emplace_back(server);
      state.streams.resize(route.servers.size());
    }
  }

  // ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  void ask(const Request& request, Completion done) {
    check(request.route < routes.size());
    const MonotonicTime now = std::chrono::steady_clock::now();
    if (in_flight_count == exchanges_max) {
      post_fault(std::move(done), ExchangeFault::overloaded);
      return;
    }
    const std::uint32_t slot = begin(request, now);
    InFlight& exchange = exchanges[slot];
    exchange.done = std::move(done);
    if (!advance(slot, now)) {
      // Never from inside ask(): the completion waits for the loop's next turn.
      post_fault(std::move(exchange.done), fault_of(exchange));
      release(slot);
      return;
    }
    if (routes[request.route].servers.size() > 1) ask_beside(slot, now);
  }

  std::uint32_t begin(const Request& request, MonotonicTime now) {
    const std::uint32_t slot = take_slot();
    InFlight& exchange = exchanges[slot];
    exchange.request = request;
    exchange.deadline = now + routes[request.route].route.timeout;
    if (options.randomise_case) exchange.cased = with_random_case(request.question.qname, random);
    return slot;
  }

  void post_fault(Completion done, ExchangeFault fault) {
    asio::post(loop, [weak = weak_from_this(), fault, call = std::move(done)] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (self && !self->is_stopped) call(fail(fault));
    });
  }

  std::uint32_t take_slot() {
    ++in_flight_count;
    if (free_slots.empty()) {
      exchanges.emplace_back();
      exchanges.back().is_used = true;
      return static_cast<std::uint32_t>(exchanges.size() - 1);
    }
    const std::uint32_t slot = free_slots.back();
    free_slots.pop_back();
    exchanges[slot].is_used = true;
    return slot;
  }

  void release(std::uint32_t slot) {
    InFlight& exchange = exchanges[slot];
    for (int i = 0; i < exchange.attempts_count; ++i) exchange.attempts[i] = {};
    exchange.done = nullptr;
    exchange.attempts_count = 0;
    exchange.is_used = exchange.is_probe = false;
    exchange.was_unreachable = exchange.has_heard_failure = exchange.distrusts_datagrams = false;
    ++exchange.generation;
    free_slots.push_back(slot);
    --in_flight_count;
  }

  /// Asks the next server, and the one after where that cannot be sent to. False: there is none, and nothing to wait
  /// for.
  bool advance(std::uint32_t slot, MonotonicTime now) {
    InFlight& exchange = exchanges[slot];
    while (exchange.attempts_count < attempts_max) {
      const std::optional<std::uint16_t> server = choose(exchange);
      if (!server) break;
      const ServerState& state = routes[exchange.request.route].servers[*server];
      const int tried = tries(exchange, *server);
      const Carrier carrier = exchange.distrusts_datagrams ? Carrier::stream : Carrier::datagram;
      if (send(slot, *server, carrier, now) == nullptr) continue;
      schedule(slot, std::min(exchange.deadline, now + wait_for(state, tried, carrier)));
      return true;
    }
    if (!awaits_anything(exchange)) return false;
    schedule(slot, exchange.deadline);
    return true;
  }

  static milliseconds wait_for(const ServerState& server, int tried, Carrier carrier) {
    // A stream does its own repetitions, and needs round trips to begin.
    return carrier == Carrier::stream ? std::max(retry_timeout_max, 3 * server.retry_timeout(tried))
                                      : server.retry_timeout(tried);
  }

  static int tries(const InFlight& exchange, std::size_t server) {
    int count = 0;
    for (int i = 0; i < exchange.attempts_count; ++i) count += exchange.attempts[i].server == server ? 1 : 0;
    return count;
  }
  static bool has_failed(const InFlight& exchange, std::size_t server) {
    return std::any_of(
        exchange.attempts.begin(), exchange.attempts.begin() + exchange.attempts_count,
        [&](const Attempt& attempt) { return attempt.server == server && attempt.state == AttemptState::failed; });
  }
  /// Someone is waited for, of whom no failure is known.
  static bool awaits_anything(const InFlight& exchange) {
    return std::any_of(exchange.attempts.begin(), exchange.attempts.begin() + exchange.attempts_count,
                       [&](const Attempt& attempt) {
                         return (attempt.state == AttemptState::waiting || attempt.state == AttemptState::overdue) &&
                                !has_failed(exchange, attempt.server);
                       });
  }
  /// Someone is waited for whose time has not come yet.
  static bool awaits_in_time(const InFlight& exchange) {
    return std::any_of(exchange.attempts.begin(), exchange.attempts.begin() + exchange.attempts_count,
                       [](const Attempt& attempt) { return attempt.state == AttemptState::waiting; });
  }

  /// The server asked least in this exchange, up before down, by the route's strategy.
  std::optional<std::uint16_t> choose(const InFlight& exchange) {
    const RouteState& route = routes[exchange.request.route];
    struct Rank {
      int tries;
      std::uint64_t order;
      auto operator<=>(const Rank&) const = default;
    };
    std::optional<std::uint16_t> best;
    Rank best_rank{};
    for (std::size_t i = 0; i < route.servers.size(); ++i) {
      if (has_failed(exchange, i)) continue;
      const ServerState& server = route.servers[i];
      std::uint64_t order = i;
      if (route.route.strategy == Route::Strategy::fastest)
        order = static_cast<std::uint64_t>(server.round_trip().count());
      else if (route.route.strategy == Route::Strategy::balance)
        order = random.next<std::uint32_t>();
      const Rank rank{tries(exchange, i) + (server.is_up() ? 0 : 1), order};
      if (best && best_rank <= rank) continue;
      best = static_cast<std::uint16_t>(i);
      best_rank = rank;
    }
    return best;
  }

  /// Others that are asked at the same time: all for `parallel`; one that is down and may be up again; one whose speed
  /// should be known.
  void ask_beside(std::uint32_t slot, MonotonicTime now) {
    const InFlight& exchange = exchanges[slot];
    RouteState& route = routes[exchange.request.route];
    for (std::size_t i = 0; i < route.servers.size(); ++i) {
      const auto server = static_cast<std::uint16_t>(i);
      if (tries(exchange, i) > 0) continue;
      if (route.servers[i].take_probe(now))
        probe(exchange.request, server, now);
      else if (route.route.strategy == Route::Strategy::parallel && route.servers[i].is_up() &&
               exchange.attempts_count < attempts_max - 1)
        (void)send(slot, server, Carrier::datagram, now);
    }
    if (route.route.strategy == Route::Strategy::fastest && random.below(measure_one_in) == 0)
      probe(exchange.request, static_cast<std::uint16_t>(random.below(route.servers.size())), now);
  }

  void probe(const Request& request, std::uint16_t server, MonotonicTime now) {
    if (in_flight_count == exchanges_max) return;
    const std::uint32_t slot = begin(request, now);
    exchanges[slot].is_probe = true;
    if (send(slot, server, Carrier::datagram, now) != nullptr)
      schedule(slot, exchanges[slot].deadline);
    else
      release(slot);
  }

  // ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// Null where it could not be sent; then the attempt has failed.
  Attempt* send(std::uint32_t slot, std::uint16_t server_index, Carrier carrier, MonotonicTime now) {
    InFlight& exchange = exchanges[slot];
    ServerState& server = routes[exchange.request.route].servers[server_index];
    const auto index = static_cast<std::uint32_t>(exchange.attempts_count++);
    Attempt& attempt = exchange.attempts[index];
    attempt.server = server_index;
    attempt.id = random.next<std::uint16_t>();
    attempt.carrier = carrier;
    attempt.state = AttemptState::waiting;
    attempt.has_edns = now >= server.without_edns_until;
    attempt.exact_case = options.randomise_case && now >= server.without_case_until;
    attempt.sent = now;
    return transmit(slot, index, server) ? &attempt : nullptr;
  }

  bool transmit(std::uint32_t slot, std::uint32_t index, ServerState& server) {
    InFlight& exchange = exchanges[slot];
    Attempt& attempt = exchange.attempts[index];
    ++server.asked;
    std::array<std::uint8_t, 512> space;
    const dns::Octets query = write_query(exchange, attempt, space);
    if (attempt.carrier == Carrier::stream) {
      if (stream_to(exchange.request.route, attempt.server).ask(query, ticket_of(exchange, slot, index))) return true;
    } else if (send_datagram(exchange, attempt, server, query, ticket_of(exchange, slot, index))) {
      return true;
    }
    attempt.state = AttemptState::failed;
    exchange.was_unreachable = true;
    ++server.failed;
    return false;
  }

  dns::Octets write_query(const InFlight& exchange, const Attempt& attempt, std::span<std::uint8_t> space) const {
    dns::MessageWriter writer(space);
    writer.header(attempt.id,
                  {.response = false,
                   .recursion_desired = true,
                   .recursion_available = false,
                   .authentic_data = true,  // "understood" in responses (RFC 6840 §5.7)
                   .checking_disabled = exchange.request.checking_disabled},
                  dns::ResponseCode::noerror);
    check(writer.question(asked(exchange, attempt)));
    if (attempt.has_edns)
      check(writer.opt({.udp_payload_size = udp_payload_octets, .dnssec_ok = exchange.request.dnssec_ok}));
    return {space.data(), writer.size()};
  }

  static dns::Question asked(const InFlight& exchange, const Attempt& attempt) {
    const dns::Question& question = exchange.request.question;
    return {attempt.exact_case ? exchange.cased : question.qname, question.qtype, question.qclass};
  }

  bool send_datagram(InFlight& exchange, Attempt& attempt, const ServerState& server, dns::Octets query,
                     std::uint64_t ticket) {
    give_up_oldest_socket(exchange);
    auto socket = DatagramSocket::open(server.endpoint, random);
    if (!socket) return false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = ticket;
    if (::epoll_ctl(poll.native_handle(), EPOLL_CTL_ADD, socket->get(), &event) != 0) return false;
    if (socket->send(query) != 0) return false;
    attempt.socket = std::move(*socket);
    watch();
    return true;
  }

  static void give_up_oldest_socket(InFlight& exchange) {
    int open = 0;
    for (const Attempt& attempt : exchange.attempts) open += attempt.socket.is_open() ? 1 : 0;
    if (open < sockets_per_exchange_max) return;
    for (Attempt& attempt : exchange.attempts) {
      if (!attempt.socket.is_open()) continue;
      attempt.socket.close();
      if (attempt.state != AttemptState::failed) attempt.state = AttemptState::replaced;
      return;
    }
  }

  ServerStream& stream_to(RouteIndex route, std::uint16_t server) {
    std::unique_ptr<ServerStream>& stream = routes[route].streams[server];
    if (!stream)
      stream = std::make_unique<ServerStream>(
          loop, routes[route].servers[server].endpoint, random,
          [weak = weak_from_this()](std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
            if (const std::shared_ptr<Impl> self = weak.lock()) self->take_from_stream(ticket, message);
          });
    return *stream;
  }

  // ── a ticket names an attempt, and tells whether its exchange still lasts ──────────────────────────────────────────

  static std::uint64_t ticket_of(const InFlight& exchange, std::uint32_t slot, std::uint32_t index) {
    return std::uint64_t{exchange.generation} << 32 | slot << 3 | index;
  }
  static_assert(attempts_max <= 8);
  struct Place {
    std::uint32_t slot, index;
  };
  [[nodiscard]] std::optional<Place> place_of(std::uint64_t ticket) const {
    const auto slot = static_cast<std::uint32_t>(ticket) >> 3;
    const InFlight& exchange = exchanges[slot];
    if (!exchange.is_used || exchange.generation != ticket >> 32) return std::nullopt;
    return Place{slot, static_cast<std::uint32_t>(ticket & 7)};
  }

  // ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void watch() {
    if (is_watching) return;
    is_watching = true;
    poll.async_wait(asio::posix::descriptor_base::wait_read, [weak = weak_from_this()](const std::error_code& error) {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self || error || self->is_stopped) return;
      self->is_watching = false;
      self->drain();
    });
  }

  void drain() {
    std::array<epoll_event, events_per_batch> events;
    for (int batch = 0; batch < batches_per_wake; ++batch) {
      const int count = ::epoll_wait(poll.native_handle(), events.data(), events_per_batch, 0);
      for (int i = 0; i < count; ++i) {
        take_datagrams(events[static_cast<std::size_t>(i)].data.u64);
        if (is_stopped) return;
      }
      if (count < events_per_batch) break;
    }
    if (in_flight_count > 0) watch();
  }

  void take_datagrams(std::uint64_t ticket) {
    for (int i = 0; i < datagrams_per_wake; ++i) {
      // The one before may have ended the exchange.
      const auto place = place_of(ticket);
      if (!place) return;
      Attempt& attempt = exchanges[place->slot].attempts[place->index];
      if (!attempt.socket.is_open()) return;
      const std::ptrdiff_t octets = attempt.socket.receive(datagram);
      if (octets == -EAGAIN) return;
      if (octets < 0) {
        note_refusal(*place);
        continue;
      }
      const auto size = static_cast<std::size_t>(octets);
      if (size < dns::header_octets || size > datagram.size()) continue;
      if ((datagram[0] << 8 | datagram[1]) != attempt.id) continue;
      judge(*place, {datagram.data(), size});
      if (is_stopped) return;
    }
  }

  /// ICMP says that nobody is there. Anyone may have sent that: the wait goes on, but others are asked at once.
  void note_refusal(Place place) {
    InFlight& exchange = exchanges[place.slot];
    exchange.was_unreachable = true;
    Attempt& attempt = exchange.attempts[place.index];
    if (attempt.state != AttemptState::waiting || exchange.is_probe) return;
    const std::size_t servers = routes[exchange.request.route].servers.size();
    for (std::size_t i = 0; i < servers; ++i)
      if (tries(exchange, i) == 0) {
        attempt.state = AttemptState::overdue;
        (void)advance(place.slot, std::chrono::steady_clock::now());
        return;
      }
  }

  void take_from_stream(std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
    if (is_stopped) return;
    const auto place = place_of(ticket);
    if (!place) return;
    if (message) {
      judge(*place, *message);
      return;
    }
    InFlight& exchange = exchanges[place->slot];
    Attempt& attempt = exchange.attempts[place->index];
    ServerState& server = routes[exchange.request.route].servers[attempt.server];
    ++server.failed;
    exchange.was_unreachable = true;
    if (attempt.exact_case && has_lost_case(exchange, attempt.server)) {
      // It does not keep the case, and has no TCP by which that could be believed at once.
      attempt.state = AttemptState::replaced;
      server.without_case_until = std::chrono::steady_clock::now() + quirk_time;
      ask_again(*place, Carrier::datagram);
      return;
    }
    attempt.state = AttemptState::failed;
    go_on(place->slot);
  }

  void judge(Place place, dns::Octets message) {
    InFlight& exchange = exchanges[place.slot];
    Attempt& attempt = exchange.attempts[place.index];
    ServerState& server = routes[exchange.request.route].servers[attempt.server];
    const MonotonicTime now = std::chrono::steady_clock::now();
    const dns::Question question = asked(exchange, attempt);
    auto accepted = accept(message, question, attempt.exact_case, words);
    if (attempt.carrier == Carrier::stream && attempt.exact_case && !accepted &&
        accepted.error() == AcceptFault::other_question) {
      // Nobody else can speak on this stream: the server does not keep the case.
      accepted = accept(message, question, false, words);
      if (accepted || accepted.error() != AcceptFault::other_question) server.without_case_until = now + quirk_time;
    }
    if (exchange.is_probe) {
      if (!accepted && (accepted.error() == AcceptFault::other_question || accepted.error() == AcceptFault::malformed))
        return;
      server.note_answer(now, round_trip(attempt, server, now));
      ++server.answered;
      release(place.slot);
      return;
    }
    if (accepted) {
      server.note_answer(now, round_trip(attempt, server, now));
      ++server.answered;
      if (!attempt.has_edns) server.without_edns_until = now + quirk_time;
      succeed(place.slot, *accepted, server.endpoint);
      return;
    }
    switch (accepted.error()) {
      case AcceptFault::other_question:
        if (attempt.carrier == Carrier::stream) break;  // it never will answer this one
        if (attempt.exact_case && attempt.state != AttemptState::replaced && echoes_without_case(message, question)) {
          attempt.state = AttemptState::replaced;
          ask_again(place, Carrier::stream);
        }
        return;
      case AcceptFault::malformed:
        if (attempt.carrier == Carrier::stream) break;
        exchange.distrusts_datagrams = true;
        return;
      case AcceptFault::truncated:
        if (attempt.carrier == Carrier::stream) break;
        server.note_answer(now, round_trip(attempt, server, now));
        attempt.socket.close();
        attempt.state = AttemptState::replaced;
        ask_again(place, Carrier::stream);
        return;
      case AcceptFault::server_failed:
        server.note_answer(now, round_trip(attempt, server, now));
        if (attempt.has_edns && is_code_without_edns(message)) {
          attempt.state = AttemptState::replaced;
          attempt.socket.close();
          ask_again(place, attempt.carrier, false);
          return;
        }
        break;
      case AcceptFault::chain_too_long:
      case AcceptFault::too_large:
        break;
    }
    ++server.failed;
    exchange.has_heard_failure = true;
    attempt.socket.close();
    attempt.state = AttemptState::failed;
    go_on(place.slot);
  }

  /// Of a stream it holds the way to begin; then what was known before is kept.
  static std::chrono::nanoseconds round_trip(const Attempt& attempt, const ServerState& server, MonotonicTime now) {
    if (attempt.carrier == Carrier::stream && server.round_trip() > microseconds(0)) return server.round_trip();
    return now - attempt.sent;
  }

  /// RFC 6891 §7: what servers say that do not know EDNS.
  static bool is_code_without_edns(dns::Octets message) {
    const auto code = static_cast<dns::ResponseCode>(message[3] & 0x0f);
    return code == dns::ResponseCode::formerr || code == dns::ResponseCode::notimp;
  }

  bool echoes_without_case(dns::Octets message, const dns::Question& question) {
    const auto accepted = accept(message, question, false, words);
    return accepted || accepted.error() != AcceptFault::other_question;
  }

  static bool has_lost_case(const InFlight& exchange, std::uint16_t server) {
    return std::any_of(exchange.attempts.begin(), exchange.attempts.begin() + exchange.attempts_count,
                       [&](const Attempt& attempt) {
                         return attempt.server == server && attempt.carrier == Carrier::datagram &&
                                attempt.exact_case && attempt.state == AttemptState::replaced;
                       });
  }

  /// The same server in another way; it waits as long as a first attempt would.
  void ask_again(Place place, Carrier carrier, bool with_edns = true) {
    InFlight& exchange = exchanges[place.slot];
    if (exchange.attempts_count == attempts_max) {
      exchange.attempts[place.index].state = AttemptState::failed;
      go_on(place.slot);
      return;
    }
    const MonotonicTime now = std::chrono::steady_clock::now();
    const Attempt& before = exchange.attempts[place.index];
    ServerState& server = routes[exchange.request.route].servers[before.server];
    const auto index = static_cast<std::uint32_t>(exchange.attempts_count++);
    Attempt& attempt = exchange.attempts[index];
    attempt.server = before.server;
    attempt.id = random.next<std::uint16_t>();
    attempt.carrier = carrier;
    attempt.state = AttemptState::waiting;
    attempt.has_edns = before.has_edns && with_edns;
    attempt.exact_case = before.exact_case && now >= server.without_case_until;
    attempt.sent = now;
    if (!transmit(place.slot, index, server)) {
      go_on(place.slot);
    } else {
      schedule(place.slot, std::min(exchange.deadline, now + wait_for(server, 0, carrier)));
    }
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// After a failure: to the next server, unless another one is waited for in time.
  void go_on(std::uint32_t slot) {
    if (awaits_in_time(exchanges[slot])) return;
    if (!advance(slot, std::chrono::steady_clock::now())) end_in_fault(slot);
  }

  void succeed(std::uint32_t slot, const Accepted& accepted, const Endpoint& server) {
    const Completion done = std::move(exchanges[slot].done);
    release(slot);
    done(Reply{{words.data(), accepted.size}, accepted, server});
  }

  void end_in_fault(std::uint32_t slot) {
    const ExchangeFault fault = fault_of(exchanges[slot]);
    const Completion done = std::move(exchanges[slot].done);
    release(slot);
    done(fail(fault));
  }

  static ExchangeFault fault_of(const InFlight& exchange) {
    if (exchange.has_heard_failure) return ExchangeFault::server_failed;
    if (exchange.was_unreachable || exchange.attempts_count == 0) return ExchangeFault::unreachable;
    return ExchangeFault::timeout;
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  void schedule(std::uint32_t slot, MonotonicTime at) {
    InFlight& exchange = exchanges[slot];
    exchange.due = at;
    dues.push({at, slot, exchange.generation});
    arm();
  }

  /// The timer is set anew only for an earlier time; what is no longer due is found out when its time comes.
  void arm() {
    if (dues.empty() || dues.top().at >= armed_for) return;
    armed_for = dues.top().at;
    timer.expires_at(armed_for);
    timer.async_wait([weak = weak_from_this()](const std::error_code& error) {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self || error || self->is_stopped) return;
      self->armed_for = MonotonicTime::max();
      self->take_dues();
    });
  }

  void take_dues() {
    const MonotonicTime now = std::chrono::steady_clock::now();
    while (!dues.empty() && dues.top().at <= now) {
      const Due due = dues.top();
      dues.pop();
      const InFlight& exchange = exchanges[due.slot];
      if (!exchange.is_used || exchange.generation != due.generation || exchange.due != due.at) continue;
      overdue(due.slot, now);
      if (is_stopped) return;
    }
    arm();
  }

  void overdue(std::uint32_t slot, MonotonicTime now) {
    InFlight& exchange = exchanges[slot];
    RouteState& route = routes[exchange.request.route];
    for (int i = 0; i < exchange.attempts_count; ++i) {
      Attempt& attempt = exchange.attempts[i];
      if (attempt.state != AttemptState::waiting) continue;
      attempt.state = AttemptState::overdue;
      ServerState& server = route.servers[attempt.server];
      ++server.failed;
      // A server may have no TCP, or have been asked beside a faster one.
      if (attempt.carrier == Carrier::datagram && now - attempt.sent >= server.retry_timeout(0))
        server.note_silence(now, attempt.sent);
    }
    if (exchange.is_probe) {
      release(slot);
      return;
    }
    if (now >= exchange.deadline || !advance(slot, now)) end_in_fault(slot);
  }

  void stop() {
    is_stopped = true;
    std::error_code ignored;
    poll.close(ignored);
    timer.cancel();
    for (RouteState& route : routes) route.streams.clear();
  }

  std::vector<ServerHealth> health() const {
    std::vector<ServerHealth> all;
    for (const RouteState& route : routes)
      for (const ServerState& server : route.servers)
        all.push_back({server.endpoint, route.route.name, server.is_up(), server.round_trip(), server.asked,
                       server.answered, server.failed});
    return all;
  }

  asio::io_context& loop;
  const Options options;
  RandomSource random;
  std::vector<RouteState> routes;
  std::deque<InFlight> exchanges;  // grows to what was once in flight; addresses are stable
  std::vector<std::uint32_t> free_slots;
  int in_flight_count = 0;
  asio::posix::stream_descriptor poll;  // an epoll of our own: a socket a question, without Asio's record of each
  asio::steady_timer timer;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> dues;
  MonotonicTime armed_for = MonotonicTime::max();
  bool is_watching = false, is_stopped = false;
  std::array<std::uint8_t, datagram_octets_max> datagram;
  std::vector<std::uint8_t> words;
};

PlainExchange::PlainExchange(asio::io_context& loop, const Options& options)
    : impl_(std::make_shared<Impl>(loop, options)) {}

PlainExchange::~PlainExchange() {
  impl_->stop();
}

void PlainExchange::ask(const Request& request, Completion done) {
  impl_->ask(request, std::move(done));
}

std::vector<ServerHealth> PlainExchange::health() const {
  return impl_->health();
}

}  // namespace doline::upstream
