#include "resolver/resolver.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "dns/message.h"
#include "dns/read_octets.h"
#include "dns/writer.h"
#include "policy/answer.h"
#include "policy/decide.h"
#include "policy/walk.h"
#include "policy/weigh.h"
#include "resolver/held_back.h"
#include "resolver/server_search.h"
#include "resolver/waiting_room.h"
#include "response/finish.h"
#include "response/synthesize.h"
#include "upstream/accept.h"

namespace doline::resolver {

namespace {

using dns::ExtendedError;
using dns::RecordType;
using dns::ResponseCode;
using querylog::kind_of;
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

/// The type of the first answer record of accepted words, by a glance: 0 where there is none. Owners there are a
/// pointer or labels.
RecordType first_answer_type(dns::Octets words, std::size_t qname_octets) {
  if (words[6] == 0 && words[7] == 0) return RecordType{0};
  const std::size_t at = dns::behind_name(words, dns::header_octets + qname_octets + 4);
  if (at + 2 > words.size()) return RecordType{0};
  return static_cast<RecordType>(dns::read16(words, at));
}

/// Of accepted words.
dns::Name qname_of(dns::Octets words) {
  const auto name = dns::Name::from_wire(words.subspan(dns::header_octets));
  check(name.has_value());
  return *name;
}

/// Does such an answer lead on to other names?
bool leads_on(RecordType type) {
  return type == RecordType::cname || type == RecordType::https || type == RecordType::svcb || type == RecordType::ptr;
}

std::uint16_t delay_of(const policy::Action& action) {
  const auto* forward = std::get_if<policy::Forward>(&action);
  return forward ? forward->delay_ms : std::uint16_t{0};
}

/// What the snapshot says of a client's address.
struct Client {
  IpAddress address;
  const device::Device* device = nullptr;  ///< null: of nobody yet
  device::GroupMask groups = 0;
  device::LogChoice log = device::LogChoice::full;
  bool may_ask = false;                               ///< of its own accord: whom the redirect brings home may always
  bool may_speak_for_others = false;                  ///< a trusted router
  std::uint64_t bucket = 0;                           ///< of the rate tally, where there is one
  MonotonicTime look_again{};                         ///< for the MAC, where no device of the roster has the address
  MonotonicTime report_again = MonotonicTime::min();  ///< that it is unknown
};

constexpr std::chrono::minutes stranger_memory{1};
/// Whom the router leads here becomes our neighbour by our first response to it.
constexpr milliseconds neighbour_delay{10};
constexpr std::size_t interfaces_known_max = 256;

ResponseCode code_of(dns::Octets response) {
  return static_cast<ResponseCode>(response[3] & 0x0f);
}

}  // namespace

struct Resolver::Impl final : upstream::Landing {
  /// What reviewing an answer needs beside the answer and the record.
  struct Reviewing {
    const Snapshot& under;
    policy::InterfaceMask interfaces = 0;
    policy::RouteId route;             ///< that was asked
    const dns::Name& asked;            ///< there
    const Servers* servers = nullptr;  ///< whom the answer comes from; null: no list speaks of that
  };
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
        late(response_octets_max),
        scratch(response_octets_max) {
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
    const auto parsed = dns::QueryView::parse(arrival.message);
    if (!parsed) return answer_malformed(arrival, parsed.error(), out);
    const dns::QueryView& query = *parsed;
    const dns::Question& question = query.question();
    const response::Fit fit = fit_for(query, arrival);

    // 3. identify
    const Client& sender = identify(arrival);
    const Client& client = sender.may_speak_for_others && query.edns() ? identify_behind(sender, query) : sender;
    querylog::Record record = begin_record(arrival, question, client);

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
    cache::Key key;
    key.question.qname.assign_lowered(question.qname);
    key.question.qtype = question.qtype;
    key.question.qclass = question.qclass;
    key.dnssec_ok = fit.dnssec_ok;
    key.checking_disabled = query.checking_disabled();
    const policy::InterfaceMask came_by = interfaces_of(arrival.route.interface);
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
                                              .places = snapshot->places.get()});
    // Who has come by TCP has done what it was sent for.
    if (std::holds_alternative<policy::Truncate>(verdict.action) && arrival.route.carrier == listener::Carrier::tcp)
      verdict.action = policy::Forward{};
    note(record, verdict);
    if (snapshot->rules->has_locks()) look_at_lock(verdict, *client.device, key.question.qname);
    Detour detour;
    const response::Dns64* dns64 = dns64_for(*snapshot, client.address);
    if (dns64 && find_ipv4_reverse(*dns64, verdict, key.question)) detour.name = Detour::Name::target;
    if (const auto local = find_local(dns64, key.question, verdict); !local.records.empty()) {
      note_local(record);
      const auto elsewhere = local.all->find_target(local.records, question.qtype);
      if (!elsewhere || stays_here(*elsewhere, query, verdict))
        return say_local(arrival, record, response::answer_locally(query, *local.all, local.records, dns64, fit, out),
                         out);
      record.verdict = VerdictKind::rewrite;
      key.question.qname = *elsewhere;
      detour.name = Detour::Name::target;
    } else if (!verdict.forwards()) {
      if (!find_target(verdict.action, key.question)) return say_verdict(arrival, query, record, fit, verdict, out);
      detour.name = Detour::Name::forged_target;
      detour.list = verdict.reason.list;
    }

