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

struct Server {
  Server(const Endpoint& endpoint, asio::io_context& loop, RandomSource& random,
         std::function<void(std::uint16_t socket)> readable)
      : state(endpoint), sockets(loop, endpoint, random, std::move(readable)) {}
  ServerState state;
  ServerSockets sockets;
  std::unique_ptr<ServerStream> stream;  // made when first needed
};

struct Attempt {
  Server* server = nullptr;
  MonotonicTime sent;
  ServerSockets::Seat seat;  // as long as an answer by datagram is listened for
  Carrier carrier = Carrier::datagram;
  AttemptState state = AttemptState::waiting;
  bool has_edns = true;
  bool exact_case = true;
  bool is_silence = false;  ///< it counts for its server
};

enum class Purpose : std::uint8_t {
  client,  ///< its question has not landed
  probe,   ///< of one server, beside an exchange that serves a client
  late,    ///< its question has landed: nobody new is asked, but what comes may be known to who asks next
};

struct InFlight {
  Request request;
  CasedName cased;
  MonotonicTime deadline;
  Ticket ticket = 0;
  std::uint32_t slot = 0;        ///< where it stands
  std::uint32_t generation = 0;  ///< of those that stood there
  std::size_t attempts_count = 0;
  int repetitions = 0;  ///< of the attempts, at servers that had been asked before
  bool is_used = false;
  Purpose purpose = Purpose::client;
  bool was_unreachable = false, has_heard_failure = false;
  Complaint complaint;               ///< where a failure was heard
  bool distrusts_datagrams = false;  ///< malformed ones have come
  std::array<Attempt, attempts_max> attempts;

  [[nodiscard]] std::span<Attempt> made() { return std::span(attempts).first(attempts_count); }
  [[nodiscard]] std::span<const Attempt> made() const { return std::span(attempts).first(attempts_count); }
};

}  // namespace

struct PlainExchange::Impl : std::enable_shared_from_this<Impl> {
  struct Place {
    InFlight& exchange;
    Attempt& attempt;
  };
  struct RouteState {
    Route route;
    std::vector<std::unique_ptr<Server>> servers;
  };

  Impl(asio::io_context& loop_in, const Options& options_in, const TtlBounds& bounds_in)
      : loop(loop_in), options(options_in), bounds(bounds_in), timer(loop_in), words(dns::message_octets_max) {}

  /// Once, before all else: what waits on the loop needs to hold us.
  void begin_routes() {
    for (RouteIndex index = 0; index < options.routes.size(); ++index) {
      RouteState& route = routes.emplace_back();
      route.route = options.routes[index];
      check(route.route.servers.size() <= servers_max);
      for (std::uint16_t i = 0; i < route.route.servers.size(); ++i)
        route.servers.push_back(std::make_unique<Server>(
            route.route.servers[i], loop, random, [weak = weak_from_this(), index, i](std::uint16_t socket) {
              if (const std::shared_ptr<Impl> self = weak.lock(); self && !self->is_stopped)
                self->drain(*self->routes[index].servers[i], socket);
            }));
    }
  }

  // ── turns of the loop ──────────────────────────────────────────────────────────────────────────────────────────────

  /// A turn begins in which questions may land.
  void begin_turn() {
    now = std::chrono::steady_clock::now();
    has_begun_landings = false;
  }

  void land(Ticket ticket, const Result<Reply, Failure>& result) {
    if (!std::exchange(has_begun_landings, true)) landing->begin_landings();
    landing->land(ticket, result);
  }

