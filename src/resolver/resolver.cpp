#include "resolver/resolver.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "dns/message.h"
#include "dns/read_octets.h"
#include "dns/transfer_message.h"
#include "policy/answer.h"
#include "policy/decide.h"
#include "policy/walk.h"
#include "policy/weigh.h"
#include "resolver/antechamber.h"
#include "resolver/client_book.h"
#include "resolver/failure_memory.h"
#include "resolver/foresight.h"
#include "resolver/interface_masks.h"
#include "resolver/lock_watch.h"
#include "resolver/record_notes.h"
#include "resolver/server_search.h"
#include "resolver/speech.h"
#include "resolver/waiting_room.h"
#include "response/finish.h"
#include "response/synthesize.h"
#include "upstream/accept.h"

namespace doline::resolver {

namespace {

using dns::ExtendedError;
using dns::RecordType;
using dns::ResponseCode;
using querylog::Source;
using querylog::VerdictKind;

/// Questions that no forwarder answers, whatever the policy: zone transfers (RFC 5936 §4.2), pseudo-types, other
/// classes.
std::optional<ResponseCode> refusal_of(const dns::Question& question) {
  switch (question.qtype) {
    case RecordType::axfr:
    case RecordType::ixfr:
      return ResponseCode::refused;
    case RecordType::opt:
    case RecordType::tsig:
      return ResponseCode::formerr;
    default:
      break;
  }
  const auto type = static_cast<std::uint16_t>(question.qtype);
  if (type == 0 || (type >= 249 && type < 255)) return ResponseCode::notimp;
  if (question.qclass != dns::RecordClass::in) return ResponseCode::refused;
  return std::nullopt;
}

/// Of accepted words.
dns::Name qname_of(dns::Octets words) {
  const auto name = dns::Name::from_wire(words.subspan(dns::header_octets));
  check(name.has_value());
  return *name;
}

/// Of the cache, looked through between queries: some 100 us, and then a pause.
constexpr std::size_t doh_buckets_at_once = 1'024;
constexpr milliseconds doh_pause{1};

std::uint16_t delay_of(const policy::Action& action) {
  const auto* forward = std::get_if<policy::Forward>(&action);
  return forward ? forward->delay_ms : std::uint16_t{0};
}

}  // namespace

struct Resolver::Impl final : upstream::Landing {
  /// What stays of a query that waits.
  struct Keeping {
    const listener::Arrival& arrival;
    const dns::QueryView& query;
    const response::Fit& fit;
    policy::InterfaceMask came_by = 0;
    const Detour& detour;
    std::uint16_t delay_ms = 0;
  };
  /// What the cache knows of a question.
  struct Known {
    std::optional<cache::Hit> hit;
    bool failed_lately = false;
  };

  Impl(Options options_in, Doors doors_in, std::shared_ptr<const Snapshot> first)
      : options(options_in),
        doors(std::move(doors_in)),
        cache(options_in.cache, options_in.seed),
        foresight(cache),
        clients(options_in.keeps_records, doors.find_mac, doors.meet, doors.report_unknown_client),
        interfaces(doors.interface_name),
        locks(options_in.seed, doors.raise_lock_alarm),
        failures(options_in.seed),
        speech(statistics),
        antechamber(doors.admit, doors.wake_at, statistics),
        late(response_octets_max) {
    (void)install(std::move(first));
    begin_batch(doors.clock.now());
    doors.exchange.land_on(*this);
  }

  // ── the path
  // ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  std::size_t serve(const listener::Arrival& arrival, std::span<std::uint8_t> out) {
    // 1. receive: done by the listener; from here on every query is counted once as answered, dropped or waiting.
    ++statistics.received;
    if (arrival.destination.is_intercepted()) ++statistics.intercepted;

    // 2. parse
    Foresight::Parsed& parsed = foresight.take(arrival.message, *snapshot->lists);
    if (!parsed.query) return answer_malformed(arrival, parsed.query.error(), out);
    const dns::QueryView& query = *parsed.query;
    const dns::Question& question = query.question();
    const response::Fit fit = fit_for(query, arrival);
    cache::Key& key = parsed.key;

    // 3. identify
    const Client& sender = clients.identify(arrival, now.monotonic);
    if (now.monotonic < sender.is_met_until && now.monotonic - arrival.at.monotonic < neighbour_patience &&
        doors.serve_later(arrival, sender.look_again))
      return not_yet(arrival);
    const Client& client =
        sender.may_speak_for_others && query.edns() ? clients.identify_behind(sender, *query.edns()) : sender;
    querylog::Record record = begin_record(arrival, question, client, snapshot->generation);