    // 5. look up
    const std::optional<policy::RouteId> route = route_for(key.question.qname, verdict);
    if (!route) {
      if (auto local = find_special_use(key.question.qname, query);
          local && !CanaryCage::is_loop_canary(key.question.qname)) {
        if (detour.leads_elsewhere()) local->zone_octets = 0;
        return say_local(arrival, record, response::answer_locally(query, *local, fit, out), out);
      }
    }
    key.route = route.value_or(policy::RouteId{}).value;
    key.hash = cache.hash_of(key);
    Known known{cache.find(key, now.monotonic)};
    known.failed_lately = (!known.hit || known.hit->is_stale) && has_failed_lately(key);
    if (dns64 && may_map(key)) detour.ipv6_ttl = turn_to_ipv4(*dns64, key, known);
    const auto& [hit, failed_lately] = known;
    if (hit && (!hit->is_stale || failed_lately)) {
      record.source = hit->is_stale ? Source::stale : Source::cache;
      const response::Touches touches = touches_for(*hit);
      Reviewing reviewing{*snapshot, came_by, {key.route}, key.question.qname};
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
      const Said said = say_words(reviewing, query, record, fit, detour, words, touches, out);
      if (hit->wants_prefetch && !has_failed_lately(key)) prefetch(key);
      return leave_now(arrival, record, said, out, delay_of(verdict.action));
    }
    if (failed_lately)
      return say_error(arrival, query, record, fit, ResponseCode::servfail, ExtendedError::cached_error,
                       "the upstream servers did not answer a moment ago", statistics.failed, out);

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

  /// Steps 6 to 12 for the queries that waited for this exchange.
  void land(upstream::Ticket flight, const Result<upstream::Reply, upstream::ExchangeFault>& result) override {
    const cache::Key key = waiting_room.key(flight);  // a copy: the room may move while queries go on to wait
    if (result && snapshot->gate && snapshot->gate->is_doh(key.question.qname)) tell_of_doh(result->words);
    if (result) {
      const seconds ttl =
          waiting_room.is_of_search(flight) ? std::max(result->facts.ttl, server_ttl_min) : result->facts.ttl;
      cache.insert(key, result->words, ttl, result->facts.is_negative, now.monotonic);
    } else {
      remember_failure(key);
    }
    waiting_room.land(flight, [&](Waiting& waiting) {
      const dns::QueryView& query = waiting.query.view();
      querylog::Record& record = waiting.record;
      dns::Octets words = waiting.words;  // none, unless it waited for name servers
      if (words.empty()) {
        const auto landed = take_landed(waiting, key, result);
        if (!landed) return false;
        words = *landed;
      }
      Said said;
      if (!words.empty()) {
        const bool is_in_hand = words.data() == waiting.words.data();
        const dns::Name asked = is_in_hand ? qname_of(words) : key.question.qname;
        Reviewing reviewing{*waiting.snapshot, waiting.interfaces, {waiting.asked_route}, asked};
        if (waiting.snapshot->lists->lists_servers()) {
          const cache::Key* missing = find_servers(reviewing, record, words, waiting.received, &key);
          if (missing && go_on_waiting(waiting, *missing, words)) return false;
        }
        said = say_words(reviewing, query, record, waiting.fit, waiting.detour, words, waiting.touches, late);
      } else {
        ++statistics.failed;
        const auto error = result.error() == upstream::ExchangeFault::server_failed ? ExtendedError::invalid_data
                           : result.error() == upstream::ExchangeFault::unreachable
                               ? ExtendedError::network_error
                               : ExtendedError::no_reachable_authority;
        said.size = response::refuse(query, ResponseCode::servfail, error, upstream::to_string(result.error()),
                                     waiting.fit, late);
        said.recorded = dns::Octets(late).first(said.size);
        record.code = ResponseCode::servfail;
        record.source = Source::synthesized;
      }
      words_held -= waiting.words.size();
      const dns::Octets response(late.data(), said.size);
      if (said.size > 0 && may_wait(*waiting.snapshot, record, waiting.delay_ms) &&
          hold_back(*waiting.snapshot, {waiting.route, waiting.client, record, waiting.received}, response,
                    waiting.delay_ms))
        return true;
      leave_late(waiting.route, waiting.client, record, response, said.recorded, waiting.received);
      return true;
    });
  }