  /// Sending may fail, and so make others be asked.
  void send_queries() {
    for (std::size_t i = 0; i < unsent.size() && !is_stopped; ++i) {
      Server& server = *unsent[i];
      server.sockets.flush(
          batch,
          [&](QuestionTable::Asker asker) {
            if (!is_stopped) note_unsent(place_of_asker(asker));
          },
          [&](std::uint16_t socket) { note_refusals(server, socket); });
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
    InFlight& exchange = begin(request);
    exchange.ticket = ticket;
    if (!advance(exchange)) {
      // Never from inside ask(): it lands in a later turn of the loop.
      post_fault(ticket, fault_of(exchange));
      release(exchange);
      return;
    }
    if (routes[request.route].servers.size() > 1) ask_beside(exchange);
  }

  InFlight& begin(const Request& request) {
    InFlight& exchange = take_slot();
    exchange.request = request;
    exchange.deadline = now + routes[request.route].route.timeout;
    if (options.randomise_case) exchange.cased.draw(request.question.qname, random);
    return exchange;
  }

  void post_fault(Ticket ticket, ExchangeFault fault) {
    ++faults_posted;
    asio::post(loop, [weak = weak_from_this(), ticket, fault] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self || self->is_stopped) return;
      --self->faults_posted;
      self->begin_turn();
      self->land(ticket, fail(Failure{fault}));
    });
  }

  InFlight& take_slot() {
    ++in_flight_count;
    if (free_slots.empty()) {
      free_slots.push_back(static_cast<std::uint32_t>(exchanges.size()));
      exchanges.push_back(std::make_unique<InFlight>());
      exchanges.back()->slot = free_slots.back();
    }
    InFlight& exchange = *exchanges[free_slots.back()];
    free_slots.pop_back();
    exchange.is_used = true;
    return exchange;
  }

  void release(InFlight& exchange) {
    for (Attempt& attempt : exchange.made()) leave(attempt);
    dues.clear(exchange.slot);
    exchange.attempts_count = 0;
    exchange.repetitions = 0;
    if (exchange.purpose == Purpose::late) --late_count;
    exchange.purpose = Purpose::client;
    exchange.is_used = false;
    exchange.was_unreachable = exchange.has_heard_failure = exchange.distrusts_datagrams = false;
    ++exchange.generation;
    free_slots.push_back(exchange.slot);
    --in_flight_count;
  }

  /// No answer by datagram is listened for any more.
  static void leave(Attempt& attempt) {
    if (!attempt.seat.is_taken()) return;
    attempt.server->sockets.leave(attempt.seat);
    attempt.seat = {};
  }

  /// Asks the next server, and the one after where that cannot be sent to. False: there is none, and nothing to wait
  /// for.
  bool advance(InFlight& exchange) {
    while (Server* const server = choose(exchange)) {
      const int tried = tries(exchange, *server);
      const Carrier carrier = exchange.distrusts_datagrams ? Carrier::stream : Carrier::datagram;
      if (!send(exchange, *server, carrier)) continue;
      schedule(exchange, std::min(exchange.deadline, now + wait_for(exchange, server->state, tried, carrier)));
      return true;
    }
    if (!awaits_anything(exchange)) return false;
    schedule(exchange, exchange.deadline);
    return true;
  }

  [[nodiscard]] milliseconds wait_for(const InFlight& exchange, const ServerState& server, int tried,
                                      Carrier carrier) const {
    // A stream does its own repetitions, and needs round trips to begin.
    if (carrier == Carrier::stream) return std::max(retry_timeout_max, 3 * server.retry_timeout(tried));
    // Though all before the last are silent, that one has its turn too.
    const Route& route = routes[exchange.request.route].route;
    return std::min(server.retry_timeout(tried), route.timeout / static_cast<int>(route.servers.size()));
  }

  static int tries(const InFlight& exchange, const Server& server) {
    int count = 0;
    for (const Attempt& attempt : exchange.made()) count += attempt.server == &server ? 1 : 0;
    return count;
  }
  static bool has_failed(const InFlight& exchange, const Server& server) {
    return std::ranges::any_of(exchange.made(), [&](const Attempt& attempt) {
      return attempt.server == &server && attempt.state == AttemptState::failed;
    });
  }
  /// Someone is waited for, of whom no failure is known.
  static bool awaits_anything(const InFlight& exchange) {
    return std::ranges::any_of(exchange.made(), [&](const Attempt& attempt) {
      return (attempt.state == AttemptState::waiting || attempt.state == AttemptState::overdue) &&
             !has_failed(exchange, *attempt.server);
    });
  }
  static bool awaits_datagram(const InFlight& exchange) {
    return std::ranges::any_of(exchange.made(), [](const Attempt& attempt) {
      return attempt.state == AttemptState::overdue && attempt.seat.is_taken();
    });
  }
  /// Someone is waited for whose time has not come yet.
  static bool awaits_in_time(const InFlight& exchange) {
    return std::ranges::any_of(exchange.made(),
                               [](const Attempt& attempt) { return attempt.state == AttemptState::waiting; });
  }

  /// The server asked least in this exchange, up before down, by the route's strategy; null: none may be asked (again).
  Server* choose(const InFlight& exchange) {
    const RouteState& route = routes[exchange.request.route];
    if (route.servers.size() == 1 && exchange.attempts_count == 0) return route.servers.front().get();
    struct Rank {
      int tries;
      std::uint64_t order;
      auto operator<=>(const Rank&) const = default;
    };
    Server* best = nullptr;
    Rank best_rank{};
    for (std::size_t i = 0; i < route.servers.size(); ++i) {
      Server& server = *route.servers[i];
      const int tried = tries(exchange, server);
      if (tried > 0 && (exchange.repetitions == repetitions_max || has_failed(exchange, server))) continue;
      std::uint64_t order = i;
      if (route.route.strategy == Route::Strategy::fastest)
        order = static_cast<std::uint64_t>(server.state.round_trip().count());
      else if (route.route.strategy == Route::Strategy::balance)
        order = random.next<std::uint32_t>();
      const Rank rank{tried + (server.state.is_up() ? 0 : 1), order};
      if (best != nullptr && best_rank <= rank) continue;
      best = &server;
      best_rank = rank;
    }
    return best;
  }

  /// Others that are asked at the same time: all for `parallel`; one that is down and may be up again; one whose speed
  /// should be known.
  void ask_beside(InFlight& exchange) {
    RouteState& route = routes[exchange.request.route];
    for (const auto& server : route.servers) {
      if (tries(exchange, *server) > 0) continue;
      if (server->state.take_probe(now))
        probe(exchange.request, *server);
      else if (route.route.strategy == Route::Strategy::parallel && server->state.is_up())
        (void)send(exchange, *server, Carrier::datagram);
    }
    if (route.route.strategy == Route::Strategy::fastest && random.below(measure_one_in) == 0)
      probe(exchange.request, *route.servers[random.below(route.servers.size())]);
  }

  void probe(const Request& request, Server& server) {
    if (in_flight_count == exchanges_max) return;
    InFlight& exchange = begin(request);
    exchange.purpose = Purpose::probe;
    if (send(exchange, server, Carrier::datagram))
      schedule(exchange, exchange.deadline);
    else
      release(exchange);
  }

  // ── sending ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// False where it cannot be sent; then the attempt has failed.
  bool send(InFlight& exchange, Server& server, Carrier carrier) {
    return transmit(exchange, server, carrier, now >= server.state.without_edns_until,
                    options.randomise_case && now >= server.state.without_case_until);
  }

  bool transmit(InFlight& exchange, Server& server, Carrier carrier, bool has_edns, bool exact_case) {
    if (tries(exchange, server) > 0) ++exchange.repetitions;
    Attempt& attempt = exchange.attempts[exchange.attempts_count++];
    attempt = {.server = &server,
               .sent = now,
               .seat = {},
               .carrier = carrier,
               .state = AttemptState::waiting,
               .has_edns = has_edns,
               .exact_case = exact_case};
    ++server.state.asked;
    const Place place{exchange, attempt};
    if (carrier == Carrier::stream ? send_by_stream(place) : queue_datagram(place)) return true;
    note_failure_to_send(place);
    return false;
  }

  void note_failure_to_send(Place place) {
    auto& [exchange, attempt] = place;
    attempt.state = AttemptState::failed;
    exchange.was_unreachable = true;
    ++attempt.server->state.failed;
    // A stream fails where too many wait.
    if (attempt.carrier == Carrier::datagram) note_silence(place);
  }

  /// Of several attempts at one server one counts: else a single question that it does not answer marks it down.
  void note_silence(Place place) {
    auto& [exchange, attempt] = place;
    if (has_been_silent(exchange, *attempt.server)) return;
    attempt.is_silence = true;
    attempt.server->state.note_silence(now, attempt.sent, exchange.request.question.qname);
  }
  static bool has_been_silent(const InFlight& exchange, const Server& server) {
    return std::ranges::any_of(exchange.made(),
                               [&](const Attempt& attempt) { return attempt.server == &server && attempt.is_silence; });
  }

  static std::size_t write_query(Place place, std::uint16_t id, std::span<std::uint8_t> space) {
    const auto& [exchange, attempt] = place;
    dns::MessageWriter writer(space);
    writer.header(id,
                  {.response = false,
                   .recursion_desired = true,
                   .recursion_available = false,
                   .authentic_data = true,  // "understood" in responses (RFC 6840 §5.7)
                   .checking_disabled = exchange.request.checking_disabled},
                  dns::ResponseCode::noerror);
    const dns::Question& question = exchange.request.question;
    check(writer.question(question, attempt.exact_case ? exchange.cased.wire() : question.qname.wire()));
    if (attempt.has_edns)
      check(writer.opt({.udp_payload_size = udp_payload_octets, .dnssec_ok = exchange.request.dnssec_ok}));
    return writer.size();
  }

  /// What the answer must echo.
  static dns::Octets sent_qname(Place place) {
    return place.attempt.exact_case ? place.exchange.cased.wire() : dns::Octets();
  }

  bool queue_datagram(Place place) {
    ServerSockets& sockets = place.attempt.server->sockets;
    const auto seat =
        sockets.sit(asker_of(place), now, [&](QuestionTable::Asker asker) { give_up(place_of_asker(asker)); });
    if (!seat) return false;
    place.attempt.seat = *seat;
    const std::size_t octets = write_query(place, sockets.id(*seat), sockets.room_for(query_octets_max));
    if (sockets.queue(*seat, octets)) unsent.push_back(place.attempt.server);
    return true;
  }

  bool send_by_stream(Place place) {
    std::array<std::uint8_t, query_octets_max> space;
    const std::size_t octets = write_query(place, 0, space);
    Server& server = *place.attempt.server;
    if (!server.stream)
      server.stream = std::make_unique<ServerStream>(
          loop, server.state.endpoint, random,
          [weak = weak_from_this()](std::uint64_t ticket, const Result<dns::Octets, ServerStreamFault>& message) {
            if (const std::shared_ptr<Impl> self = weak.lock()) self->take_from_stream(ticket, message);
          });
    return server.stream->ask({space.data(), octets}, stream_ticket_of(place), place.exchange.deadline);
  }

  /// The socket is needed for others; its attempt is listened for no longer.
  static void give_up(Place place) {
    leave(place.attempt);
    if (place.attempt.state != AttemptState::failed) place.attempt.state = AttemptState::replaced;
  }

  /// The kernel would not send it.
  void note_unsent(Place place) {
    auto& [exchange, attempt] = place;
    leave(attempt);
    const bool was_awaited = attempt.state == AttemptState::waiting || attempt.state == AttemptState::overdue;
    note_failure_to_send(place);
    if (exchange.purpose == Purpose::probe)
      release(exchange);
    else if (was_awaited)
      go_on(exchange);
  }

  // ── numbers that lead back to an attempt ───────────────────────────────────────────────────────────────────────────

  static constexpr int attempt_bits = 6;
  static_assert(attempts_max <= 1 << attempt_bits && exchanges_max << attempt_bits <= QuestionTable::nobody);
  static QuestionTable::Asker asker_of(Place place) {
    return place.exchange.slot << attempt_bits |
           static_cast<std::uint32_t>(&place.attempt - place.exchange.attempts.data());
  }
  /// Of one that has its seat still, so that its exchange lasts.
  Place place_of_asker(QuestionTable::Asker asker) {
    InFlight& exchange = *exchanges[asker >> attempt_bits];
    return {exchange, exchange.attempts[asker & ((1U << attempt_bits) - 1)]};
  }

  /// A stream's tells whether the exchange still lasts.
  static std::uint64_t stream_ticket_of(Place place) {
    return std::uint64_t{place.exchange.generation} << 32 | asker_of(place);
  }
  [[nodiscard]] std::optional<Place> place_of_ticket(std::uint64_t ticket) {
    const Place place = place_of_asker(static_cast<QuestionTable::Asker>(ticket));
    if (!place.exchange.is_used || place.exchange.generation != ticket >> 32) return std::nullopt;
    return place;
  }

  // ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void drain(Server& server, std::uint16_t socket) {
    begin_turn();
    ServerSockets& sockets = server.sockets;
    const std::uint32_t generation = sockets.generation(socket);
    for (int round = 0; round < batches_per_wake; ++round) {
      const int count = sockets.receive(socket, batch);
      if (count < 0 && count != -EAGAIN) note_refusals(server, socket);
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
    const QuestionTable::Asker asker = sockets.find(socket, dns::read16(octets, 0));
    if (asker != QuestionTable::nobody) judge(place_of_asker(asker), octets);
  }

  /// ICMP says that nobody is there. Anyone may have sent that: it counts as one silence, however many are asked
  /// through this socket, and the wait goes on, but others are asked at once.
  void note_refusals(Server& server, std::uint16_t socket) {
    bool is_counted = false;
    server.sockets.each_on(socket, [&](QuestionTable::Asker asker) {
      const Place place = place_of_asker(asker);
      if (!is_counted && !has_been_silent(place.exchange, server)) {
        is_counted = true;
        note_silence(place);
      }
      note_refusal(place);
    });
  }

  void note_refusal(Place place) {
    auto& [exchange, attempt] = place;
    exchange.was_unreachable = true;
    if (attempt.state != AttemptState::waiting) return;
    pass_over(attempt);
    if (exchange.purpose == Purpose::client && has_someone_left(exchange)) (void)advance(exchange);
  }

  /// It may still answer, but others are asked meanwhile.
  static void pass_over(Attempt& attempt) {
    attempt.state = AttemptState::overdue;
    ++attempt.server->state.failed;
  }

  /// Whom this exchange has not asked yet.
  [[nodiscard]] bool has_someone_left(const InFlight& exchange) const {
    return std::ranges::any_of(routes[exchange.request.route].servers,
                               [&](const auto& server) { return tries(exchange, *server) == 0; });
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
    auto& [exchange, attempt] = *place;
    ServerState& server = attempt.server->state;
    ++server.failed;
    exchange.was_unreachable = true;
    if (attempt.exact_case && has_lost_case(exchange, *attempt.server)) {
      // It does not keep the case, and has no TCP by which that could be believed at once.
      attempt.state = AttemptState::replaced;
      server.without_case_until = now + quirk_time;
      ask_again(*place, Carrier::datagram);
      return;
    }
    attempt.state = AttemptState::failed;
    go_on(exchange);
  }

  void judge(Place place, dns::Octets message) {
    auto& [exchange, attempt] = place;
    if (exchange.purpose == Purpose::client) landing->foresee(exchange.ticket);
    ServerState& server = attempt.server->state;
    const dns::Question& question = exchange.request.question;
    auto accepted = accept(message, question, sent_qname(place), words, bounds);
    if (attempt.carrier == Carrier::stream && attempt.exact_case && !accepted &&
        accepted.error() == AcceptFault::other_question) {
      // Nobody else can speak on this stream: the server does not keep the case.
      accepted = accept(message, question, {}, words, bounds);
      if (accepted || accepted.error() != AcceptFault::other_question) server.without_case_until = now + quirk_time;
    }
    if (exchange.purpose == Purpose::probe) {
      if (!accepted && (accepted.error() == AcceptFault::other_question || accepted.error() == AcceptFault::malformed))
        return;
      server.note_answer(now, round_trip(place, server));
      ++server.answered;
      release(exchange);
      return;
    }
    if (accepted) {
      server.note_answer(now, round_trip(place, server));
      ++server.answered;
      if (!attempt.has_edns) server.without_edns_until = now + quirk_time;
      succeed(exchange, *accepted, server.endpoint);
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
        server.note_answer(now, round_trip(place, server));
        leave(attempt);
        attempt.state = AttemptState::replaced;
        ask_again(place, Carrier::stream);
        return;
      case AcceptFault::server_failed:
        server.note_answer(now, round_trip(place, server));
        if (attempt.has_edns && is_code_without_edns(message)) {
          attempt.state = AttemptState::replaced;
          leave(attempt);
          ask_again(place, attempt.carrier, false);
          return;
        }
        break;
      case AcceptFault::referral:
      case AcceptFault::contradiction:
        server.note_answer(now, round_trip(place, server));
        break;
      case AcceptFault::chain_too_long:
      case AcceptFault::too_large:
        break;
    }
    ++server.failed;
    if (!std::exchange(exchange.has_heard_failure, true) || !exchange.complaint.error)
      exchange.complaint = read_complaint(message, accepted.error(), server.endpoint);
    leave(attempt);
    attempt.state = AttemptState::failed;
    go_on(exchange);
  }

  /// Of a stream it holds the way to begin, and one that took too long speaks of the question; then what was known
  /// before is kept.
  [[nodiscard]] std::chrono::nanoseconds round_trip(Place place, const ServerState& server) const {
    const auto& [exchange, attempt] = place;
    const bool is_usual = attempt.carrier == Carrier::datagram && exchange.purpose != Purpose::late;
    if (!is_usual && server.round_trip() > microseconds(0)) return server.round_trip();
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

  /// Its datagram had the case wrong, so that a better one is still listened for.
  static bool has_lost_case(const InFlight& exchange, const Server& server) {
    return std::ranges::any_of(exchange.made(), [&](const Attempt& attempt) {
      return attempt.server == &server && attempt.seat.is_taken() && attempt.exact_case &&
             attempt.state == AttemptState::replaced;
    });
  }

  /// The same server in another way; it waits as long as a first attempt would.
  void ask_again(Place place, Carrier carrier, bool with_edns = true) {
    auto& [exchange, before] = place;
    if (exchange.repetitions == repetitions_max) {
      before.state = AttemptState::failed;
      go_on(exchange);
      return;
    }
    Server& server = *before.server;
    if (!transmit(exchange, server, carrier, before.has_edns && with_edns,
                  before.exact_case && now >= server.state.without_case_until)) {
      go_on(exchange);
    } else {
      schedule(exchange, std::min(exchange.deadline, now + wait_for(exchange, server.state, 0, carrier)));
    }
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// After a failure: to the next server, unless another one is waited for in time.
  void go_on(InFlight& exchange) {
    if (awaits_in_time(exchange)) return;
    if (exchange.purpose == Purpose::late) {
      if (!awaits_datagram(exchange)) release(exchange);
    } else if (!advance(exchange)) {
      end_in_fault(exchange);
    }
  }

  void succeed(InFlight& exchange, const Accepted& accepted, const Endpoint& server) {
    const Ticket ticket = exchange.ticket;
    const Reply reply{{words.data(), accepted.size}, accepted, server};
    if (exchange.purpose == Purpose::client) {
      release(exchange);
      land(ticket, reply);
      return;
    }
    const Request request = exchange.request;
    release(exchange);
    if (is_retired) return;
    if (!std::exchange(has_begun_landings, true)) landing->begin_landings();
    landing->land_late(request, reply);
  }

  void end_in_fault(InFlight& exchange) {
    const ExchangeFault fault = fault_of(exchange);
    const Complaint complaint = std::move(exchange.complaint);
    const Ticket ticket = exchange.ticket;
    if (now >= exchange.deadline && late_count < late_exchanges_max && awaits_datagram(exchange))
      listen_on(exchange);
    else
      release(exchange);
    land(ticket, fail(Failure{fault, fault == ExchangeFault::server_failed ? &complaint : nullptr}));
  }

  void listen_on(InFlight& exchange) {
    ++late_count;
    exchange.purpose = Purpose::late;
    exchange.deadline = now + late_time;
    schedule(exchange, exchange.deadline);
  }

  static ExchangeFault fault_of(const InFlight& exchange) {
    if (exchange.has_heard_failure) return ExchangeFault::server_failed;
    if (exchange.was_unreachable || exchange.attempts_count == 0) return ExchangeFault::unreachable;
    return ExchangeFault::timeout;
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  void schedule(const InFlight& exchange, MonotonicTime at) {
    dues.set(exchange.slot, at, now);
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
      if (exchanges[slot]->is_used) overdue(*exchanges[slot]);
      return !is_stopped;
    });
    if (!is_stopped) arm();
  }

  void overdue(InFlight& exchange) {
    for (Attempt& attempt : exchange.made()) {
      if (attempt.state != AttemptState::waiting) continue;
      pass_over(attempt);
      ServerState& server = attempt.server->state;
      // A server may have no TCP, or have been asked beside a faster one.
      if (attempt.carrier == Carrier::datagram && now - attempt.sent >= wait_for(exchange, server, 0, attempt.carrier))
        note_silence({exchange, attempt});
    }
    if (exchange.purpose == Purpose::probe) {
      release(exchange);
    } else if (exchange.purpose == Purpose::late) {
      if (now < exchange.deadline && awaits_datagram(exchange))
        schedule(exchange, exchange.deadline);
      else
        release(exchange);
    } else if (now >= exchange.deadline || !advance(exchange)) {
      end_in_fault(exchange);
    }
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
        all.push_back({state.endpoint, route.route.name, state.is_up(), state.known_at(), state.round_trip(),
                       state.asked, state.answered, state.failed});
      }
    return all;
  }

  asio::io_context& loop;
  const Options options;
  const TtlBounds bounds;
  Landing* landing = nullptr;
  RandomSource random;
  std::vector<RouteState> routes;
  std::vector<std::unique_ptr<InFlight>> exchanges;  // grows to what was once in flight
  std::vector<std::uint32_t> free_slots;
  int in_flight_count = 0;
  int late_count = 0;  // of these
  std::size_t faults_posted = 0;
  MonotonicTime now;  // of this turn of the loop
  bool has_begun_landings = false;
  std::vector<Server*> unsent;  // who has queries that wait for flush()
  DueWheel dues;                // by slot
  asio::steady_timer timer;
  MonotonicTime armed_for = MonotonicTime::max();
  bool is_stopped = false;
  bool is_retired = false;
  DatagramBatch batch;
  std::vector<std::uint8_t> words;
};

PlainExchange::PlainExchange(asio::io_context& loop, const Options& options, const TtlBounds& bounds)
    : impl_(std::make_shared<Impl>(loop, options, bounds)) {
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

void PlainExchange::retire() {
  impl_->is_retired = true;
}

std::size_t PlainExchange::in_flight() const {
  return static_cast<std::size_t>(impl_->in_flight_count - impl_->late_count) + impl_->faults_posted;
}

std::vector<ServerHealth> PlainExchange::health() const {
  return impl_->health();
}

}  // namespace doline::upstream