    // Nobody's verdict until all these let it pass.
    record.verdict = VerdictKind::rejected;
    if (const auto canary = options.canaries.find(question.qname))
      return take_canary(arrival, query, record, fit, *canary, out);
    if (!is_ours(client, arrival))
      return say_error(arrival, query, record, fit, ResponseCode::refused, ExtendedError::prohibited,
                       "this client may not ask here", statistics.refused_client, out);
    if (snapshot->rate_tally && !snapshot->rate_tally->admit(client.bucket, now.monotonic))
      return say_error(arrival, query, record, fit, ResponseCode::refused, ExtendedError::prohibited, rate_text,
                       statistics.rate_limited, out);
    if (query.edns() && query.edns()->version != 0)
      return say_error(arrival, query, record, fit, ResponseCode::badvers, std::nullopt, {}, statistics.rejected, out);
    if (const auto code = refusal_of(question))
      return say_error(arrival, query, record, fit, *code, ExtendedError::not_supported, {}, statistics.rejected, out);

    // 4. decide
    const policy::InterfaceMask came_by = interfaces.mask_of(arrival.route.interface, *snapshot->rules);
    policy::Verdict verdict = policy::decide(*snapshot->rules, *snapshot->lists,
                                             {.device = *client.device,
                                              .groups = client.groups,
                                              .client = client.address,
                                              .question = question,
                                              .lowered_qname = key.question.qname,
                                              .destination = arrival.destination,
                                              .time = local_time,
                                              .interfaces = came_by,
                                              .resolvers = snapshot->resolvers.get(),
                                              .places = snapshot->places.get(),
                                              .qname_place = parsed.name_place});
    // Who has come by TCP has done what it was sent for.
    if (std::holds_alternative<policy::Truncate>(verdict.action) && arrival.route.carrier == listener::Carrier::tcp)
      verdict.action = policy::Forward{};
    note(record, verdict);
    if (snapshot->rules->has_locks() &&
        locks.look(*snapshot->rules, verdict, *client.device, key.question.qname, now.monotonic))
      ++statistics.beyond_lock;
    Detour detour;
    const response::Dns64* dns64 = dns64_for(*snapshot, client.address);
    if (dns64 && find_ipv4_reverse(*dns64, verdict, key.question)) detour.name = Detour::Name::target;
    if (const auto local = find_local(dns64, key.question, verdict); !local.records.empty()) {
      note_local(record);
      const auto elsewhere = local.all->find_target(local.records, question.qtype);
      const auto end =
          elsewhere && !is_sent_on(elsewhere->name, verdict) ? find_special_use(elsewhere->name, query) : std::nullopt;
      if (!elsewhere || end)
        return say_local(arrival, record,
                         response::answer_locally(query, *local.all, local.records, end, dns64, fit, out), out);
      record.verdict = VerdictKind::rewrite;
      key.question.qname = elsewhere->name;
      detour.name = Detour::Name::target;
      detour.target_ttl = elsewhere->ttl_seconds;
    } else if (!verdict.forwards()) {
      if (!find_target(verdict.action, key.question)) {
        const std::size_t size = speech.say_verdict(*snapshot, query, record, fit, verdict, out);
        return leave_now(arrival, record, {size, out.first(size)}, out);
      }
      detour.name = Detour::Name::forged_target;
      detour.list = verdict.reason.list;
    }

    // 5. look up
    const std::optional<policy::RouteId> route = route_for(key.question.qname, verdict);
    if (!route && response::may_be_special(key.question.qname, snapshot->special_use)) {
      if (auto local = find_special_use(key.question.qname, query);
          local && !CanaryCage::is_loop_canary(key.question.qname)) {
        if (detour.leads_elsewhere()) local->zone_octets = 0;
        return say_local(arrival, record, response::answer_locally(query, *local, fit, out), out);
      }
    }
    key.route = route.value_or(policy::RouteId{}).value;
    if (detour.leads_elsewhere()) key.hash = cache.hash_of(key);
    Known known = look_up(key);
    if (dns64 && may_map(key)) detour.ipv6_ttl = turn_to_ipv4(*dns64, key, known);
    const auto& [hit, failed_lately] = known;
    if (hit && (!hit->is_stale || failed_lately)) {
      record.source = hit->is_stale ? Source::stale : Source::cache;
      const response::Touches touches = touches_for(*hit);
      Reviewing reviewing{.under = *snapshot,
                          .time = local_time,
                          .interfaces = came_by,
                          .route = {key.route},
                          .asked = key.question.qname,
                          .glance = policy::Glance::from_octet(hit->mark)};
      dns::Octets words = hit->words;
      if (snapshot->lists->lists_servers()) {
        in_hand.assign(words.begin(), words.end());  // the search moves the cache's
        words = in_hand;
        const cache::Key* missing = find_servers(reviewing, record, words, now.monotonic);
        if (missing && wait_for(*missing, {arrival, query, fit, came_by, detour, delay_of(verdict.action)}, record,
                                words, touches))
          return 0;
        if (missing) ++statistics.servers_unknown;
      }
      const Said said = speech.say_words(reviewing, query, record, fit, detour, words, touches, out);
      if (hit->wants_prefetch && !has_failed_lately(key)) prefetch(key);
      return leave_now(arrival, record, said, out, delay_of(verdict.action));
    }
    if (failed_lately)
      return say_error(arrival, query, record, fit, ResponseCode::servfail, ExtendedError::cached_error,
                       "the upstream servers failed a moment ago", statistics.failed, out);

