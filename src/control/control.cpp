#include "control/control.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "config/printable.h"
#include "control/command_socket.h"
#include "control/device_book.h"
#include "control/device_requests.h"
#include "control/exemption_book.h"
#include "control/file_watch.h"
#include "control/hosts_keeper.h"
#include "control/interception.h"
#include "control/life_signs.h"
#include "control/list_keeper.h"
#include "control/lock_alarms.h"
#include "control/loop_watch.h"
#include "control/place_keeper.h"
#include "control/roster_keeper.h"
#include "control/spare_memory.h"
#include "control/status.h"
#include "control/text_file.h"
#include "geo/resolver_book.h"
#include "resolver/device_names.h"

namespace doline::control {

namespace {

using nlohmann::json;

/// A worker that has said nothing for so long is hung: then neither warden nor systemd hear that we live.
constexpr seconds hung_after{2};
constexpr milliseconds stop_patience{2'000};
constexpr milliseconds install_again_after{50};
constexpr seconds answer_patience{3};                       // of who commands something; then it is on its way
constexpr milliseconds presences_noted_every{15 * 60'000};  // of devices that stay where they are
constexpr milliseconds exemptions_looked_at{60'000};        ///< at least so often, where any will end

std::shared_ptr<const geo::ResolverBook> read_resolvers(const std::filesystem::path& file, spdlog::logger& log) {
  auto book = std::make_shared<geo::ResolverBook>();
  if (file.empty()) return book;
  const auto text = read_text_file(file);
  if (!text) {
    log.warn("{} Foreign resolvers are shown without their operators.", text.error());
    return book;
  }
  auto reading = geo::ResolverBook::read(*text);
  for (const auto& problem : reading.problems) log.warn("{}:{}: {}", file.native(), problem.line, problem.what);
  *book = std::move(reading.book);
  return book;
}

std::vector<std::string> rule_texts(const policy::RuleBook& rules) {
  std::vector<std::string> texts;
  for (const policy::Rule& rule : rules.rules()) texts.push_back(policy::short_place(rule));
  return texts;
}

/// Reverse names are asked for where the operator sends them, of the route's first server.
Discovery discovery_of(const config::Live& live, const config::Fixed& fixed) {
  Discovery discovery;
  discovery.hears_announcements = live.hears_announcements;
  if (fixed.redirect) discovery.interfaces = fixed.redirect->interfaces;
  if (!live.asks_pointers) return discovery;
  const dns::Name reverse_zones[] = {*dns::Name::parse("in-addr.arpa"), *dns::Name::parse("ip6.arpa")};
  for (const resolver::ForwardZone& zone : live.forward_zones) {
    const bool is_reverse = zone.suffix.is_within(reverse_zones[0]) || zone.suffix.is_within(reverse_zones[1]);
    const auto& routes = live.upstream.routes;
    if (is_reverse && zone.route.value < routes.size() && !routes[zone.route.value].servers.empty())
      discovery.zones.push_back({zone.suffix, routes[zone.route.value].servers.front()});
  }
  return discovery;
}

/// `rules +2 -1`: a moved rule is no change, an edited one is one less and one more.
std::string describe_change(const std::vector<policy::Rule>& before, const std::vector<policy::Rule>& after) {
  const auto texts = [](const std::vector<policy::Rule>& rules) {
    std::vector<std::string> all;
    for (const policy::Rule& rule : rules) all.push_back(rule.text);
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto old_texts = texts(before), new_texts = texts(after);
  std::vector<std::string> added, removed;
  std::set_difference(new_texts.begin(), new_texts.end(), old_texts.begin(), old_texts.end(),
                      std::back_inserter(added));
  std::set_difference(old_texts.begin(), old_texts.end(), new_texts.begin(), new_texts.end(),
                      std::back_inserter(removed));
  return "rules +" + std::to_string(added.size()) + " -" + std::to_string(removed.size());
}

}  // namespace

struct Control::Impl {
  Impl(Loop& loop_in, config::Settings settings_in, const Clock& clock_in, spdlog::logger& log_in)
      : loop(loop_in),
        settings(std::move(settings_in)),
        clock(clock_in),
        log(log_in),
        lists(loop, settings.fixed.state, clock, log, [this](const auto&) { take_lists(); }),
        rosters(loop, settings.fixed.state, clock, log, [this](const auto&) { take_roster(); }),
        hosts(
            loop, log, [this] { take_hosts(); }, settle_after),
        exemptions(settings.fixed.state / "exemptions.json", clock.now().wall, exemption_complaint),
        book(settings.fixed.state / "device-book.json", book_complaint),
        places(loop, log, [this] { publish_soon(); }) {
    for (const std::string* complaint : {&exemption_complaint, &book_complaint})
      if (!complaint->empty()) log.warn("{}", *complaint);
    take_settings(std::move(settings.live));
    lists.configure(settings.live.lists, settings.live.must_resolve);
    current = make_snapshot();
  }

  // ── snapshots ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /// What follows from the file alone; list set and roster come from their keepers.
  void take_settings(config::Live live) {
    const bool asks_others = !(live.upstream == settings.live.upstream);
    take_upstreams(loops ? loops->without_loops(live.upstream) : live.upstream);
    if (loops && asks_others) loops->look(live.upstream);
    resolvers = read_resolvers(live.resolver_list, log);
    places.configure(live.country_file, live.asn_file);
    if (live.rate_limit.queries == 0)
      rate_tally.reset();
    else if (!rate_tally || rate_tally->limit() != live.rate_limit)
      rate_tally = std::make_shared<resolver::RateTally>(live.rate_limit, std::random_device{}());
    rosters.configure(live.groups, book.add_to(live.devices), live.leases);
    Discovery discovery = discovery_of(live, settings.fixed);
    if (live.asks_pointers && discovery.zones.empty())
      log.warn("discover: ptr asks nobody, since `forward` names no reverse zone (1.168.192.in-addr.arpa: router).");
    rosters.discover(std::move(discovery));
    hosts.configure(live.hosts_files);
    settings.live = std::move(live);
    name_local();
    make_rules();
  }

  void take_upstreams(upstream::Options options) {
    if (upstream && options == *upstream) return;
    upstream = std::make_shared<const upstream::Options>(std::move(options));
    ++era;
  }

  /// All that is cached.
  void forget_answers() {
    ++era;
    announcement += ", no cached answers";
    publish_soon();
  }

  /// What is configured stands before what is found: records, hosts files in their order, devices.
  void name_local() {
    response::LocalRecords::Builder builder;
    builder.add_source(settings.live.records);
    for (const auto& names : hosts.files()) builder.add_source(names);
    if (settings.live.local_domain) resolver::name_devices(*rosters.current(), *settings.live.local_domain, builder);
    local = builder.build();
  }

  void take_roster() {
    if (settings.live.local_domain) name_local();
    note_presences();
    publish_soon();
  }

  /// For the history of devices: who was seen where since the last time, where the log may keep it.
  void note_presences() {
    if (!charge.log) return;
    const device::Roster& roster = *rosters.current();
    std::vector<querylog::Presence> presences;
    for (const auto& seen : rosters.seen_after(std::exchange(presences_noted, clock.now().wall))) {
      const device::Device* device = roster.find(seen.mac);
      if (device == nullptr) continue;
      const device::GroupMask groups = roster.groups_of(*device, seen.address);
      if (roster.log_choice(*device, groups) != device::LogChoice::full) continue;
      presences.push_back({querylog::identity_of(roster, *device, groups, seen.mac), seen.address, seen.when});
    }
    charge.log->note(std::move(presences));
  }

  void take_hosts() {
    name_local();
    announcement += ", hosts";
    publish_soon();
  }

  /// The operator's rules, what is set aside for now, and what locked devices may ask for.
  void make_rules() {
    policy::RuleBookSettings wanted = settings.live.policy;
    wanted.exemptions = exemptions.all();
    wanted.locks = book.locks();
    rules = std::make_shared<const policy::RuleBook>(std::move(wanted));
    exemption_end = Watch();
    const auto next = exemptions.next_end();
    if (!next) return;
    // A timer knows nothing of a clock that is set meanwhile: it looks again.
    const auto left = std::chrono::ceil<milliseconds>(*next - clock.now().wall);
    exemption_end = loop.after(std::clamp(left, milliseconds(0), exemptions_looked_at), [this] {
      if (exemptions.end_until(clock.now().wall)) {
        log.info("Blocking is in force again where it was set aside until now.");
        publish_soon();
      }
      make_rules();
    });
  }

  std::shared_ptr<const resolver::Snapshot> make_snapshot() {
    auto made = std::make_shared<resolver::Snapshot>();
    made->generation = ++generation;
    made->roster = rosters.current();
    made->lists = lists.current();
    made->rules = rules;
    made->resolvers = resolvers;
    made->places = places.current();
    made->rebinding = settings.live.rebinding;
    made->rate_tally = rate_tally;
    if (settings.fixed.redirect) find_doh_names(*made);
    if (settings.fixed.redirect && settings.fixed.redirect->mode != redirect::Mode::off) made->gate = make_gate(*made);
    made->answer_notification = lists.notifications();
    made->trusted_routers = settings.live.trusted_routers;
    made->block = settings.live.block;
    made->local = local;
    made->forward_zones = settings.live.forward_zones;
    made->special_use = settings.live.special_use;
    made->dns64 = settings.live.dns64;
    made->upstream = upstream;
    made->era = era;
    made->allow_clients = settings.live.allow_clients;
    kept.push_back(made);
    return made;
  }

  /// What the warden may not know of DoH names, it is told by the workers.
  std::shared_ptr<const resolver::Gate> make_gate(const resolver::Snapshot& snapshot) {
    auto gate = gate_of(*snapshot.roster, settings.live.restrictions, book.flow_locks(), encrypted(), doh);
    if (gate) gate->doh_telling = doh_telling;
    return gate;
  }

  void find_doh_names(const resolver::Snapshot& snapshot) {
    auto found = std::make_shared<const blocklist::DohNames>(doh_names_of(doh_sources(snapshot)));
    const bool are_others = !doh || !(*doh == *found) || (!doh->lists.empty() && current->lists != snapshot.lists);
    if (!are_others) return;
    doh = std::move(found);
    ++doh_telling;
  }

  [[nodiscard]] redirect::Encrypted encrypted() const {
    if (interception) return interception->encrypted();
    return settings.fixed.redirect ? settings.fixed.redirect->encrypted : redirect::Encrypted::leave;
  }

  static DohSources doh_sources(const resolver::Snapshot& snapshot) {
    return {*snapshot.resolvers, *snapshot.lists, snapshot.rules->lists()};
  }

  /// With the snapshot that knows of them.
  void restrict(const std::shared_ptr<void>& said = {}) {
    if (interception)
      interception->restrict(
          restrictions_of(*current->roster, settings.live.restrictions, book.flow_locks(), doh_sources(*current)),
          said);
  }

  void tell_log(const resolver::Snapshot& snapshot) {
    if (!charge.log) return;
    querylog::Legend legend;
    legend.generation = snapshot.generation;
    legend.roster = snapshot.roster;
    legend.lists = snapshot.lists;
    for (const policy::ListPolicy& list : snapshot.rules->lists()) legend.list_names.push_back(list.name);
    legend.rule_texts = rule_texts(*snapshot.rules);
    legend.doh = doh;
    if (has_gate())
      for (const device::Device& device : snapshot.roster->devices())
        legend.encrypted_refused.push_back(
            redirect::restriction_of(device, *snapshot.roster, settings.live.restrictions)
                .encrypted.value_or(encrypted()) == redirect::Encrypted::reject);
    charge.log->install(std::move(legend));
  }

  /// Many changes at once make one snapshot.
  void publish_soon() {
    if (!publishing) publishing = loop.after(milliseconds(20), [this] { publish(); });
  }

  void publish() {
    // One at a time; and new rules wait for their lists, rather than be in force without them.
    if (unacknowledged > 0 || lists.stands_in()) {
      publishing = loop.after(install_again_after, [this] { publish(); });
      return;
    }
    publishing = Watch();
    current = make_snapshot();
    in_force = answer_when_dropped(std::exchange(answers_due, {}));
    restrict(in_force);
    tell_log(*current);
    unacknowledged = charge.workers.size();
    for (std::size_t i = 0; i < charge.workers.size(); ++i) install(i, current);
  }

  /// To a command of the operator; given once.
  struct DueAnswer {
    CommandSocket::Answer give;
    json told;
    Watch late;
    void say() {
      if (give) std::exchange(give, nullptr)(told);
    }
  };

  /// The operator's command is answered when what it changed is in force, or when that takes too long.
  void answer_in_force(CommandSocket::Answer answer, json told) {
    auto due = std::make_shared<DueAnswer>(DueAnswer{std::move(answer), std::move(told), {}});
    due->late = loop.after(answer_patience, [due = due.get()] { due->say(); });
    answers_due.push_back(std::move(due));
    publish_soon();
  }

  /// What workers and the warden hold until they have done what they were told.
  std::shared_ptr<void> answer_when_dropped(std::vector<std::shared_ptr<DueAnswer>> answers) {
    if (answers.empty()) return {};
    return {nullptr, [answers = std::move(answers), while_serving = std::weak_ptr<void>(serving)](void*) {
              if (while_serving.expired()) return;
              for (const auto& answer : answers) answer->say();
            }};
  }

  void install(std::size_t worker, std::shared_ptr<const resolver::Snapshot> snapshot) {
    const bool taken = charge.workers[worker]->install(snapshot, [this] { loop.post([this] { acknowledge(); }); });
    if (!taken)  // its mailbox is full
      installing.push_back(loop.after(install_again_after, [this, worker, snapshot] { install(worker, snapshot); }));
  }

  void acknowledge() {
    if (--unacknowledged > 0) return;
    installing.clear();
    in_force.reset();
    look_ready();
    if (!announcement.empty())
      log.info("Generation {}: {} names, {} devices{}.", current->generation, current->lists->name_count(),
               current->roster->devices().size() - 1, std::exchange(announcement, {}));
    release();
  }

  /// The last reference to a snapshot is dropped here, never on a worker.
  void release() {
    std::erase_if(kept, [this](const auto& snapshot) { return snapshot != current && snapshot.use_count() == 1; });
  }

  // ── what changes ───────────────────────────────────────────────────────────────────────────────────────────────────

  void take_lists() {
    announcement += ", lists";
    publish_soon();
  }

  void watch_files() {
    settings_watch = FileWatch(loop, {settings.file}, [this] { reload_soon(); });
    if (!settings_watch.unwatched().empty())
      log.warn("{} is not watched: send SIGHUP after an edit.", settings.file.native());
  }

  void reload_soon() {
    settling = loop.after(settle_after, [this] { reload("it has changed"); });
  }

  /// Read and checked on the pool: a large file takes its time.
  void reload(const std::string& why) {
    settling = Watch();
    if (is_reading) {
      reload_soon();
      return;
    }
    is_reading = true;
    signs.reloading();
    log.info("Reading {}: {}.", settings.file.native(), why);
    auto reading = std::make_shared<std::optional<decltype(charge.read_settings())>>();
    loop.work([reading, read = charge.read_settings] { reading->emplace(read()); },
              [this, reading] {
                is_reading = false;
                if (*reading && **reading)
                  take_reload(std::move(***reading));
                else
                  reject_reload((*reading)->error());
                signs.ready(status_line());
              });
  }

  void take_reload(config::Settings wanted) {
    problems.clear();
    waiting_for_restart = config::changed_keys(settings.fixed, wanted.fixed);
    if (interception && wanted.fixed.redirect) interception->want(*wanted.fixed.redirect);
    const auto logs = [](const redirect::GroupRestriction& one) { return one.encrypted == redirect::Encrypted::log; };
    const auto& groups = wanted.live.restrictions;
    if (charge.log && !charge.log->statistics().flows && std::any_of(groups.begin(), groups.end(), logs))
      waiting_for_restart.emplace_back("groups.*.encrypted");
    for (const std::string& key : waiting_for_restart)
      log.warn("{}: the new value of {} waits for {}.", settings.file.native(), key,
               key == "redirect" && interception ? "`doline redirect apply`, or a restart where mode or ports differ"
                                                 : "a restart");
    announcement += ", " + describe_change(settings.live.policy.rules, wanted.live.policy.rules);
    take_settings(std::move(wanted.live));
    lists.configure(settings.live.lists, settings.live.must_resolve);
    if (charge.log) charge.log->keep(settings.live.log_keep, settings.live.log_max_size_octets);
    publish_soon();
  }

  void reject_reload(const std::vector<config::Problem>& found) {
    problems.clear();
    for (const config::Problem& problem : found) {
      problems.push_back(config::to_string(problem));
      log.error("{}", problems.back());
    }
    log.error("{} has {} problem{}: what was in force stays in force.", settings.file.native(), found.size(),
              found.size() == 1 ? "" : "s");
  }

  void take_log_event(const querylog::LogEvent& event) {
    using Kind = querylog::LogEvent::Kind;
    if (event.kind == Kind::recovered)
      log.info("Query log: {}", event.text);
    else
      log.error("Query log: {}", event.text);
    if (event.kind != Kind::put_off) log_trouble = event.kind == Kind::degraded ? event.text : "";
  }

  // ── loops ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// Servers that lead back are left aside. Where nobody is left to be asked, and it is our own rules that lead back,
  /// the rules go: the house had DNS before them.
  void take_loops() {
    upstream::Options left = loops->without_loops(settings.live.upstream);
    const auto& all = settings.live.upstream.routes;
    const auto caught = std::find_if(loops->found().begin(), loops->found().end(), [&](const LoopFound& loop) {
      const auto route =
          std::find_if(all.begin(), all.end(), [&](const upstream::Route& one) { return one.name == loop.route; });
      return loop.way.destination.is_intercepted() && route != all.end() &&
             left.routes[static_cast<std::size_t>(route - all.begin())].servers.empty();
    });
    if (interception && caught != loops->found().end()) {
      withdrawn = "Interception was taken away, because nobody else can be asked: " + describe(*caught);
      log.error("{}", withdrawn);
      loops->forgive();
      interception->remove([](const json&) {});
      left = settings.live.upstream;
    }
    take_upstreams(std::move(left));
    publish_soon();
  }

  // ── signs of life ──────────────────────────────────────────────────────────────────────────────────────────────────

  void tick() {
    collect([] {});
    const MonotonicTime now = clock.now().monotonic;
    const bool all_alive =
        std::all_of(heard.begin(), heard.end(), [&](MonotonicTime at) { return now - at < hung_after; });
    if (all_alive != were_alive) {
      were_alive = all_alive;
      if (all_alive)
        log.info("All workers answer again.");
      else
        log.critical("A worker does not answer: interception will be suspended and the watchdog not be told.");
    }
    if (all_alive && interception) interception->beat();
    look_ready();
    release();
  }

  void say_alive() {
    if (were_alive) signs.alive();
  }

  /// Fresh reports of all workers, then `done`; those that do not answer keep their last.
  void collect(std::function<void()> done) {
    auto left = std::make_shared<std::size_t>(charge.workers.size());
    auto finish = std::make_shared<std::function<void()>>(std::move(done));
    for (std::size_t i = 0; i < charge.workers.size(); ++i)
      (void)charge.workers[i]->report([this, i, left, finish](resolver::WorkerReport report) {
        loop.post([this, i, left, finish, report = std::move(report)]() mutable {
          reports[i] = std::move(report);
          heard[i] = clock.now().monotonic;
          if (--*left == 0 && *finish) std::exchange(*finish, nullptr)();
        });
      });
  }

  /// Said once: the first lists are in force, or will not be soon.
  void look_ready() {
    const bool is_coming = !lists.is_settled() || publishing || unacknowledged > 0;
    const bool waits = is_coming && clock.now().monotonic - began < ready_patience;
    if (is_ready || waits) return;
    is_ready = true;
    signs.ready(status_line());
    log.info("Ready: {}", status_line());
    if (interception)
      interception->begin([this](const json&) {
        if (loops) loops->look(settings.live.upstream);  // not at the end, where the warden never answered
      });
    else
      loops->look(settings.live.upstream);
    give_back_code();
  }

  std::string status_line() const {
    std::string line = "serving";
    for (const Endpoint& endpoint : charge.serving) line += ' ' + endpoint.to_string();
    return line + "; generation " + std::to_string(current->generation) + ", " +
           std::to_string(current->lists->name_count()) + " listed names";
  }

  // ── the command socket ─────────────────────────────────────────────────────────────────────────────────────────────

  void serve(const json& request, const CommandSocket::Answer& answer) {
    const std::string wish = request.contains("ask") && request["ask"].is_string() ? request["ask"] : "";
    if (wish == "status") return collect_and_answer(answer);
    if (wish == "lists.refresh") {
      const std::string name = request.contains("list") && request["list"].is_string() ? request["list"] : "";
      if (!lists.refresh(name)) return answer({{"error", "There is no list called " + name + "."}});
      return answer({{"ok", true}});
    }
    if (wish == "flush") {
      forget_answers();
      return answer_in_force(answer, {{"ok", true}});
    }
    if (wish == "exempt" || wish == "exempt.end") return serve_exemption(wish == "exempt.end", request, answer);
    if (wish.starts_with("device.")) return serve_device(request, answer);
    if (wish == "sightings.forget") return answer(forget_sightings(request));
    if (wish.starts_with("redirect.")) {
      if (!interception)
        return answer({{"error", "Interception is not configured: write a `redirect:` section into " +
                                     settings.file.native() + " and start Doline again."}});
      if (wish == "redirect.apply") return apply_redirect(request, answer);
      if (wish == "redirect.confirm") return interception->confirm(answer);
      if (wish == "redirect.remove") return interception->remove(answer);
      if (wish == "redirect.verify") return interception->verify(answer);
      if (wish == "redirect.status") return interception->status(answer);
      if (wish == "redirect.seen") return interception->seen(rosters.current(), answer);
      if (wish == "redirect.probe") return answer({{"ok", true}, {"name", loops->make_probe().to_string()}});
      if (wish == "redirect.probe.returns") return tell_returns(request, answer);
      if (wish == "redirect.loops") return tell_loops(request, answer);
    }
    answer({{"error", "This Doline does not know the request '" + wish.substr(0, 64) + "'."}});
  }

  void apply_redirect(const json& request, const CommandSocket::Answer& answer) {
    const json trial = request.value("confirm_seconds", json(0u));
    if (!trial.is_number_unsigned() || trial.get<std::uint64_t>() > std::uint64_t(redirect::trial_max.count()))
      return answer(
          {{"error", "Rules can be on trial for 1 s to " + std::to_string(redirect::trial_max.count()) + " s."}});
    interception->apply(seconds(trial.get<std::uint64_t>()), [this, answer](const json& reply) {
      if (reply.value("ok", false)) {
        withdrawn.clear();
        std::erase(waiting_for_restart, "redirect");
        loops->look(settings.live.upstream);
      }
      answer(reply);
    });
  }

  /// `doline redirect verify`: by which ways has its name been asked for here?
  void tell_returns(const json& request, const CommandSocket::Answer& answer) {
    const json text = request.value("name", json());
    const auto name = dns::Name::parse(text.is_string() ? text.get<std::string>() : "");
    const auto* returns = name ? loops->probe_returns(*name) : nullptr;
    if (returns == nullptr) return answer({{"error", "That name is no probe of this Doline's."}});
    json rows = json::array();
    for (const resolver::CanaryReturn& one : *returns)
      rows.push_back({{"client", one.client.address.to_string()},
                      {"meant_for", one.destination.endpoint.to_string()},
                      {"intercepted", one.destination.is_intercepted()},
                      {"transport", one.carrier == listener::Carrier::tcp ? "tcp" : "udp"}});
    answer({{"ok", true}, {"returns", std::move(rows)}});
  }

  void tell_loops(const json& request, const CommandSocket::Answer& answer) {
    if (request.value("look", json()) == json(true)) loops->look(settings.live.upstream);
    json sentences = json::array();
    for (const LoopFound& one : loops->found()) sentences.push_back(describe(one));
    answer({{"ok", true}, {"asked", loops->asked()}, {"loops", std::move(sentences)}});
  }

  /// `doline pause`, `allow` and `resume`.
  void serve_exemption(bool is_end, const json& request, const CommandSocket::Answer& answer) {
    const auto wanted = read_request(request, *current->roster, clock.now().wall);
    if (!wanted) return answer({{"error", wanted.error()}});
    json told = {{"ok", true}};
    if (is_end) {
      told["ended"] = request.value("all", false) ? exemptions.remove_all() : exemptions.remove(*wanted);
    } else {
      told["exemption"] = to_json(*wanted);
      if (const auto added = exemptions.add(*wanted); !added) {
        log.warn("Blocking: {}", added.error());
        told["warning"] = added.error();
      }
    }
    log.info("Blocking is {}{}{}{}.", is_end ? "in force again" : "set aside",
             wanted->name ? " for the name " + wanted->name->to_string() : "",
             wanted->device.empty() ? "" : ", device " + config::printable(wanted->device),
             wanted->group.empty() ? "" : ", group " + config::printable(wanted->group));
    make_rules();
    answer_in_force(answer, std::move(told));
  }

  /// `doline device`.
  void serve_device(const json& request, const CommandSocket::Answer& answer) {
    std::string changed;
    json told = answer_device_request(request, *rosters.current(), clock.now().wall, book, alarms, changed);
    if (!changed.empty()) {
      log.info("Devices: {}", changed);
      rosters.configure(settings.live.groups, book.add_to(settings.live.devices), settings.live.leases);
      make_rules();
      take_roster();
    }
    if (const BookedDevice* device = book.find(told.value("/book/device"_json_pointer, std::string()));
        request["ask"] == "device.lock" && device != nullptr && device->lock && device->lock->flows && !has_gate())
      told["warning"] = "Its connections are not held: that needs interception, which is not configured (`redirect:`).";
    if (changed.empty()) return answer(told);
    answer_in_force(answer, std::move(told));
  }

  /// `doline log forget`, of devices that Doline found by itself.
  json forget_sightings(const json& request) {
    const auto forgotten = rosters.forget(read_forgetting(request));
    if (!forgotten) return {{"error", forgotten.error()}};
    log.info("Devices: {} found by Doline itself are forgotten.", *forgotten);
    return {{"ok", true}, {"forgotten", *forgotten}};
  }

  [[nodiscard]] bool has_gate() const {
    return interception && settings.fixed.redirect && redirect::intercepts(settings.fixed.redirect->mode);
  }

  void take_lock_alarm(const resolver::LockAlarm& alarm) {
    const BookedDevice* device = book.find(alarm.device);
    if (device == nullptr || !device->lock) return;  // it has been unlocked meanwhile
    const std::string name = alarm.name.to_string();
    const auto news = alarms.note(alarm.device, LockAlarms::Kind::name, name, alarm.is_refused, clock.now().wall);
    if (news == LockAlarms::News::known) return;
    log.warn("Locked device {} asked for {}, which it may not look up{}.{}", config::printable(alarm.device), name,
             alarm.is_refused ? ": refused" : ", and was let through",
             news == LockAlarms::News::last_alarm ? " Of further names the query log alone tells." : "");
  }

  /// What locked devices wanted to connect to, and neither an answer nor the lock lets them.
  void take_refused(const redirect::RefusedReply& refused) {
    for (const redirect::RefusedConnection& connection : refused.connections) {
      const device::Device* device = current->roster->find(connection.mac);
      const BookedDevice* booked = device != nullptr ? book.find(device->name) : nullptr;
      if (booked == nullptr || !booked->lock || !booked->lock->flows) continue;
      const bool is_refused =
          redirect::restriction_of(*device, *current->roster, settings.live.restrictions, book.flow_locks()).flows ==
          redirect::Flows::only_resolved;
      const std::string what = redirect::describe(connection);
      const auto news = alarms.note(device->name, LockAlarms::Kind::connection, what, is_refused, clock.now().wall);
      if (news == LockAlarms::News::known) continue;
      log.warn("Locked device {} wanted to connect by {}, which no answer gave it and its lock does not allow{}.{}",
               config::printable(device->name), what, is_refused ? ": refused" : ", and was let through",
               news == LockAlarms::News::last_alarm ? " Further ones are not told one by one." : "");
    }
  }

  /// The gate has been told nothing of what these devices learned before it held them; the query log knows.
  /// What workers answer by then they admit themselves.
  void recall_answers(std::vector<device::MacAddress> macs, Interception::Done done) {
    if (!charge.log || !settings.fixed.query_log) return done();
    if (unacknowledged > 0) {
      recalling.push_back(loop.after(install_again_after, [this, macs, done] {
        recalling.pop_front();
        recall_answers(macs, done);
      }));
      return;
    }
    auto admissions = std::make_shared<std::vector<redirect::Admission>>();
    loop.work(
        [admissions, log = charge.log, file = settings.fixed.query_log->path, roster = current->roster,
         macs = std::move(macs), now = clock.now().wall] {
          log->flush();
          *admissions = admissions_of(file, macs, *roster, now);
        },
        [this, admissions, done] {
          std::size_t count = 0;
          for (const redirect::Admission& one : *admissions) count += one.addresses.size();
          if (count >= admissions_recalled_max)
            log.warn(
                "Of what devices that are only-resolved were told before, the newest {} addresses are known again.",
                count);
          interception->admit(std::move(*admissions), done);
        });
  }

  void tell_socket(const std::string& trouble) {
    if (trouble.empty())
      log.info("The control socket is open now.");
    else
      log.warn("{} It is tried again for {} s.", trouble, command_open_tried_for.count());
  }

  void collect_and_answer(const CommandSocket::Answer& answer) {
    auto once = std::make_shared<CommandSocket::Answer>(answer);
    const auto tell = [this, once] {
      if (*once) std::exchange(*once, nullptr)(to_json(status()));
    };
    status_timers.push_back(loop.after(milliseconds(1'000), [this, tell] {  // a hung worker does not hold up status
      status_timers.pop_front();
      tell();
    }));
    collect(tell);
  }

  Status status() const {
    Status all;
    all.version = charge.version;
    all.settings_file = settings.file;
    all.is_ready = is_ready;
    all.up = std::chrono::duration_cast<seconds>(clock.now().monotonic - began);
    all.generation = current->generation;
    all.serving = charge.serving;
    all.workers = reports;
    all.list_names = current->lists->name_count();
    all.lists = lists.states();
    all.devices = current->roster->devices().size() - 1;
    all.exemptions = exemptions.all();
    all.device_book = to_json(book, alarms);
    if (charge.log) all.log = charge.log->statistics();
    if (interception) all.interception = {interception->state(), interception->reason()};
    if (interception) all.gate = interception->gate();
    if (interception) all.interference = interception->interference();
    if (interception) all.refused = json_of(interception->refused(), *current->roster);
    all.redirect_mode = settings.fixed.redirect ? settings.fixed.redirect->mode : redirect::Mode::off;
    all.waiting_for_restart = waiting_for_restart;
    all.shortcomings = charge.shortcomings;
    if (socket && !socket->trouble().empty()) all.shortcomings.push_back(socket->trouble());
    if (!were_alive) all.shortcomings.push_back("A worker does not answer.");
    for (const std::string& route : find_silent_routes(reports)) all.shortcomings.push_back(route);
    if (const std::string deafness = rosters.deafness(); !deafness.empty()) all.shortcomings.push_back(deafness);
    for (const std::string& problem : places.problems()) all.shortcomings.push_back(problem);
    for (const std::string& problem : hosts.problems()) all.shortcomings.push_back(problem);
    for (const ListKeeper::State& list : all.lists)
      if (std::string shortcoming = shortcoming_of(list); !shortcoming.empty())
        all.shortcomings.push_back(std::move(shortcoming));
    if (!lists.trouble().empty()) all.shortcomings.push_back("Lists: " + lists.trouble() + '.');
    if (interception)
      if (const std::string shortcoming = interception->shortcoming(); !shortcoming.empty())
        all.shortcomings.push_back(shortcoming);
    if (!withdrawn.empty()) all.shortcomings.push_back(withdrawn);
    if (loops)
      for (const LoopFound& one : loops->found())
        all.shortcomings.push_back("Left aside because of a loop: " + describe(one));
    if (!log_trouble.empty()) all.shortcomings.push_back("Query log: " + log_trouble);
    if (all.log && all.log->is_retiring_put_off)
      all.shortcomings.push_back(
          "Query log: the clock of this machine is suddenly more than a day ahead. What is older than `keep` goes only "
          "once it has gone on for an hour without being set back.");
    if (interception && !interception->gate_trouble().empty()) all.shortcomings.push_back(interception->gate_trouble());
    for (const std::string& problem : problems) all.shortcomings.push_back(problem);
    return all;
  }

  // ── the run ────────────────────────────────────────────────────────────────────────────────────────────────────────

  void run(Charge given) {
    charge = std::move(given);
    began = clock.now().monotonic;
    reports.resize(charge.workers.size());
    heard.assign(charge.workers.size(), began);
    tell_log(*current);
    if (charge.warden && settings.fixed.redirect)
      interception.emplace(
          loop, std::move(charge.warden), *settings.fixed.redirect, settings.fixed.state / "redirect-trial.json", log,
          [this](const redirect::RefusedReply& refused) { take_refused(refused); },
          [this](std::vector<device::MacAddress> macs, Interception::Done done) {
            recall_answers(std::move(macs), std::move(done));
          },
          [this] {
            ++doh_telling;
            publish_soon();
          });
    restrict();
    loops = std::make_unique<LoopWatch>(loop, charge.canaries, clock, log, [this] { take_loops(); });
    socket.emplace(
        loop, settings.fixed.control_socket,
        [this](const json& request, const auto& answer) { serve(request, answer); },
        [this](const std::string& trouble) { tell_socket(trouble); });
    for (const std::string& shortcoming : charge.shortcomings) log.warn("{}", shortcoming);

    const Watch terminate = loop.on_signal(SIGTERM, [this] { end(); });
    const Watch interrupt = loop.on_signal(SIGINT, [this] { end(); });
    const Watch hang_up = loop.on_signal(SIGHUP, [this] {
      lists.check_files();
      forget_answers();
      reload("SIGHUP asks for it");
    });
    const Watch ticking = loop.every(redirect::heartbeat_period, [this] { tick(); });
    Watch living;
    if (signs.alive_every()) living = loop.every(*signs.alive_every(), [this] { say_alive(); });
    const Watch noting = loop.every(presences_noted_every, [this] { note_presences(); });
    note_presences();
    watch_files();
    publish_soon();  // what has changed since the workers' snapshot was made
    loop.run();
    serving.reset();
    if (interception) interception->end(stop_patience);
    socket.reset();
    loops.reset();
  }

  void end() {
    log.info("Stopping.");
    signs.stopping();
    loop.stop();
  }

  Loop& loop;
  config::Settings settings;
  const Clock& clock;
  spdlog::logger& log;
  LifeSigns signs = LifeSigns::from_environment();
  Charge charge;

  std::shared_ptr<const upstream::Options> upstream;
  std::shared_ptr<const policy::RuleBook> rules;
  std::shared_ptr<const geo::ResolverBook> resolvers;
  std::shared_ptr<const response::LocalRecords> local;
  ListKeeper lists;
  RosterKeeper rosters;
  HostsKeeper hosts;
  std::string exemption_complaint, book_complaint;
  ExemptionBook exemptions;
  DeviceBook book;
  LockAlarms alarms;
  WallTime presences_noted{};
  Watch exemption_end;
  PlaceKeeper places;
  std::shared_ptr<resolver::RateTally> rate_tally;
  std::uint64_t generation = 0;
  std::uint64_t era = 0;  // of answers: resolver::Snapshot::era
  std::shared_ptr<const resolver::Snapshot> current;
  std::vector<std::shared_ptr<const resolver::Snapshot>> kept;  // current, and those that workers still use
  std::size_t unacknowledged = 0;
  std::string announcement;  // what the next snapshot brings; empty: nothing to speak of
  Watch publishing;
  std::vector<Watch> installing;

  FileWatch settings_watch;
  Watch settling;
  bool is_reading = false;
  std::vector<std::string> problems;  // of the file that was not taken
  std::vector<std::string> waiting_for_restart;
  std::string log_trouble;

  std::shared_ptr<const blocklist::DohNames> doh;  // null: nobody asks
  std::uint64_t doh_telling = 0;  // another number: the warden is to be told again of what was answered
  std::optional<Interception> interception;
  std::unique_ptr<LoopWatch> loops;                         // of the run
  std::string withdrawn;                                    // why we took interception away ourselves
  std::vector<std::shared_ptr<DueAnswer>> answers_due;      // for the next snapshot
  std::shared_ptr<void> in_force;                           // dropped when all workers have the current snapshot
  std::shared_ptr<void> serving = std::make_shared<int>();  // commands, still
  std::optional<CommandSocket> socket;
  MonotonicTime began{};
  bool is_ready = false, were_alive = true;
  std::vector<resolver::WorkerReport> reports;
  std::vector<MonotonicTime> heard;
  std::deque<Watch> status_timers, recalling;
};

Control::Control(Loop& loop, config::Settings settings, const Clock& clock, spdlog::logger& log)
    : impl_(std::make_unique<Impl>(loop, std::move(settings), clock, log)) {}
Control::~Control() = default;

std::shared_ptr<const resolver::Snapshot> Control::snapshot() const {
  return impl_->current;
}

void Control::run(Charge charge) {
  impl_->run(std::move(charge));
}

void Control::saw_unknown_client(const IpAddress& client) {
  impl_->loop.post([impl = impl_.get(), client] { impl->rosters.saw_client(client); });
}

void Control::take_lock_alarm(const resolver::LockAlarm& alarm) {
  impl_->loop.post([impl = impl_.get(), alarm] { impl->take_lock_alarm(alarm); });
}

void Control::saw_canary(const resolver::CanaryReturn& come) {
  impl_->loop.post([impl = impl_.get(), come] {
    if (impl->loops) impl->loops->take(come);
  });
}

void Control::take_log_event(const querylog::LogEvent& event) {
  impl_->loop.post([impl = impl_.get(), event] { impl->take_log_event(event); });
}

}  // namespace doline::control