  /// What this query waited for, and in its record where from; none: upstream has failed it. Nothing: it waits on, by
  /// DNS64 for A where there is no AAAA.
  std::optional<dns::Octets> take_landed(Waiting& waiting, const cache::Key& key,
                                         const Result<upstream::Reply, upstream::ExchangeFault>& result) {
    const response::Dns64* dns64 = dns64_for(*waiting.snapshot, waiting.record.client);
    if (dns64 && may_map(key)) {
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

  /// All that most responses are asked before they leave.
  static bool may_wait(const Snapshot& under, const querylog::Record& record, std::uint16_t delay_ms) {
    return delay_ms != 0 || (under.gate != nullptr && under.gate->holds(record.device));
  }

  /// 10. admit: a restricted device is not told an address before the kernel lets it connect there. And a rule's delay.
  /// False: nothing keeps this response, or too many are kept. Then it leaves now. What was withheld is not kept for so
  /// long.
  bool hold_back(const Snapshot& under, HeldBack::Entry entry, dns::Octets response, std::uint16_t delay_ms) {
    const MonotonicTime patience_end = now.monotonic + admission_patience;
    entry.not_before = entry.received + milliseconds(delay_ms);
    entry.waits_for_admission = ask_admission(under, entry.record, response);
    entry.record.is_withheld = false;
    const MonotonicTime due = entry.waits_for_admission ? std::max(patience_end, entry.not_before) : entry.not_before;
    if (due <= now.monotonic || !held_back.add(entry, response, due, now.monotonic)) return false;
    ++statistics.held_back;
    doors.wake_at(due);
    return true;
  }

  /// True: the warden will say when the kernel knows that this device may connect to the addresses of this response.
  bool ask_admission(const Snapshot& under, const querylog::Record& record, dns::Octets response) {
    if (under.gate == nullptr || !under.gate->holds(record.device)) return false;
    const auto ticket = held_back.next_ticket();
    collect_admissible(response);
    wanted.purpose = redirect::Purpose::connect;
    wanted.devices = under.roster->devices()[record.device.value].macs;
    if (wanted.addresses.empty()) return false;
    if (ticket) wanted.ticket = *ticket;
    if (ticket && fit_admission() && doors.admit(wanted)) return true;
    ++statistics.unadmitted;
    return false;
  }

  /// The addresses of a known DoH name are refused to those who may not encrypt. Nobody waits for that.
  void tell_of_doh(dns::Octets words) {
    collect_admissible(words);
    wanted.purpose = redirect::Purpose::doh;
    wanted.devices.clear();
    wanted.ticket = HeldBack::no_ticket;
    if (fit_admission()) (void)doors.admit(wanted);
  }

  void collect_admissible(dns::Octets response) {
    policy::collect_addresses(response, wanted.addresses);
    std::erase_if(wanted.addresses, [](const IpAddress& address) { return !redirect::may_be_admitted(address); });
    wanted.ttl_seconds = policy::longest_ttl(response);
  }

  /// Cut to what a message may hold; false: nothing is left.
  bool fit_admission() {
    const std::size_t each = wanted.purpose == redirect::Purpose::connect ? wanted.devices.size() : 1;
    if (each == 0 || each > redirect::admitted_per_message) return false;
    wanted.addresses.resize(std::min(wanted.addresses.size(), redirect::admitted_per_message / each));
    return !wanted.addresses.empty();
  }

  void hear_admission(redirect::AdmissionAnswer answer) {
    HeldBack::Entry* const entry = held_back.find(answer.ticket);
    if (entry == nullptr || !entry->waits_for_admission) return;
    begin_batch(doors.clock.now());
    entry->waits_for_admission = false;
    ++(answer.is_admitted ? statistics.admitted : statistics.unadmitted);
    if (entry->not_before > now.monotonic) {
      held_back.set_due(answer.ticket, entry->not_before, now.monotonic);
      return doors.wake_at(entry->not_before);
    }
    held_back.take(answer.ticket, [this](HeldBack::Entry& kept, dns::Octets response) { let_go(kept, response); });
  }

  void let_go(HeldBack::Entry& entry, dns::Octets response) {
    --statistics.held_back;
    leave_late(entry.route, entry.client, entry.record, response, response, entry.received);
  }

  void send_due() {
    begin_batch(doors.clock.now());
    held_back.take_due(now.monotonic, [this](HeldBack::Entry& entry, dns::Octets response) {
      if (entry.waits_for_admission) ++statistics.unadmitted;
      let_go(entry, response);
    });
    if (const auto next = held_back.next()) doors.wake_at(*next);
  }

  /// Before 7: whom the answer comes from, as far as lists speak of that. What must be answered before more is known,
  /// or null: then `reviewing` has all that can be had in time. `landed`: what has just been answered.
  const cache::Key* find_servers(Reviewing& reviewing, const querylog::Record& record, dns::Octets words,
                                 MonotonicTime received, const cache::Key* landed = nullptr) {
    if (!reviewing.under.rules->asks_lists_above(record.rule) ||
        first_answer_type(words, qname_of(words).size()) == RecordType{0})
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

  /// A response, and what of it is recorded: it, or else the words that were kept from the client.
  struct Said {
    std::size_t size = 0;
    dns::Octets recorded;
  };

  /// 7. review, 8. synthesize where the review says so, 9. finish. `words` answer the question, or that of the detour.
  Said say_words(const Reviewing& reviewing, const dns::QueryView& query, querylog::Record& record,
                 const response::Fit& fit, const Detour& detour, dns::Octets words, response::Touches touches,
                 std::span<std::uint8_t> out) {
    const Snapshot& under = reviewing.under;
    const RecordType first = first_answer_type(words, reviewing.asked.size());
    if (first != RecordType{0} && (leads_on(first) || under.rebinding.protect || has_answer_rules(under, record)))
      if (const auto verdict = review(reviewing, query, record, words)) {
        if (!verdict->forwards()) {
          record.is_withheld = true;
          return {synthesize(under, query, record, fit, *verdict, out), words};
        }
      }
    if ((words[3] & 0x20) != 0) record.dnssec = querylog::Dnssec::upstream_said_secure;
    if (detour.leads_elsewhere() || detour.ipv6_ttl) words = retell(reviewing, query, record, detour, words, touches);
    record.code = code_of(words);
    ++(record.source == Source::cache   ? statistics.from_cache
       : record.source == Source::stale ? statistics.stale
                                        : statistics.forwarded);
    const std::size_t size = response::finish(query, words, touches, fit, out);
    return {size, out.first(size)};
  }

  /// May this device have this answer? In this order: no address of this house for a public name; the rules that speak
  /// of answers, where they stand above the one that decided; and the names that the answer leads on to, where no rule
  /// of the operator decided. Notes in the record what decided; nothing: what was decided before stands.
  std::optional<policy::Verdict> review(const Reviewing& reviewing, const dns::QueryView& query,
                                        querylog::Record& record, dns::Octets words) {
    const Snapshot& under = reviewing.under;
    const bool tries_rules = has_answer_rules(under, record);
    if (under.rebinding.protect || tries_rules) policy::collect_addresses(words, answer_addresses);
    if (under.lists->lists_answers()) std::sort(answer_addresses.begin(), answer_addresses.end());
    dns::Question question = query.question();
    question.qname = question.qname.lowered();

    if (under.rebinding.protect && record.verdict != VerdictKind::rewrite &&
        policy::is_rebinding(under.rebinding, question.qname, answer_addresses) && !is_house_route(reviewing)) {
      record.verdict = VerdictKind::rebinding;
      record.rule = policy::no_rule;
      return policy::Verdict{policy::NoData{}, {}, {}};
    }

    const device::Device& device = under.roster->devices()[record.device.value];
    policy::Asking asking{.device = device,
                          .groups = under.roster->groups_of(device, record.client),
                          .client = record.client,
                          .question = question,
                          .lowered_qname = question.qname,
                          .destination = record.destination,
                          .time = local_time,
                          .interfaces = reviewing.interfaces,
                          .resolvers = under.resolvers.get(),
                          .places = under.places.get()};
    const bool has_servers = reviewing.servers && !reviewing.servers->are_none();
    if (tries_rules && (has_servers || !answer_addresses.empty())) {
      asking.answer_addresses = answer_addresses;
      if (has_servers) {
        asking.server_names = reviewing.servers->names;
        asking.server_addresses = reviewing.servers->addresses;
      }
      const policy::Review found = policy::review(*under.rules, *under.lists, asking, record.rule);
      if (found.observed && (!record.has_observed || found.observed->rule < record.observed_rule))
        note_observed(record, *found.observed);
      if (found.verdict) {
        note(record, *found.verdict);
        return found.verdict;
      }
      asking.answer_addresses = {};
    }

    if (record.rule != policy::no_rule || record.verdict == VerdictKind::rewrite)
      return std::nullopt;  // the operator said forward
    const auto view = dns::ResponseView::parse(words);
    check(view.has_value());
    asking.is_led_to = true;
    for (const dns::RecordView& answer : *view) {
      if (answer.section != dns::Section::answer || !leads_on(answer.type)) continue;
      const bool is_service = answer.type == RecordType::https || answer.type == RecordType::svcb;
      question.qname = view->rdata_name(answer, is_service ? 2 : 0).lowered();
      if (question.qname.is_root()) continue;  // of a service: the name itself
      if (auto verdict = policy::judge_target(*under.rules, *under.lists, asking)) {
        note(record, *verdict);
        return verdict;
      }
    }
    return std::nullopt;
  }

  static bool has_answer_rules(const Snapshot& under, const querylog::Record& record) {
    return under.rules->speaks_of_answers_above(record.rule) || policy::speak_of_answers(*under.lists);
  }

  /// Is it a route of the operator's own to servers of this house, who may well tell of its addresses? The default
  /// route is none: a home router asks the world.
  static bool is_house_route(const Reviewing& reviewing) {
    const auto& routes = reviewing.under.upstream->routes;
    const std::size_t number = reviewing.route.value;
    return number != 0 && number < routes.size() &&
           std::all_of(
               routes[number].servers.begin(), routes[number].servers.end(),
               [](const Endpoint& server) { return policy::is_inward(server.address); });
  }

  /// Words that answer the client's question, in the scratch buffer. TTLs are touched here, because what is ours does
  /// not age.
  dns::Octets retell(const Reviewing& reviewing, const dns::QueryView& query, const querylog::Record& record,
                     const Detour& detour, dns::Octets words, response::Touches& touches) {
    const Snapshot& under = reviewing.under;
    const response::Retelling how{.target = detour.leads_elsewhere() ? &reviewing.asked : nullptr,
                                  .target_ttl_seconds = under.block.ttl_seconds,
                                  .dns64 = detour.ipv6_ttl ? under.dns64.get() : nullptr,
                                  .ipv6_ttl_seconds_max = detour.ipv6_ttl.value_or(0),
                                  .age_seconds = std::exchange(touches.age_seconds, 0),
                                  .ttl_seconds = std::exchange(touches.ttl_seconds, std::nullopt)};
    if (detour.name == Detour::Name::forged_target && !touches.error) {
      touches.error = ExtendedError::forged_answer;
      touches.error_text = reason_text(under, record.rule, detour.list, Deed::rewritten);
    }
    return {scratch.data(), response::retell(query.question(), words, how, scratch)};
  }

  std::size_t say_verdict(const listener::Arrival& arrival, const dns::QueryView& query, querylog::Record& record,
                          const response::Fit& fit, const policy::Verdict& verdict, std::span<std::uint8_t> out) {
    const std::size_t size = synthesize(*snapshot, query, record, fit, verdict, out);
    return leave_now(arrival, record, {size, out.first(size)}, out);
  }

  std::size_t synthesize(const Snapshot& under, const dns::QueryView& query, querylog::Record& record,
                         const response::Fit& fit, const policy::Verdict& verdict, std::span<std::uint8_t> out) {
    const auto* rewrite = std::get_if<policy::Rewrite>(&verdict.action);
    const auto* of_list = std::get_if<policy::ListAnswer>(&verdict.action);
    const auto why = [&](Deed deed) -> std::string_view {
      if (record.verdict == VerdictKind::rebinding) return "an address of this house for a public name";
      return reason_text(under, verdict.reason.rule, verdict.reason.list, deed);
    };
    const std::size_t size =
        of_list ? answer_as_listed(under, query, fit, *of_list, why, out)
                : response::synthesize(query, verdict.action, rewrite ? &under.rules->rewrite(*rewrite) : nullptr,
                                       under.block, fit, why(rewrite ? Deed::rewritten : Deed::blocked), out);
    if (size > 0) ++statistics.synthesized;
    record.source = size > 0 ? Source::synthesized : Source::none;
    record.code = size > 0 ? code_of(out) : ResponseCode::noerror;
    return size;
  }

  /// As the lines of a list say.
  template <class Why>
  static std::size_t answer_as_listed(const Snapshot& under, const dns::QueryView& query, const response::Fit& fit,
                                      const policy::ListAnswer& answer, Why why, std::span<std::uint8_t> out) {
    std::array<response::OwnRecord, response::own_records_max> records;
    std::size_t count = 0;
    std::optional<ResponseCode> code;
    policy::each_answer(*under.lists, answer, [&](const blocklist::LineAnswer& line) {
      if (line.kind == blocklist::LineAnswer::Kind::code)
        code = line.code;
      else if (line.kind == blocklist::LineAnswer::Kind::record && count < records.size())
        records[count++] = {line.type, line.rdata};
    });
    if (code && *code != ResponseCode::noerror && count == 0)
      return response::refuse(query, *code, ExtendedError::blocked, why(Deed::blocked), fit, out);
    return response::answer(query, std::span(records).first(count), under.block.ttl_seconds, fit, why(Deed::rewritten),
                            out);
  }

  /// Where the verdict leads to another name, that name stands in the question.
  bool find_target(const policy::Action& action, dns::Question& question) const {
    std::optional<dns::Name> target;
    if (const auto* rewrite = std::get_if<policy::Rewrite>(&action))
      target = snapshot->rules->rewrite(*rewrite).cname;
    else if (const auto* answer = std::get_if<policy::ListAnswer>(&action))
      target = policy::find_target(*snapshot->lists, *answer, question);
    if (target) question.qname = *target;
    return target.has_value();
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
    if (code_of(words) == ResponseCode::nxdomain) return std::nullopt;
    policy::collect_addresses(words, answer_addresses);
    const bool is_without = std::all_of(answer_addresses.begin(), answer_addresses.end(),
                                        [&](const IpAddress& address) { return dns64.is_excluded(address); });
    return is_without ? std::optional(ttl > 0 ? ttl : response::dns64_ttl_seconds) : std::nullopt;
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
    response::SpecialUse choice = snapshot->special_use;
    choice.bare_names = choice.bare_names && query.recursion_desired();
    return response::find_special_use(lowered, query.question().qtype, choice);
  }

  bool stays_here(const dns::Name& lowered, const dns::QueryView& query, const policy::Verdict& verdict) const {
    return !is_sent_on(lowered, verdict) && find_special_use(lowered, query);
  }

  /// Does the operator say where to?
  bool is_sent_on(const dns::Name& lowered, const policy::Verdict& verdict) const {
    return route_for(lowered, verdict).has_value();
  }

  /// Whatever lists or `otherwise` would have done.
  static void note_local(querylog::Record& record) {
    if (record.verdict != VerdictKind::forward) record.rule = policy::no_rule;
    record.verdict = VerdictKind::forward;
  }

  /// What the house itself says of a name of its own, or of one that must not leave it.
  std::size_t say_local(const listener::Arrival& arrival, querylog::Record& record, std::size_t size,
                        std::span<std::uint8_t> out) {
    ++statistics.synthesized;
    record.source = Source::local;
    record.code = code_of(out);
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
    const std::size_t size = response::reject(arrival.message, fault, out);
    querylog::Record record = begin_record(arrival, {}, identify(arrival));
    record.verdict = VerdictKind::rejected;
    if (size > 0) {
      ++statistics.rejected;
      ++statistics.answered;
      record.source = Source::synthesized;
      record.code = code_of(out);
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
    if (size > 0 && may_wait(*snapshot, record, delay_ms) &&
        hold_back(*snapshot, {arrival.route, arrival.client, record, now.monotonic}, out.first(size), delay_ms)) {
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

  // ── small steps
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /// Whom the redirect brought home is of this house, whatever its address (IPv6 at home is public): its rules take
  /// from the LAN's interfaces only. Refused, it would be cut off from the resolver it meant, too. So is whom a trusted
  /// router passes on. A port that stands for a resolver is open to everybody.
  static bool is_ours(const Client& client, const listener::Arrival& arrival) {
    return client.may_ask || arrival.is_passed_on() ||
           (arrival.destination.is_intercepted() && arrival.destination.source != device::DestinationSource::port_map);
  }

  /// A known device at an address that the roster has not heard of is known by its MAC: the first question after a
  /// device has come home is judged like every other.
  const Client& identify(const listener::Arrival& arrival) {
    const IpAddress& address = arrival.is_passed_on() ? arrival.behind : arrival.client.address;
    Client& client = clients[std::hash<IpAddress>{}(address) % clients_known_max];
    if (client.device == nullptr || client.address != address) {
      client.address = address;
      const auto holds_it = [&](const IpPrefix& prefix) { return prefix.contains(address); };
      client.may_ask = std::any_of(snapshot->allow_clients.begin(), snapshot->allow_clients.end(), holds_it);
      client.may_speak_for_others =
          std::any_of(snapshot->trusted_routers.begin(), snapshot->trusted_routers.end(), holds_it);
      describe_as(client, snapshot->roster->identify(address));
      client.look_again = client.device->id.value == 0 ? MonotonicTime::min() : MonotonicTime::max();
      client.report_again = MonotonicTime::min();
    }
    if (now.monotonic >= client.look_again && is_ours(client, arrival)) look_at(client);
    return client;
  }

  /// A trusted router says for whom it asks: by MAC or client id, or by address (client subnet of a single host).
  const Client& identify_behind(const Client& client, const dns::QueryView& query) {
    const auto address = query.edns()->client_subnet ? lone_address(*query.edns()->client_subnet) : std::nullopt;
    const auto& id = query.edns()->client_id;
    if (!address && !id) return client;
    behind_router.address = address.value_or(client.address);
    behind_router.may_ask = client.may_ask;
    const std::string_view text = id ? std::string_view(reinterpret_cast<const char*>(id->data()), id->size()) : "";
    auto mac = device::MacAddress::parse(text);
    if (id && id->size() == 6) std::copy(id->begin(), id->end(), mac.emplace().octets.begin());
    if (const auto decoded = device::MacAddress::parse_base64(text); decoded && snapshot->roster->find(*decoded))
      mac = decoded;
    const device::Device* device = mac ? snapshot->roster->find(*mac) : nullptr;
    if (device == nullptr && mac && !address) device = &snapshot->roster->devices()[0];  // not the router itself
    if (device == nullptr) device = &snapshot->roster->identify(behind_router.address, mac ? "" : text);
    describe_as(behind_router, *device);
    return behind_router;
  }

  /// RFC 7871 §6: of a source prefix that is a whole address.
  static std::optional<IpAddress> lone_address(dns::Octets subnet) {
    if (subnet.size() == 8 && dns::read16(subnet, 0) == 1 && subnet[2] == 32)
      return IpAddress::from_octets(subnet.subspan(4));
    if (subnet.size() == 20 && dns::read16(subnet, 0) == 2 && subnet[2] == 128)
      return IpAddress::from_octets(subnet.subspan(4));
    return std::nullopt;
  }

  void describe_as(Client& client, const device::Device& device) const {
    client.device = &device;
    if (snapshot->rate_tally)
      client.bucket = device.id.value == 0 ? RateTally::bucket_of(client.address) : policy::hash_of(device.name);
    client.groups = snapshot->roster->groups_of(device, client.address);
    client.log = options.keeps_records ? snapshot->roster->log_choice(device, client.groups) : device::LogChoice::none;
  }

  void look_at(Client& client) {
    if (now.monotonic >= looks_end) {
      looks_left = strangers_looked_for_max;
      looks_end = now.monotonic + seconds(1);
    }
    if (looks_left == 0) return;
    --looks_left;
    const auto mac = doors.find_mac(client.address);
    const device::Device* known = mac ? snapshot->roster->find(*mac) : nullptr;
    describe_as(client, known != nullptr ? *known : snapshot->roster->devices()[0]);
    const bool is_news = now.monotonic >= client.report_again;
    client.look_again = now.monotonic + (is_news && !mac ? neighbour_delay : milliseconds(stranger_memory));
    if (!is_news) return;
    client.report_again = now.monotonic + stranger_memory;
    doors.report_unknown_client(client.address);
  }

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

  querylog::Record begin_record(const listener::Arrival& arrival, const dns::Question& question,
                                const Client& client) const {
    querylog::Record record;
    record.time = arrival.at.wall;
    record.generation = snapshot->generation;
    record.device = client.device->id;
    record.client = client.address;
    record.destination = arrival.destination;
    record.transport =
        arrival.route.carrier == listener::Carrier::tcp ? querylog::Transport::tcp : querylog::Transport::udp;
    record.qtype = question.qtype;
    record.log = client.log;
    if (record.log != device::LogChoice::none)
      record.qname = question.qname;  // the rest is cheaper made than asked for
    return record;
  }

  static void note(querylog::Record& record, const policy::Verdict& verdict) {
    record.verdict = kind_of(verdict.action);
    record.rule = verdict.reason.rule;
    record.has_listing = !verdict.reason.listing.is_empty();
    if (record.has_listing) record.list_set = verdict.reason.listing.coverings[0].set;
    if (verdict.observed) note_observed(record, *verdict.observed);
  }

  void look_at_lock(const policy::Verdict& verdict, const device::Device& device, const dns::Name& lowered) {
    const bool is_refused = snapshot->rules->is_of_lock(verdict.reason.rule);
    if (!is_refused && !(verdict.observed && snapshot->rules->is_of_lock(verdict.observed->rule))) return;
    ++statistics.beyond_lock;
    if (now.monotonic - alarms_since >= std::chrono::minutes(1)) {
      alarms.clear();
      alarms_since = now.monotonic;
    }
    if (alarms.size() == lock_alarms_a_minute_max || !doors.raise_lock_alarm) return;
    const std::uint64_t what = lowered.hash(options.seed + device.id.value);
    if (std::find(alarms.begin(), alarms.end(), what) != alarms.end()) return;
    alarms.push_back(what);
    doors.raise_lock_alarm({device.name, lowered, is_refused});
  }

  static void note_observed(querylog::Record& record, const policy::Observed& observed) {
    record.has_observed = true;
    record.observed_rule = observed.rule;
    record.observed = kind_of(observed.action);
  }

  /// Which of the rules' interfaces the one with this index is. An index keeps its name while the snapshot lasts.
  policy::InterfaceMask interfaces_of(std::uint32_t index) {
    const auto names = snapshot->rules->interfaces();
    if (names.empty() || index == 0) return 0;
    const auto known =
        std::find_if(interfaces.begin(), interfaces.end(), [&](const auto& one) { return one.first == index; });
    if (known != interfaces.end()) return known->second;
    const std::string name = doors.interface_name(index);
    policy::InterfaceMask mask = 0;
    for (std::size_t bit = 0; bit < names.size(); ++bit)
      if (names[bit] == name) mask |= policy::InterfaceMask{1} << bit;
    if (interfaces.size() < interfaces_known_max) interfaces.emplace_back(index, mask);
    return mask;
  }

  /// What was done, and by what, for EDE's text: made once per snapshot, so that blocked answers allocate nothing.
  enum class Deed : std::uint8_t { blocked, rewritten };
  using DeedTexts = std::array<std::string, 2>;
  std::string_view reason_text(const Snapshot& under, policy::RuleId rule, std::optional<blocklist::ListId> list,
                               Deed deed) const {
    if (&under != snapshot.get()) return {};  // began under an older snapshot: the code says enough
    if (list && list->value < list_texts.size()) return list_texts[list->value][static_cast<std::size_t>(deed)];
    if (rule.value < rule_texts.size()) return rule_texts[rule.value][static_cast<std::size_t>(deed)];
    return {};
  }
  static DeedTexts deed_texts(const std::string& by) { return {"blocked by " + by, "rewritten by " + by}; }

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
    touches.error = code_of(hit.words) == ResponseCode::nxdomain ? ExtendedError::stale_nxdomain_answer
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

  bool has_failed_lately(const cache::Key& key) {
    if (failures.empty()) return false;
    const auto found = failures.find(failure_key(key));
    if (found == failures.end()) return false;
    if (now.monotonic < found->second) return true;
    failures.erase(found);
    return false;
  }

  void remember_failure(const cache::Key& key) {
    if (failures.size() >= failures_max)
      std::erase_if(failures, [&](const auto& entry) { return entry.second <= now.monotonic; });
    if (failures.size() >= failures_max) failures.clear();
    failures[failure_key(key)] = now.monotonic + failure_memory;
  }

  /// CD counts: what fails a validating upstream's check may well be had without it.
  std::uint64_t failure_key(const cache::Key& key) const {
    return key.question.hash(options.seed ^
                             (std::uint64_t{key.route} << 32 | std::uint64_t{key.checking_disabled} << 48));
  }

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
    list_texts.clear();
    for (const policy::ListPolicy& list : snapshot->rules->lists())
      list_texts.push_back(deed_texts("list " + list.name));
    rule_texts.clear();
    for (const policy::Rule& rule : snapshot->rules->rules())
      rule_texts.push_back(
          deed_texts(rule.line == 0 ? "the " + rule.file : "rule at line " + std::to_string(rule.line)));
    clients.assign(clients_known_max, {});
    interfaces.clear();
    rate_text.clear();
    if (snapshot->rate_tally) {
      const RateLimit& limit = snapshot->rate_tally->limit();
      rate_text = "more than " + std::to_string(limit.queries) + " queries " +
                  (limit.period == seconds(1) ? "a second" : "a minute");
    }
    return next;
  }

  void begin_batch(Moment moment) {
    now = moment;
    if (moment.wall >= this_minute && moment.wall < this_minute + std::chrono::minutes(1)) return;
    this_minute = std::chrono::floor<std::chrono::minutes>(moment.wall);
    local_time = policy::to_local_time(moment.wall);
  }

  Options options;
  Doors doors;
  std::shared_ptr<const Snapshot> snapshot;
  cache::Cache cache;
  WaitingRoom waiting_room;
  Moment now{};
  WallTime this_minute{};
  policy::LocalTime local_time;  // in it
  std::vector<std::uint8_t> late, scratch, in_hand;
  ServerSearch server_search;
  std::size_t words_held = 0;  // octets of all Waiting::words
  std::vector<DeedTexts> list_texts, rule_texts;
  std::unordered_map<std::uint64_t, MonotonicTime> failures;
  std::vector<Client> clients;  // by hash of the address: one place for each
  Client behind_router;         // of the query that is served
  std::vector<std::pair<std::uint32_t, policy::InterfaceMask>> interfaces;  // by index
  std::vector<std::uint64_t> alarms;                                        // hashes of device and name, of this minute
  MonotonicTime alarms_since{};
  std::vector<IpAddress> answer_addresses;  // of the answer that is reviewed
  HeldBack held_back;
  redirect::Admission wanted;  // that is being asked for
  std::string rate_text;
  MonotonicTime suspicion_again{};
  int looks_left = 0;  // before looks_end
  MonotonicTime looks_end{};
  Statistics statistics;
};

Resolver::Resolver(Options options, Doors doors, std::shared_ptr<const Snapshot> snapshot)
    : impl_(std::make_unique<Impl>(options, std::move(doors), std::move(snapshot))) {}
Resolver::~Resolver() = default;

std::shared_ptr<const Snapshot> Resolver::install(std::shared_ptr<const Snapshot> snapshot) {
  return impl_->install(std::move(snapshot));
}
void Resolver::begin_batch(Moment now) {
  impl_->begin_batch(now);
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