    // 6. exchange: wait for it, together with whoever asks the same
    if (!wait_for(key, {arrival, query, fit, came_by, detour, delay_of(verdict.action)}, record, {}, {}))
      return say_error(arrival, query, record, fit, ResponseCode::servfail, ExtendedError::other,
                       "too many queries are waiting", statistics.over_limit, out);
    return 0;
  }

  /// The query waits for `awaited`: for its answer, or with that in hand for its name servers. False: there is no room.
  bool wait_for(const cache::Key& awaited, const Keeping& keeping, const querylog::Record& record, dns::Octets words,
                const response::Touches& touches) {
    if (words_held + words.size() > server_words_octets_max) return false;
    const WaitingRoom::Admission admission = waiting_room.admit(awaited, record.client);
    if (!admission.place) return false;
    words_held += words.size();
    Waiting& waiting = *admission.place;
    waiting.query.keep(keeping.query);
    waiting.route = keeping.arrival.route;
    waiting.client = keeping.arrival.client;
    waiting.received = now.monotonic;
    waiting.fit = keeping.fit;
    waiting.interfaces = keeping.came_by;
    waiting.delay_ms = keeping.delay_ms;
    waiting.detour = keeping.detour;
    waiting.record = record;
    waiting.words.assign(words.begin(), words.end());
    waiting.touches = touches;
    waiting.asked_route = awaited.route;
    waiting.waits = 0;
    waiting.snapshot = snapshot;
    ++statistics.waiting;
    if (admission.is_new_flight)
      ask(admission.flight);
    else if (words.empty())
      join(keeping.arrival, awaited);
    else
      ++statistics.joined;
    return true;
  }

  void begin_landings() override { begin_batch(doors.clock.now()); }

  void foresee(upstream::Ticket flight) override { cache.prefetch(waiting_room.key(flight).hash); }

  /// Who waited has been told that it failed.
  void land_late(const upstream::Request& request, const upstream::Reply& reply) override {
    cache::Key key{request.question, request.dnssec_ok, request.checking_disabled, request.route};
    key.hash = cache.hash_of(key);
    (void)keep(key, reply, seconds(0));
  }

  policy::Glance keep(const cache::Key& key, const upstream::Reply& reply, seconds ttl_min) {
    if (is_doh(key.question.qname)) antechamber.tell_of_doh(reply.words, 0);
    const policy::Glance glance = policy::glance_at(reply.words, key.question.qname.size());
    cache.insert(key, reply.words, std::max(reply.facts.ttl, ttl_min), reply.facts.is_negative, now.monotonic,
                 glance.to_octet());
    return glance;
  }

  /// Steps 6 to 12 for the queries that waited for this exchange.
  void land(upstream::Ticket flight, const Result<upstream::Reply, upstream::Failure>& result) override {
    const cache::Key key = waiting_room.key(flight);  // a copy: the room may move while queries go on to wait
    // What was asked by routes that are others now answers who asked then, and nobody else.
    const bool is_of_this_era = waiting_room.is_of_this_era(flight);
    policy::Glance glance;
    if (result && is_of_this_era) {
      glance = keep(key, *result, waiting_room.is_of_search(flight) ? server_ttl_min : seconds(0));
    } else if (result) {
      glance = policy::glance_at(result->words, key.question.qname.size());
    } else if (is_of_this_era) {
      failures.remember(key, now.monotonic);
    }
    waiting_room.land(flight, [&](Waiting& waiting) {
      const dns::QueryView& query = waiting.query.view();
      querylog::Record& record = waiting.record;
      dns::Octets words = waiting.words;  // none, unless it waited for name servers
      if (words.empty()) {
        const auto landed = take_landed(waiting, key, result, is_of_this_era);
        if (!landed) return false;
        words = *landed;
      }
      Said said;
      if (!words.empty()) {
        const bool is_in_hand = words.data() == waiting.words.data();
        const dns::Name asked = is_in_hand ? qname_of(words) : key.question.qname;
        const bool is_result = result && words.data() == result->words.data();
        Reviewing reviewing{.under = *waiting.snapshot,
                            .time = local_time,
                            .interfaces = waiting.interfaces,
                            .route = {waiting.asked_route},
                            .asked = asked,
                            .glance = is_result ? glance : policy::glance_at(words, asked.size())};
        if (waiting.snapshot->lists->lists_servers() && is_of_this_era) {
          const cache::Key* missing = find_servers(reviewing, record, words, waiting.received, &key);
          if (missing && go_on_waiting(waiting, *missing, words)) return false;
        }
        said = speech.say_words(reviewing, query, record, waiting.fit, waiting.detour, words, waiting.touches, late);
      } else {
        ++statistics.failed;
        const auto [error, text] = reason_of(result.error());
        said.size = response::refuse(query, ResponseCode::servfail, error, text, waiting.fit, late);
        said.recorded = dns::Octets(late).first(said.size);
        record.code = ResponseCode::servfail;
        record.source = Source::synthesized;
      }
      words_held -= waiting.words.size();
      const dns::Octets response(late.data(), said.size);
      if (said.size > 0 && Antechamber::may_hold(*waiting.snapshot, record, waiting.delay_ms) &&
          antechamber.hold(*waiting.snapshot, {waiting.route, waiting.client, record, waiting.received}, response,
                           waiting.delay_ms, now.monotonic))
        return true;
      leave_late(waiting.route, waiting.client, record, response, said.recorded, waiting.received);
      return true;
    });
  }

