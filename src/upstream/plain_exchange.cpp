#include "upstream/plain_exchange.h"

#include <algorithm>
#include <array>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"
#include "dns/read_octets.h"
#include "dns/writer.h"
#include "upstream/due_wheel.h"
#include "upstream/random_source.h"
#include "upstream/server_sockets.h"
#include "upstream/server_state.h"
#include "upstream/server_stream.h"

namespace doline::upstream {

namespace {

constexpr std::uint16_t udp_payload_octets = 1'232;  // what passes without fragments (DNS Flag Day 2020)
constexpr std::size_t query_octets_max = dns::header_octets + dns::name_octets_max + 4 + 11;
constexpr int batches_per_wake = 4;  // of one socket: more wait for their next turn
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
  MonotonicTime sent;
  ServerSockets::Seat seat;  // as long as an answer by datagram is listened for
  std::uint16_t server = 0;
  Carrier carrier = Carrier::datagram;
  AttemptState state = AttemptState::waiting;
  bool has_edns = true;
  bool exact_case = true;
};

struct InFlight {
  Request request;
  CasedName cased;
  MonotonicTime deadline;
  Ticket ticket = 0;
  std::uint32_t generation = 0;
  int attempts_count = 0;
  std::array<Attempt, attempts_max> attempts;
  bool is_used = false;
  bool is_probe = false;  ///< of one server, beside an exchange that serves a client: nobody waits for it
  bool was_unreachable = false, has_heard_failure = false;
  bool distrusts_datagrams = false;  ///< malformed ones have come
};

}  // namespace

struct PlainExchange::Impl : std::enable_shared_from_this<Impl> {
  struct Server {
    Server(const Endpoint& endpoint, asio::io_context& loop, RandomSource& random,
           std::function<void(std::uint16_t socket)> readable)
        : state(endpoint), sockets(loop, endpoint, random, std::move(readable)) {}
    ServerState state;
    ServerSockets sockets;
    std::unique_ptr<ServerStream> stream;  // made when first needed
  };
  /// An attempt, as long as its exchange lasts.
  struct Place {
    std::uint32_t slot, index;
  };
  struct RouteState {
    Route route;
    std::vector<std::unique_ptr<Server>> servers;
  };

  Impl(asio::io_context& loop_in, const Options& options_in)
      : loop(loop_in), options(options_in), timer(loop_in), words(dns::message_octets_max) {}

  /// Once, before all else: what waits on the loop needs to hold us.
  void begin_routes() {
    for (RouteIndex index = 0; index < options.routes.size(); ++index) {
      RouteState& route = routes.emplace_back();
      route.route = options.routes[index];
      for (std::uint16_t i = 0; i < route.route.servers.size(); ++i)
        route.servers.push_back(std::make_unique<Server>(
            route.route.servers[i], loop, random, [weak = weak_from_this(), index, i](std::uint16_t socket) {
              if (const std::shared_ptr<Impl> self = weak.lock(); self && !self->is_stopped)
                self->drain(index, i, socket);
            }));
    }
  }

  // ── turns of the loop ──────────────────────────────────────────────────────────────────────────────────────────────

  /// A turn begins in which questions may land.
  void begin_turn() {
    now = std::chrono::steady_clock::now();
    has_begun_landings = false;
  }

  void land(Ticket ticket, const Result<Reply, ExchangeFault>& result) {
    if (!std::exchange(has_begun_landings, true)) landing->begin_landings();
    landing->land(ticket, result);
  }

  /// Sending may fail, and so make others be asked.
  void send_queries() {
    for (std::size_t i = 0; i < unsent.size() && !is_stopped; ++i) {
      const auto at = unsent[i];
      routes[at.route].servers[at.server]->sockets.flush(
          batch,
          [&](std::uint16_t asker) {
            if (!is_stopped) note_unsent(place_of_asker(asker));
          },
          [this, at](std::uint16_t socket) { note_refusals(at.route, at.server, socket); });
    }
    unsent.clear();
  }

  // ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  void ask(const Request& request, Ticket ticket, MonotonicTime at) {
    check(landing != nullptr && request.route < routes.size());
    now = at;
    if (in_flight_count == exchanges_max) {
      post_fault(ticket, ExchangeFault::overloaded);
      return;
    }
    const std::uint32_t slot = begin(request);
    InFlight& exchange = *exchanges[slot];
    exchange.ticket = ticket;
    if (!advance(slot)) {
      // Never from inside ask(): it lands in a later turn of the loop.
      post_fault(ticket, fault_of(exchange));
      release(slot);
      return;
    }
    if (routes[request.route].servers.size() > 1) ask_beside(slot);
  }

  std::uint32_t begin(const Request& request) {
    const std::uint32_t slot = take_slot();
    InFlight& exchange = *exchanges[slot];
    exchange.request = request;
    exchange.deadline = now + routes[request.route].route.timeout;
    if (options.randomise_case) exchange.cased.draw(request.question.qname, random);
    return slot;
  }

  void post_fault(Ticket ticket, ExchangeFault fault) {
    ++faults_posted;
    asio::post(loop, [weak = weak_from_this(), ticket, fault] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self || self->is_stopped) return;
      --self->faults_posted;
      self->begin_turn();
      self->land(ticket, fail(fault));
    });
  }

  std::uint32_t take_slot() {
    ++in_flight_count;
    if (free_slots.empty()) {
      exchanges.push_back(std::make_unique<InFlight>());
      exchanges.back()->is_used = true;
      return static_cast<std::uint32_t>(exchanges.size() - 1);
    }
    const std::uint32_t slot = free_slots.back();
    free_slots.pop_back();
    exchanges[slot]->is_used = true;
    return slot;
  }

  void release(std::uint32_t slot) {
    InFlight& exchange = *exchanges[slot];
    for (int i = 0; i < exchange.attempts_count; ++i) leave(exchange, exchange.attempts[i]);
    dues.clear(slot);
    exchange.attempts_count = 0;
    exchange.is_used = exchange.is_probe = false;
    exchange.was_unreachable = exchange.has_heard_failure = exchange.distrusts_datagrams = false;
    ++exchange.generation;
    free_slots.push_back(slot);
    --in_flight_count;
  }

  /// No answer by datagram is listened for any more.
  void leave(const InFlight& exchange, Attempt& attempt) {
    if (!attempt.seat.is_taken()) return;
    server_of(exchange, attempt).sockets.leave(attempt.seat);
    attempt.seat = {};
  }

  Server& server_of(const InFlight& exchange, const Attempt& attempt) {
    return *routes[exchange.request.route].servers[attempt.server];
  }

  /// Asks the next server, and the one after where that cannot be sent to. False: there is none, and nothing to wait
  /// for.
  bool advance(std::uint32_t slot) {
    InFlight& exchange = *exchanges[slot];
    while (exchange.attempts_count < attempts_max) {
      const std::optional<std::uint16_t> server = choose(exchange);
      if (!server) break;
      const ServerState& state = routes[exchange.request.route].servers[*server]->state;
      const int tried = tries(exchange, *server);
      const Carrier carrier = exchange.distrusts_datagrams ? Carrier::stream : Carrier::datagram;
      if (!send(slot, *server, carrier)) continue;
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
    if (route.servers.size() == 1 && exchange.attempts_count == 0) return 0;
    struct Rank {
      int tries;
      std::uint64_t order;
      auto operator<=>(const Rank&) const = default;
    };
    std::optional<std::uint16_t> best;
    Rank best_rank{};
    for (std::size_t i = 0; i < route.servers.size(); ++i) {
      if (has_failed(exchange, i)) continue;
      const ServerState& server = route.servers[i]->state;
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
  void ask_beside(std::uint32_t slot) {
    const InFlight& exchange = *exchanges[slot];
    RouteState& route = routes[exchange.request.route];
    for (std::size_t i = 0; i < route.servers.size(); ++i) {
      const auto server = static_cast<std::uint16_t>(i);
      if (tries(exchange, i) > 0) continue;
      if (route.servers[i]->state.take_probe(now))
        probe(exchange.request, server);
      else if (route.route.strategy == Route::Strategy::parallel && route.servers[i]->state.is_up() &&
               exchange.attempts_count < attempts_max - 1)
        (void)send(slot, server, Carrier::datagram);
    }
    if (route.route.strategy == Route::Strategy::fastest && random.below(measure_one_in) == 0)
      probe(exchange.request, static_cast<std::uint16_t>(random.below(route.servers.size())));
  }

  void probe(const Request& request, std::uint16_t server) {
    if (in_flight_count == exchanges_max) return;
    const std::uint32_t slot = begin(request);
    exchanges[slot]->is_probe = true;
    if (send(slot, server, Carrier::datagram))
      schedule(slot, exchanges[slot]->deadline);
    else
      release(slot);
  }

  // ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// False where it cannot be sent; then the attempt has failed.
  bool send(std::uint32_t slot, std::uint16_t server_index, Carrier carrier) {
    const InFlight& exchange = *exchanges[slot];
    const ServerState& server = routes[exchange.request.route].servers[server_index]->state;
    return transmit(slot, server_index, carrier, now >= server.without_edns_until,
                    options.randomise_case && now >= server.without_case_until);
  }

  bool transmit(std::uint32_t slot, std::uint16_t server_index, Carrier carrier, bool has_edns, bool exact_case) {
    InFlight& exchange = *exchanges[slot];
    Server& server = *routes[exchange.request.route].servers[server_index];
    const auto index = static_cast<std::uint32_t>(exchange.attempts_count++);
    Attempt& attempt = exchange.attempts[index];
    attempt = {.sent = now,
               .seat = {},
               .server = server_index,
               .carrier = carrier,
               .state = AttemptState::waiting,
               .has_edns = has_edns,
               .exact_case = exact_case};
    ++server.state.asked;
    if (carrier == Carrier::stream ? send_by_stream(slot, index) : queue_datagram(slot, index)) return true;
    note_failure_to_send(exchange, attempt);
    return false;
  }

  void note_failure_to_send(InFlight& exchange, Attempt& attempt) {
    attempt.state = AttemptState::failed;
    exchange.was_unreachable = true;
    ++server_of(exchange, attempt).state.failed;
  }

  std::size_t write_query(const InFlight& exchange, const Attempt& attempt, std::uint16_t id,
                          std::span<std::uint8_t> space) const {
    dns::MessageWriter writer(space);
    writer.header(id,
                  {.response = false,
                   .recursion_desired = true,
                   .recursion_available = false,
                   .authentic_data = true,  // "understood" in responses (RFC 6840 §5.7)
                   .checking_disabled = exchange.request.checking_disabled},
                  dns::ResponseCode::noerror);
    check(writer.question(exchange.request.question));
    if (attempt.exact_case) {
      const auto sent = exchange.cased.wire();
      std::copy(sent.begin(), sent.end(), space.begin() + dns::header_octets);
    }
    if (attempt.has_edns)
      check(writer.opt({.udp_payload_size = udp_payload_octets, .dnssec_ok = exchange.request.dnssec_ok}));
    return writer.size();
  }

  /// What the answer must echo.
  static dns::Octets sent_qname(const InFlight& exchange, const Attempt& attempt) {
    return attempt.exact_case ? exchange.cased.wire() : dns::Octets();
  }

  bool queue_datagram(std::uint32_t slot, std::uint32_t index) {
    InFlight& exchange = *exchanges[slot];
    Attempt& attempt = exchange.attempts[index];
    ServerSockets& sockets = server_of(exchange, attempt).sockets;
    sockets.each_to_give_up(now, [&](std::uint16_t asker) { give_up(place_of_asker(asker)); });
    const auto seat = sockets.sit(asker_of(slot, index), now);
    if (!seat) return false;
    attempt.seat = *seat;
    const std::size_t octets = write_query(exchange, attempt, sockets.id(*seat), sockets.room_for(query_octets_max));
    if (sockets.queue(*seat, octets)) unsent.push_back({exchange.request.route, attempt.server});
    return true;
  }

  bool send_by_stream(std::uint32_t slot, std::uint32_t index) {
    const InFlight& exchange = *exchanges[slot];
    const Attempt& attempt = exchange.attempts[index];
    std::array<std::uint8_t, query_octets_max> space;
    const std::size_t octets = write_query(exchange, attempt, 0, space);
    std::unique_ptr<ServerStream>& stream = routes[exchange.request.route].servers[attempt.server]->stream;
    if (!stream)
      stream = std::make_unique<ServerStream>(
          loop, routes[exchange.request.route].route.servers[attempt.server], random,
          [weak = weak_from_this()](std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
            if (const std::shared_ptr<Impl> self = weak.lock()) self->take_from_stream(ticket, message);
          });
    return stream->ask({space.data(), octets}, stream_ticket_of(exchange, slot, index));
  }

  /// The socket is needed for others; its attempt is listened for no longer.
  void give_up(Place place) {
    InFlight& exchange = *exchanges[place.slot];
    Attempt& attempt = exchange.attempts[place.index];
    leave(exchange, attempt);
    if (attempt.state != AttemptState::failed) attempt.state = AttemptState::replaced;
  }

  /// The kernel would not send it.
  void note_unsent(Place place) {
    InFlight& exchange = *exchanges[place.slot];
    Attempt& attempt = exchange.attempts[place.index];
    leave(exchange, attempt);
    const bool was_awaited = attempt.state == AttemptState::waiting || attempt.state == AttemptState::overdue;
    note_failure_to_send(exchange, attempt);
    if (exchange.is_probe)
      release(place.slot);
    else if (was_awaited)
      go_on(place.slot);
  }

  // ── numbers that lead back to an attempt ───────────────────────────────────────────────────────────────────────────

  static_assert(attempts_max <= 8 && exchanges_max * 8 <= QuestionTable::nobody);
  static std::uint16_t asker_of(std::uint32_t slot, std::uint32_t index) {
    return static_cast<std::uint16_t>(slot << 3 | index);
  }
  /// Of one that has its seat still, so that its exchange lasts.
  static Place place_of_asker(std::uint16_t asker) { return {std::uint32_t{asker} >> 3, std::uint32_t{asker} & 7}; }

  /// A stream's tells whether the exchange still lasts.
  static std::uint64_t stream_ticket_of(const InFlight& exchange, std::uint32_t slot, std::uint32_t index) {
    return std::uint64_t{exchange.generation} << 32 | slot << 3 | index;
  }
  [[nodiscard]] std::optional<Place> place_of_ticket(std::uint64_t ticket) const {
    const auto slot = static_cast<std::uint32_t>(ticket) >> 3;
    const InFlight& exchange = *exchanges[slot];
    if (!exchange.is_used || exchange.generation != ticket >> 32) return std::nullopt;
    return Place{slot, static_cast<std::uint32_t>(ticket & 7)};
  }

  // ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void drain(RouteIndex route, std::uint16_t server, std::uint16_t socket) {
    begin_turn();
    ServerSockets& sockets = routes[route].servers[server]->sockets;
    const std::uint32_t generation = sockets.generation(socket);
    for (int round = 0; round < batches_per_wake; ++round) {
      const int count = sockets.receive(socket, batch);
      if (count < 0 && count != -EAGAIN) note_refusals(route, server, socket);
      for (int i = 0; i < count; ++i) {
        take_datagram(sockets, socket, static_cast<std::size_t>(i));
        // What has landed may have ended this exchange, or the last question of this socket.
        if (is_stopped || sockets.generation(socket) != generation) return;
      }
      if (count == -EAGAIN || (count >= 0 && count < static_cast<int>(datagrams_per_call))) break;
    }
    // Without questions nobody listens, whatever comes.
    if (sockets.is_waited_for(socket)) sockets.watch(socket);
  }

  void take_datagram(const ServerSockets& sockets, std::uint16_t socket, std::size_t i) {
    const mmsghdr& message = batch.messages[i];
    const dns::Octets octets(batch.answers[i].data(), message.msg_len);
    if (octets.size() < dns::header_octets || (message.msg_hdr.msg_flags & MSG_TRUNC) != 0) return;
    const std::uint16_t asker = sockets.find(socket, dns::read16(octets, 0));
    if (asker != QuestionTable::nobody) judge(place_of_asker(asker), octets);
  }

  void note_refusals(RouteIndex route, std::uint16_t server, std::uint16_t socket) {
    routes[route].servers[server]->sockets.each_on(socket,
                                                   [&](std::uint16_t asker) { note_refusal(place_of_asker(asker)); });
  }

  /// ICMP says that nobody is there. Anyone may have sent that: the wait goes on, but others are asked at once.
  void note_refusal(Place place) {
    InFlight& exchange = *exchanges[place.slot];
    exchange.was_unreachable = true;
    Attempt& attempt = exchange.attempts[place.index];
    if (attempt.state != AttemptState::waiting || exchange.is_probe) return;
    const std::size_t servers = routes[exchange.request.route].servers.size();
    for (std::size_t i = 0; i < servers; ++i)
      if (tries(exchange, i) == 0) {
        attempt.state = AttemptState::overdue;
        (void)advance(place.slot);
        return;
      }
  }

  void take_from_stream(std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
    if (is_stopped) return;
    begin_turn();
    const auto place = place_of_ticket(ticket);
    if (!place) return;
    if (message) {
      judge(*place, *message);
      return;
    }
    InFlight& exchange = *exchanges[place->slot];
    Attempt& attempt = exchange.attempts[place->index];
    ServerState& server = server_of(exchange, attempt).state;
    ++server.failed;
    exchange.was_unreachable = true;
    if (attempt.exact_case && has_lost_case(exchange, attempt.server)) {
      // It does not keep the case, and has no TCP by which that could be believed at once.
      attempt.state = AttemptState::replaced;
      server.without_case_until = now + quirk_time;
      ask_again(*place, Carrier::datagram);
      return;
    }
    attempt.state = AttemptState::failed;
    go_on(place->slot);
  }

  void judge(Place place, dns::Octets message) {
    InFlight& exchange = *exchanges[place.slot];
    Attempt& attempt = exchange.attempts[place.index];
    ServerState& server = server_of(exchange, attempt).state;
    const dns::Question& question = exchange.request.question;
    auto accepted = accept(message, question, sent_qname(exchange, attempt), words);
    if (attempt.carrier == Carrier::stream && attempt.exact_case && !accepted &&
        accepted.error() == AcceptFault::other_question) {
      // Nobody else can speak on this stream: the server does not keep the case.
      accepted = accept(message, question, {}, words);
      if (accepted || accepted.error() != AcceptFault::other_question) server.without_case_until = now + quirk_time;
    }
    if (exchange.is_probe) {
      if (!accepted && (accepted.error() == AcceptFault::other_question || accepted.error() == AcceptFault::malformed))
        return;
      server.note_answer(now, round_trip(attempt, server));
      ++server.answered;
      release(place.slot);
      return;
    }
    if (accepted) {
      server.note_answer(now, round_trip(attempt, server));
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
        server.note_answer(now, round_trip(attempt, server));
        leave(exchange, attempt);
        attempt.state = AttemptState::replaced;
        ask_again(place, Carrier::stream);
        return;
      case AcceptFault::server_failed:
        server.note_answer(now, round_trip(attempt, server));
        if (attempt.has_edns && is_code_without_edns(message)) {
          attempt.state = AttemptState::replaced;
          leave(exchange, attempt);
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
    leave(exchange, attempt);
    attempt.state = AttemptState::failed;
    go_on(place.slot);
  }

  /// Of a stream it holds the way to begin; then what was known before is kept.
  [[nodiscard]] std::chrono::nanoseconds round_trip(const Attempt& attempt, const ServerState& server) const {
    if (attempt.carrier == Carrier::stream && server.round_trip() > microseconds(0)) return server.round_trip();
    return now - attempt.sent;
  }

  /// RFC 6891 §7: what servers say that do not know EDNS.
  static bool is_code_without_edns(dns::Octets message) {
    const auto code = static_cast<dns::ResponseCode>(message[3] & 0x0f);
    return code == dns::ResponseCode::formerr || code == dns::ResponseCode::notimp;
  }

  bool echoes_without_case(dns::Octets message, const dns::Question& question) {
    const auto accepted = accept(message, question, {}, words);
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
    InFlight& exchange = *exchanges[place.slot];
    if (exchange.attempts_count == attempts_max) {
      exchange.attempts[place.index].state = AttemptState::failed;
      go_on(place.slot);
      return;
    }
    const Attempt& before = exchange.attempts[place.index];
    const std::uint16_t server_index = before.server;
    const ServerState& server = server_of(exchange, before).state;
    if (!transmit(place.slot, server_index, carrier, before.has_edns && with_edns,
                  before.exact_case && now >= server.without_case_until)) {
      go_on(place.slot);
    } else {
      schedule(place.slot, std::min(exchange.deadline, now + wait_for(server, 0, carrier)));
    }
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// After a failure: to the next server, unless another one is waited for in time.
  void go_on(std::uint32_t slot) {
    if (awaits_in_time(*exchanges[slot])) return;
    if (!advance(slot)) end_in_fault(slot);
  }

  void succeed(std::uint32_t slot, const Accepted& accepted, const Endpoint& server) {
    const Ticket ticket = exchanges[slot]->ticket;
    release(slot);
    land(ticket, Reply{{words.data(), accepted.size}, accepted, server});
  }

  void end_in_fault(std::uint32_t slot) {
    const ExchangeFault fault = fault_of(*exchanges[slot]);
    const Ticket ticket = exchanges[slot]->ticket;
    release(slot);
    land(ticket, fail(fault));
  }

  static ExchangeFault fault_of(const InFlight& exchange) {
    if (exchange.has_heard_failure) return ExchangeFault::server_failed;
    if (exchange.was_unreachable || exchange.attempts_count == 0) return ExchangeFault::unreachable;
    return ExchangeFault::timeout;
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  void schedule(std::uint32_t slot, MonotonicTime at) {
    dues.set(slot, at, now);
    if (at < armed_for) arm();
  }

  /// The timer is set anew only for an earlier time; what is no longer due is found out when its time comes.
  void arm() {
    const auto next = dues.next();
    if (!next || *next >= armed_for) return;
    armed_for = *next;
    timer.expires_at(armed_for);
    timer.async_wait([weak = weak_from_this()](const std::error_code& error) {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self || error || self->is_stopped) return;
      self->armed_for = MonotonicTime::max();
      self->take_dues();
    });
  }

  void take_dues() {
    begin_turn();
    dues.take_due(now, [&](std::uint32_t slot) {
      if (exchanges[slot]->is_used) overdue(slot);
      return !is_stopped;
    });
    if (!is_stopped) arm();
  }

  void overdue(std::uint32_t slot) {
    InFlight& exchange = *exchanges[slot];
    RouteState& route = routes[exchange.request.route];
    for (int i = 0; i < exchange.attempts_count; ++i) {
      Attempt& attempt = exchange.attempts[i];
      if (attempt.state != AttemptState::waiting) continue;
      attempt.state = AttemptState::overdue;
      ServerState& server = route.servers[attempt.server]->state;
      ++server.failed;
      // A server may have no TCP, or have been asked beside a faster one.
      if (attempt.carrier == Carrier::datagram && now - attempt.sent >= server.retry_timeout(0))
        server.note_silence(now, attempt.sent);
    }
    if (exchange.is_probe) {
      release(slot);
      return;
    }
    if (now >= exchange.deadline || !advance(slot)) end_in_fault(slot);
  }

  void stop() {
    is_stopped = true;
    timer.cancel();
    for (RouteState& route : routes)
      for (const auto& server : route.servers) server->stream.reset();
  }

  std::vector<ServerHealth> health() const {
    std::vector<ServerHealth> all;
    for (const RouteState& route : routes)
      for (const auto& server : route.servers) {
        const ServerState& state = server->state;
        all.push_back({state.endpoint, route.route.name, state.is_up(), state.round_trip(), state.asked, state.answered,
                       state.failed});
      }
    return all;
  }

  asio::io_context& loop;
  const Options options;
  Landing* landing = nullptr;
  RandomSource random;
  std::vector<RouteState> routes;
  std::vector<std::unique_ptr<InFlight>> exchanges;  // grows to what was once in flight
  std::vector<std::uint32_t> free_slots;
  int in_flight_count = 0;
  std::size_t faults_posted = 0;
  MonotonicTime now;  // of this turn of the loop
  bool has_begun_landings = false;
  struct Unsent {
    RouteIndex route;
    std::uint16_t server;
  };
  std::vector<Unsent> unsent;  // who has queries that wait for flush()
  DueWheel dues;               // by slot
  asio::steady_timer timer;
  MonotonicTime armed_for = MonotonicTime::max();
  bool is_stopped = false;
  DatagramBatch batch;
  std::vector<std::uint8_t> words;
};

PlainExchange::PlainExchange(asio::io_context& loop, const Options& options)
    : impl_(std::make_shared<Impl>(loop, options)) {
  impl_->begin_routes();
}

PlainExchange::~PlainExchange() {
  impl_->stop();
}

void PlainExchange::land_on(Landing& landing) {
  impl_->landing = &landing;
}

void PlainExchange::ask(const Request& request, Ticket ticket, MonotonicTime now) {
  impl_->ask(request, ticket, now);
}

void PlainExchange::flush() {
  impl_->has_begun_landings = false;
  if (impl_->unsent.empty()) return;
  const std::shared_ptr<Impl> impl = impl_;  // what lands may end us
  impl->send_queries();
}

std::size_t PlainExchange::in_flight() const {
  return static_cast<std::size_t>(impl_->in_flight_count) + impl_->faults_posted;
}

std::vector<ServerHealth> PlainExchange::health() const {
  return impl_->health();
}

}  // namespace doline::upstream