  /// Upstream's own, where it has one.
  static std::pair<ExtendedError, std::string> reason_of(const upstream::Failure& failure) {
    if (const upstream::Complaint* const complaint = failure.complaint) {
      const bool is_code = complaint->fault == upstream::AcceptFault::server_failed;
      return {complaint->error.value_or(is_code ? ExtendedError::network_error : ExtendedError::other),
              to_string(*complaint)};
    }
    const bool has_answered_nothing =
        failure.fault == upstream::ExchangeFault::timeout || failure.fault == upstream::ExchangeFault::overloaded;
    return {has_answered_nothing ? ExtendedError::no_reachable_authority : ExtendedError::network_error,
            std::string(upstream::to_string(failure.fault))};
  }

  /// What this query waited for, and in its record where from; none: upstream has failed it. Nothing: it waits on, by
  /// DNS64 for A where there is no AAAA.
  std::optional<dns::Octets> take_landed(Waiting& waiting, const cache::Key& key,
                                         const Result<upstream::Reply, upstream::Failure>& result, bool may_go_on) {
    const response::Dns64* dns64 = dns64_for(*waiting.snapshot, waiting.record.client);
    if (dns64 && may_map(key) && may_go_on) {
      waiting.detour.ipv6_ttl =
          result ? ttl_without_ipv6(*dns64, result->words, static_cast<std::uint32_t>(result->facts.ttl.count()))
                 : ttl_without_ipv6(*dns64, look_up(key));
      if (waiting.detour.ipv6_ttl) {
        cache::Key ipv4 = key;
        ipv4.question.qtype = RecordType::a;
        ipv4.hash = cache.hash_of(ipv4);
        if (const Known known = look_up(ipv4); known.hit && (!known.hit->is_stale || known.failed_lately))
          return take_hit(waiting, *known.hit);
        if (const auto admission = waiting_room.wait_on(waiting, ipv4); admission.place) {
          if (admission.is_new_flight) ask(admission.flight);
          return std::nullopt;
        }
        waiting.detour.ipv6_ttl.reset();  // no room to wait on: what came of AAAA has to do
      }
    }
    if (result) {
      waiting.record.source = Source::upstream;
      waiting.record.upstream = result->server;
      return result->words;
    }
    if (!may_go_on) return dns::Octets();
    const Known known = look_up(key);
    return known.hit ? take_hit(waiting, *known.hit) : dns::Octets();
  }

  dns::Octets take_hit(Waiting& waiting, const cache::Hit& hit) {
    waiting.record.source = hit.is_stale ? Source::stale : Source::cache;
    waiting.touches = touches_for(hit);
    in_hand.assign(hit.words.begin(), hit.words.end());  // a search of name servers moves the cache's
    return in_hand;
  }

  /// 11 and 12 for a query that waited.
  void leave_late(const listener::ReplyRoute& route, const Endpoint& client, querylog::Record& record,
                  dns::Octets response, dns::Octets recorded, MonotonicTime received) {
    --statistics.waiting;
    record.latency_us =
        static_cast<std::uint32_t>(std::chrono::duration_cast<microseconds>(now.monotonic - received).count());
    if (!response.empty()) {
      ++statistics.answered;
      doors.send(route, client, response);
    } else {
      ++statistics.dropped_by_verdict;
      doors.forget(route);
    }
    write(record, recorded);
  }

  void hear_admission(redirect::AdmissionAnswer answer) {
    begin_batch(doors.clock.now());
    antechamber.hear(answer, now.monotonic, [this](auto& held, dns::Octets response) { let_go(held, response); });
  }
  void send_due() {
    begin_batch(doors.clock.now());
    antechamber.send_due(now.monotonic, [this](auto& held, dns::Octets response) { let_go(held, response); });
    if (doh_bucket) tell_cached_doh();
  }
  void let_go(HeldBack::Entry& held, dns::Octets response) {
    leave_late(held.route, held.client, held.record, response, response, held.received);
  }

  /// Must the warden know what this name's addresses are?
  bool is_doh(const dns::Name& name) const {
    return snapshot->gate && snapshot->gate->doh && snapshot->gate->doh->hold(name, *snapshot->lists);
  }

  /// Must the warden be told of such names in the cache, which under the snapshot before it need not?
  bool tells_more(const Snapshot& before) const {
    const Gate* const gate = snapshot->gate.get();
    if (!gate || !gate->doh) return false;
    return !before.gate || !before.gate->doh || before.gate->doh_telling != gate->doh_telling;
  }

  /// Part of what the cache holds of such names; the rest a moment later, after the queries that have come meanwhile.
  void tell_cached_doh() {
    doh_bucket = cache.visit(*doh_bucket, doh_buckets_at_once, now.monotonic, [this](const cache::Hit& hit) {
      if (is_doh(qname_of(hit.words))) antechamber.tell_of_doh(hit.words, hit.age_seconds);
    });
    if (doh_bucket == std::size_t{0}) return doh_bucket.reset();
    doors.wake_at(now.monotonic + doh_pause);
  }

  /// Before 7: whom the answer comes from, as far as lists speak of that. What must be answered before more is known,
  /// or null: then `reviewing` has all that can be had in time. `landed`: what has just been answered.
  const cache::Key* find_servers(Reviewing& reviewing, const querylog::Record& record, dns::Octets words,
                                 MonotonicTime received, const cache::Key* landed = nullptr) {
    if (!reviewing.under.rules->asks_lists_above(record.rule) || reviewing.glance.is_empty)
      return nullptr;  // nothing to review
    server_search.search(cache, {words, reviewing.route.value, reviewing.under.lists->lists_server_addresses()},
                         now.monotonic, [this](const cache::Key& key) { return has_failed_lately(key); });
    reviewing.servers = &server_search.found();
    const auto missing = server_search.missing();
    // What has just been answered and is missing all the same, no cache keeps.
    const bool is_over = missing.empty() || now.monotonic - received > server_patience ||
                         (landed && std::find(missing.begin(), missing.end(), *landed) != missing.end());
    if (!is_over) {
      for (const cache::Key& key : missing)  // all at once; the query waits for the first
        if (const auto flight = waiting_room.begin_search(key)) ask(*flight);
      return &missing.front();
    }
    if (!missing.empty() || server_search.is_unknown()) ++statistics.servers_unknown;
    return nullptr;
  }

  bool go_on_waiting(Waiting& waiting, const cache::Key& awaited, dns::Octets words) {
    const bool is_new = waiting.words.empty();
    const bool has_room =
        waiting.waits < server_waits_max && (!is_new || words_held + words.size() <= server_words_octets_max);
    const auto admission = has_room ? waiting_room.wait_on(waiting, awaited) : WaitingRoom::Admission();
    if (!admission.place) {
      ++statistics.servers_unknown;
      return false;
    }
    if (is_new) {
      waiting.words.assign(words.begin(), words.end());
      words_held += words.size();
    }
    ++waiting.waits;
    if (admission.is_new_flight)
      ask(admission.flight);
    else
      ++statistics.joined;
    return true;
  }

  // ── the ways an answer comes about
  // ───────────────────────────────────────────────────────────────────────────────────

  /// Where the verdict leads to another name, that name stands in the question; not where the CNAME itself is asked
  /// for.
  bool find_target(const policy::Action& action, dns::Question& question) const {
    const auto take = [&](const std::optional<dns::Name>& target) {
      if (target) question.qname = *target;
      return target.has_value();
    };
    if (const auto* rewrite = std::get_if<policy::Rewrite>(&action))
      return question.qtype != RecordType::cname && take(snapshot->rules->rewrite(*rewrite).cname);
    const auto* answer = std::get_if<policy::ListAnswer>(&action);
    return answer && take(policy::find_target(*snapshot->lists, *answer, question));
  }

  /// DNS64, where this client has it.
  static const response::Dns64* dns64_for(const Snapshot& under, const IpAddress& client) {
    return under.dns64 && under.dns64->serves(client) ? under.dns64.get() : nullptr;
  }

  /// Not for who asks for signatures and checks them himself (RFC 6147 §5.5).
  static bool may_map(const cache::Key& key) {
    return key.question.qtype == RecordType::aaaa && !(key.dnssec_ok && key.checking_disabled);
  }

  /// Does the question ask for the name of an address that DNS64 has made, and nobody says where to ask? Then the
  /// question becomes that for the IPv4 address.
  bool find_ipv4_reverse(const response::Dns64& dns64, const policy::Verdict& verdict, dns::Question& question) const {
    if (question.qtype != RecordType::ptr || !verdict.forwards() || is_sent_on(question.qname, verdict)) return false;
    const auto name = dns64.find_ipv4_reverse(question.qname);
    if (name) question.qname = *name;
    return name.has_value();
  }

  /// DNS64: where there are no AAAA records, `key` asks for A instead, and `known` is what is known of that.
  std::optional<std::uint32_t> turn_to_ipv4(const response::Dns64& dns64, cache::Key& key, Known& known) {
    const auto ttl = ttl_without_ipv6(dns64, known);
    if (!ttl) return ttl;
    key.question.qtype = RecordType::a;
    key.hash = cache.hash_of(key);
    known = look_up(key);
    return ttl;
  }

  /// Nothing: there are AAAA records, or the name does not exist. Else how long that is known to be otherwise (RFC 6147
  /// §5.1.2 to §5.1.4, §5.1.7): what fails counts as empty.
  std::optional<std::uint32_t> ttl_without_ipv6(const response::Dns64& dns64, dns::Octets words, std::uint32_t ttl) {
    if (dns::code_of(words) == ResponseCode::nxdomain) return std::nullopt;
    policy::collect_addresses(words, answer_addresses);
    const bool is_without = std::all_of(answer_addresses.begin(), answer_addresses.end(),
                                        [&](const IpAddress& address) { return dns64.is_excluded(address); });
    if (!is_without) return std::nullopt;
    const bool is_negative = answer_addresses.empty() && ttl > 0;  // else no SOA says how long
    return is_negative ? ttl : std::min(ttl > 0 ? ttl : response::dns64_ttl_seconds, response::dns64_ttl_seconds);
  }
  std::optional<std::uint32_t> ttl_without_ipv6(const response::Dns64& dns64, const Known& known) {
    if (known.hit && (!known.hit->is_stale || known.failed_lately))
      return ttl_without_ipv6(dns64, known.hit->words, known.hit->ttl_left_seconds);
    return known.failed_lately ? std::optional(response::dns64_ttl_seconds) : std::nullopt;
  }

  /// What the house says of the name, where the verdict lets it, or DNS64 of its own.
  struct Local {
    const response::LocalRecords* all = nullptr;
    std::span<const response::LocalRecord> records;
  };
  Local find_local(const response::Dns64* dns64, const dns::Question& question, const policy::Verdict& verdict) const {
    if (!verdict.lets_local_records()) return {};
    if (snapshot->local)
      if (const auto records = snapshot->local->find(question.qname, question.qtype); !records.empty())
        return {snapshot->local.get(), records};
    if (dns64 && verdict.forwards() && !is_sent_on(question.qname, verdict))
      return {dns64->own.get(), dns64->own->find(question.qname, question.qtype)};
    return {};
  }

  /// Bare names are only answered to who wants recursion: without, it is a resolver on its way from the root.
  std::optional<response::LocalAnswer> find_special_use(const dns::Name& lowered, const dns::QueryView& query) const {
    auto answer = response::find_special_use(lowered, query.question().qtype, snapshot->special_use);
    if (answer && answer->zone_octets == 0 && !query.recursion_desired()) return std::nullopt;
    if (answer && answer->kind == response::LocalAnswer::Kind::nxdomain && snapshot->local &&
        snapshot->local->has_below(lowered))
      answer->kind = response::LocalAnswer::Kind::nodata;
    return answer;
  }

  /// Does the operator say where to?
  bool is_sent_on(const dns::Name& lowered, const policy::Verdict& verdict) const {
    return route_for(lowered, verdict).has_value();
  }

  /// What the house itself says of a name of its own, or of one that must not leave it.
  std::size_t say_local(const listener::Arrival& arrival, querylog::Record& record, std::size_t size,
                        std::span<std::uint8_t> out) {
    ++statistics.synthesized;
    record.source = Source::local;
    record.code = dns::code_of(out);
    return leave_now(arrival, record, {size, out.first(size)}, out);
  }

  std::size_t say_error(const listener::Arrival& arrival, const dns::QueryView& query, querylog::Record& record,
                        const response::Fit& fit, ResponseCode code, std::optional<ExtendedError> error,
                        std::string_view text, std::uint64_t& counter, std::span<std::uint8_t> out) {
    ++counter;
    record.source = Source::synthesized;
    record.code = code;
    const std::size_t size = response::refuse(query, code, error, text, fit, out);
    return leave_now(arrival, record, {size, out.first(size)}, out);
  }

  std::size_t answer_malformed(const listener::Arrival& arrival, dns::MessageFault fault, std::span<std::uint8_t> out) {
    // A primary's word on its zone is meant for us alone, and nobody's question.
    const bool is_notification = fault == dns::MessageFault::opcode_unknown && snapshot->answer_notification &&
                                 dns::is_notification(arrival.message) && !arrival.destination.is_intercepted() &&
                                 !arrival.is_passed_on();
    const std::size_t size = is_notification
                                 ? snapshot->answer_notification(arrival.client.address, arrival.message, now.wall, out)
                                 : response::reject(arrival.message, fault, out);
    querylog::Record record = begin_record(arrival, {}, clients.identify(arrival, now.monotonic), snapshot->generation);
    record.verdict = VerdictKind::rejected;
    if (is_notification) record.log = device::LogChoice::none;
    if (size > 0) {
      ++statistics.rejected;
      ++statistics.answered;
      record.source = Source::synthesized;
      record.code = dns::code_of(out);
    } else {
      ++statistics.dropped_malformed;
      doors.forget(arrival.route);
    }
    write(record, out.first(size));
    return size;
  }

  /// 10 to 12 for a query that did not wait: the caller (the listener) sends so many octets of `out`, or none.
  std::size_t leave_now(const listener::Arrival& arrival, const querylog::Record& record, const Said& said,
                        std::span<const std::uint8_t> out, std::uint16_t delay_ms = 0) {
    const auto [size, recorded] = said;
    if (size > 0 && Antechamber::may_hold(*snapshot, record, delay_ms) &&
        antechamber.hold(*snapshot, {arrival.route, arrival.client, record, now.monotonic}, out.first(size), delay_ms,
                         now.monotonic)) {
      ++statistics.waiting;
      return 0;
    }
    if (size > 0) {
      ++statistics.answered;
    } else {
      ++statistics.dropped_by_verdict;
      doors.forget(arrival.route);
    }
    write(record, recorded);
    return size;
  }

  /// One that Doline has made up itself: nobody's question, and in no log.
  std::size_t take_canary(const listener::Arrival& arrival, const dns::QueryView& query, querylog::Record& record,
                          const response::Fit& fit, const Canary& canary, std::span<std::uint8_t> out) {
    record.log = device::LogChoice::none;
    if (doors.report_canary) doors.report_canary({canary, arrival.client, arrival.destination, arrival.route.carrier});
    return say_error(arrival, query, record, fit, ResponseCode::nxdomain, std::nullopt, {}, statistics.rejected, out);
  }

  /// Waits with others for one exchange. If it is the very server that is asked who asks here, it may be waiting for us
  /// while we wait for it.
  void join(const listener::Arrival& arrival, const cache::Key& key) {
    ++statistics.joined;
    const auto& routes = snapshot->upstream->routes;
    if (!doors.report_canary || now.monotonic < suspicion_again || key.route >= routes.size()) return;
    const auto& servers = routes[key.route].servers;
    if (std::none_of(servers.begin(), servers.end(),
                     [&](const Endpoint& server) { return server.address == arrival.client.address; }))
      return;
    suspicion_again = now.monotonic + seconds(1);
    doors.report_canary({std::nullopt, arrival.client, arrival.destination, arrival.route.carrier});
  }

  /// The same query comes once more.
  std::size_t not_yet(const listener::Arrival& arrival) {
    --statistics.received;
    if (arrival.destination.is_intercepted()) --statistics.intercepted;
    return 0;
  }

  // ── small steps
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────

  response::Fit fit_for(const dns::QueryView& query, const listener::Arrival& arrival) const {
    response::Fit fit;
    const auto& edns = query.edns();
    if (arrival.route.carrier == listener::Carrier::tcp)
      fit.octets_max = response_octets_max;
    else if (edns)
      fit.octets_max = std::clamp<std::size_t>(edns->udp_payload_size, 512, response::udp_octets_max);
    if (!edns) return fit;
    fit.has_edns = true;
    fit.dnssec_ok = edns->dnssec_ok;
    if (edns->cookie) {
      fit.cookie = options.cookies.make(*edns->cookie, arrival.client.address, now.wall);
      fit.cookie_octets = dns::full_cookie_octets;
    }
    return fit;
  }

  /// The rule's route; else that of the longest zone which the name is in. Nothing: nobody says where.
  std::optional<policy::RouteId> route_for(const dns::Name& lowered, const policy::Verdict& verdict) const {
    if (const auto* forward = std::get_if<policy::Forward>(&verdict.action); forward && forward->route.value != 0)
      return forward->route;
    for (const ForwardZone& zone : snapshot->forward_zones)
      if (lowered.is_within(zone.suffix)) return zone.route;
    return std::nullopt;
  }

  static response::Touches touches_for(const cache::Hit& hit) {
    response::Touches touches;
    touches.age_seconds = hit.age_seconds;
    if (!hit.is_stale) return touches;
    touches.ttl_seconds = stale_ttl_seconds;
    touches.error = dns::code_of(hit.words) == ResponseCode::nxdomain ? ExtendedError::stale_nxdomain_answer
                                                                      : ExtendedError::stale_answer;
    touches.error_text = "upstream does not answer";
    return touches;
  }

  Known look_up(const cache::Key& key) {
    Known known{cache.find(key, now.monotonic)};
    known.failed_lately = (!known.hit || known.hit->is_stale) && has_failed_lately(key);
    return known;
  }

  void ask(FlightId flight) {
    ++statistics.exchanges;
    const cache::Key& key = waiting_room.key(flight);
    doors.exchange.ask({key.question, key.dnssec_ok, key.checking_disabled, key.route}, flight, now.monotonic);
  }

  void prefetch(const cache::Key& key) {
    if (const auto flight = waiting_room.begin_prefetch(key)) {
      ++statistics.prefetches;
      ask(*flight);
    }
  }

  bool has_failed_lately(const cache::Key& key) { return failures.has_failed_lately(key, now.monotonic); }

  void write(const querylog::Record& record, dns::Octets recorded) {
    if (record.log == device::LogChoice::none)
      ++statistics.not_recorded;
    else if (doors.outbox.record(record, recorded))
      ++statistics.recorded;
    else
      ++statistics.records_lost;
  }

  std::shared_ptr<const Snapshot> install(std::shared_ptr<const Snapshot> next) {
    check(next && next->roster && next->lists && next->rules && next->resolvers);
    std::swap(snapshot, next);
    foresight.begin({}, *snapshot->lists);
    if (next && snapshot->era != next->era) {
      cache.clear();
      failures.forget();
      waiting_room.begin_era();
    }
    if (next && tells_more(*next)) {
      doh_bucket = 0;
      doors.wake_at(doors.clock.now().monotonic);
    }
    speech.install(*snapshot);
    clients.install(*snapshot);
    interfaces.forget();
    rate_text.clear();
    if (snapshot->rate_tally) {
      const RateLimit& limit = snapshot->rate_tally->limit();
      rate_text = "more than " + std::to_string(limit.queries) + " queries " +
                  (limit.period == seconds(1) ? "a second" : "a minute");
    }
    return next;
  }

  void begin_batch(Moment moment, std::span<const dns::Octets> messages = {}) {
    foresight.begin(messages, *snapshot->lists);
    now = moment;
    if (moment.wall >= this_minute && moment.wall < this_minute + std::chrono::minutes(1)) return;
    this_minute = std::chrono::floor<std::chrono::minutes>(moment.wall);
    local_time = policy::to_local_time(moment.wall);
  }

  Options options;
  Doors doors;
  std::shared_ptr<const Snapshot> snapshot;
  cache::Cache cache;
  Foresight foresight;
  WaitingRoom waiting_room;
  Moment now{};
  WallTime this_minute{};
  policy::LocalTime local_time;  // in it
  Statistics statistics;
  ClientBook clients;
  InterfaceMasks interfaces;
  LockWatch locks;
  FailureMemory failures;
  Speech speech;
  Antechamber antechamber;
  ServerSearch server_search;
  std::vector<std::uint8_t> late, in_hand;
  std::size_t words_held = 0;               // octets of all Waiting::words
  std::vector<IpAddress> answer_addresses;  // of the answer that DNS64 looks at
  std::string rate_text;
  MonotonicTime suspicion_again{};
  std::optional<std::size_t> doh_bucket;  // of the cache: from here on DoH names are to be told again
};

Resolver::Resolver(Options options, Doors doors, std::shared_ptr<const Snapshot> snapshot)
    : impl_(std::make_unique<Impl>(options, std::move(doors), std::move(snapshot))) {}
Resolver::~Resolver() = default;

std::shared_ptr<const Snapshot> Resolver::install(std::shared_ptr<const Snapshot> snapshot) {
  return impl_->install(std::move(snapshot));
}
void Resolver::begin_batch(Moment now, std::span<const dns::Octets> messages) {
  impl_->begin_batch(now, messages);
}
std::size_t Resolver::serve(const listener::Arrival& arrival, std::span<std::uint8_t> out) {
  return impl_->serve(arrival, out);
}
void Resolver::hear_admission(redirect::AdmissionAnswer answer) {
  impl_->hear_admission(answer);
}
void Resolver::send_due() {
  impl_->send_due();
}
const Statistics& Resolver::statistics() const {
  return impl_->statistics;
}
const cache::Statistics& Resolver::cache_statistics() const {
  return impl_->cache.statistics();
}

}  // namespace doline::resolver
