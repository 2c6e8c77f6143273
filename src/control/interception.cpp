#include "control/interception.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "querylog/log_reader.h"
#include "querylog/recent_answers.h"

namespace doline::control {

namespace {

using nlohmann::json;

json to_json(const redirect::Done& done) {
  return {{"ok", true}, {"warnings", done.warnings}};
}

json to_json(const redirect::Failed& failed) {
  return {{"ok", false}, {"reasons", failed.reasons}};
}

json to_json(const redirect::StatusReply& status) {
  json answer{{"ok", true},
              {"state", redirect::to_string(status.state)},
              {"mode", redirect::to_string(status.mode)},
              {"has_privilege", status.has_privilege},
              {"applied_seconds_ago", status.applied_seconds_ago},
              {"trial_seconds_left", status.trial_seconds_left},
              {"counters",
               {{"udp4", status.counters.udp4},
                {"tcp4", status.counters.tcp4},
                {"udp6", status.counters.udp6},
                {"tcp6", status.counters.tcp6},
                {"unserved", status.counters.unserved},
                {"encrypted", status.counters.encrypted}}},
              {"gate", json_of(status.gate)},
              {"reason", status.reason},
              {"interference", status.interference},
              {"text", redirect::describe(status)}};
  if (!status.has_counters) answer["counters"] = nullptr;
  return answer;
}

json to_json(const redirect::RefusedReply& refused) {
  json devices = json::array(), connections = json::array();
  for (const redirect::RefusedDevice& row : refused.devices)
    devices.push_back({{"mac", row.mac.to_string()},
                       {"refused", row.refused},
                       {"would_refuse", row.would_refuse},
                       {"encrypted", row.encrypted}});
  for (const redirect::RefusedConnection& row : refused.connections)
    connections.push_back(
        {{"mac", row.mac.to_string()}, {"connection", redirect::describe(row)}, {"packets", row.packets}});
  return {{"ok", true},
          {"devices", std::move(devices)},
          {"connections", std::move(connections)},
          {"left_out", refused.left_out}};
}

json to_json(const redirect::SeenReply& seen) {
  json rows = json::array();
  for (const redirect::Sighting& row : seen.sightings)
    rows.push_back({{"mac", row.device.to_string()}, {"resolver", row.resolver.to_string()}, {"packets", row.packets}});
  return {{"ok", true}, {"sightings", std::move(rows)}, {"left_out", seen.left_out}};
}

}  // namespace

namespace {

std::vector<blocklist::ListId> doh_lists_of(std::span<const policy::ListPolicy> policies) {
  std::vector<blocklist::ListId> lists;
  for (std::size_t at = 0; at < policies.size(); ++at)
    if (policies[at].kind == policy::ListKind::doh) lists.push_back({static_cast<std::uint16_t>(at)});
  return lists;
}

bool may_be_shut(const IpPrefix& network) {
  const IpAddress& address = network.address();
  return network.length() >= (address.is_v4() ? doh_network_bits_min_v4 : doh_network_bits_min_v6) &&
         redirect::may_be_admitted(address);
}

/// As many as the rules may hold; the resolver list's come first. Its book has no order, and equal ones must make equal
/// rules.
std::vector<IpPrefix> doh_networks_of(const DohSources& sources) {
  std::vector<IpPrefix> networks, listed;
  for (const auto& [address, resolver] : sources.resolvers.all())
    if (resolver.doh) networks.emplace_back(address, address.is_v4() ? 32 : 128);
  if (const auto lists = doh_lists_of(sources.list_policies); !lists.empty()) listed = sources.lists.networks_of(lists);
  std::erase_if(listed, [](const IpPrefix& network) { return !may_be_shut(network); });
  for (auto* some : {&networks, &listed}) {
    std::sort(some->begin(), some->end());
    const std::size_t left = redirect::doh_networks_max - (some == &networks ? 0 : networks.size());
    some->resize(std::min(some->size(), left));
  }
  networks.insert(networks.end(), listed.begin(), listed.end());
  std::sort(networks.begin(), networks.end());
  const auto is_within = [](const IpPrefix& outer, const IpPrefix& one) { return outer.contains(one.address()); };
  networks.erase(std::unique(networks.begin(), networks.end(), is_within), networks.end());
  return networks;
}

/// Sorted.
std::vector<device::MacAddress> held_by(const redirect::Restrictions& restrictions) {
  std::vector<device::MacAddress> macs = restrictions.only_resolved;
  macs.insert(macs.end(), restrictions.observed.begin(), restrictions.observed.end());
  std::sort(macs.begin(), macs.end());
  return macs;
}

}  // namespace

json json_of(const redirect::GateCounts& gate) {
  return {{"only_resolved", gate.only_resolved}, {"observed", gate.observed},
          {"admitted", gate.admitted},           {"refused", gate.refused},
          {"would_refuse", gate.would_refuse},   {"turned_away", gate.turned_away}};
}

json json_of(const redirect::RefusedReply& refused, const device::Roster& roster) {
  std::map<std::string, redirect::RefusedDevice> devices;
  for (const redirect::RefusedDevice& row : refused.devices) {
    const device::Device* device = roster.find(row.mac);
    redirect::RefusedDevice& all = devices[device != nullptr ? device->name : row.mac.to_string()];
    all.refused += row.refused;
    all.would_refuse += row.would_refuse;
    all.encrypted += row.encrypted;
  }
  json rows = json::array();
  for (const auto& [name, all] : devices)
    rows.push_back(
        {{"device", name}, {"refused", all.refused}, {"would_refuse", all.would_refuse}, {"encrypted", all.encrypted}});
  return rows;
}

redirect::Restrictions restrictions_of(const device::Roster& roster,
                                       std::span<const redirect::GroupRestriction> by_group,
                                       std::span<const redirect::FlowLock> locks, const DohSources& sources) {
  redirect::Restrictions all = redirect::restrictions_of(roster, by_group, locks);
  all.doh_networks = doh_networks_of(sources);
  return all;
}

blocklist::DohNames doh_names_of(const DohSources& sources) {
  blocklist::DohNames doh;
  doh.lists = doh_lists_of(sources.list_policies);
  for (const auto& [address, resolver] : sources.resolvers.all())
    if (const auto name = dns::Name::parse(resolver.hostname); resolver.doh && name && !name->is_root())
      doh.names.push_back(*name);
  std::sort(doh.names.begin(), doh.names.end());
  doh.names.erase(std::unique(doh.names.begin(), doh.names.end()), doh.names.end());
  return doh;
}

std::shared_ptr<resolver::Gate> gate_of(const device::Roster& roster,
                                        std::span<const redirect::GroupRestriction> by_group,
                                        std::span<const redirect::FlowLock> locks, redirect::Encrypted otherwise,
                                        std::shared_ptr<const blocklist::DohNames> doh) {
  const redirect::Restrictions all = redirect::restrictions_of(roster, by_group, locks);
  const bool knows_doh = all.hold_encrypted(otherwise) || !all.log_encrypted.empty();
  if (!all.hold_flows() && !knows_doh) return nullptr;
  auto gate = std::make_shared<resolver::Gate>();
  for (const device::Device& device : roster.devices())
    gate->is_held.push_back(redirect::restriction_of(device, roster, by_group, locks).flows != redirect::Flows::any);
  if (knows_doh) gate->doh = std::move(doh);
  return gate;
}

std::vector<redirect::Admission> admissions_of(const std::filesystem::path& log,
                                               const std::vector<device::MacAddress>& macs,
                                               const device::Roster& roster, WallTime now) {
  std::vector<redirect::Admission> admissions;
  auto reader = querylog::LogReader::open(log);
  if (!reader) return admissions;
  std::map<std::pair<device::MacAddress, IpAddress>, seconds> known;  // how long it holds by what is taken already
  const auto read = querylog::recall_answers(*reader, macs, now, [&](const querylog::RecentAnswer& answer) {
    const auto age = std::chrono::duration_cast<seconds>(std::max(now - answer.time, microseconds(0)));
    const device::Device* device = answer.mac ? roster.find(*answer.mac) : nullptr;
    if (device == nullptr || device->macs.empty()) return true;
    redirect::Admission admission;
    admission.ttl_seconds = static_cast<std::uint32_t>(answer.ttl.count());
    admission.age_seconds = static_cast<std::uint32_t>(age.count());
    admission.devices = device->macs;
    const seconds left = redirect::time_left(admission);
    if (left <= seconds(0)) return true;
    for (const IpAddress& address : answer.addresses) {
      if (!redirect::may_be_admitted(address)) continue;
      seconds& longest = known[{device->macs.front(), address}];
      if (longest >= left) continue;
      longest = left;
      admission.addresses.push_back(address);
    }
    if (admission.devices.size() > redirect::admitted_per_message) return true;
    admission.addresses.resize(
        std::min(admission.addresses.size(), redirect::admitted_per_message / admission.devices.size()));
    if (!admission.addresses.empty()) admissions.push_back(std::move(admission));
    return known.size() < admissions_recalled_max;
  });
  // What was read before a fault holds all the same.
  static_cast<void>(read);
  return admissions;
}

Interception::Interception(Loop& loop, std::unique_ptr<warden::Client> warden, redirect::Options options,
                           std::filesystem::path trial_file, spdlog::logger& log,
                           std::function<void(const redirect::RefusedReply&)> on_refused,
                           std::function<void(std::vector<device::MacAddress>, Done)> on_held,
                           std::function<void()> on_doh_unknown)
    : loop_(loop),
      at_start_(std::move(options)),
      wanted_(at_start_),
      trial_file_(std::move(trial_file)),
      log_(log),
      on_refused_(std::move(on_refused)),
      on_held_(std::move(on_held)),
      on_doh_unknown_(std::move(on_doh_unknown)),
      warden_(std::move(warden)) {
  std::string complaint;
  unconfirmed_ = read_trial_mark(trial_file_, complaint);
  if (!complaint.empty()) log_.warn("{}", complaint);
  if (unconfirmed_ && unconfirmed_->on_trial != at_start_) forget_trial();  // the operator has decided otherwise
  // Of another mode, or of other ports: it comes back by the operator's file alone, and then the trial is forgotten.
  if (unconfirmed_ && unconfirmed_->former && !is_served(*unconfirmed_->former)) unconfirmed_->former.reset();
  readable_ = loop_.on_events(warden_->descriptor(), UV_READABLE, [this](int) { read(); });
  looking_ = loop_.every(interception_look_every, [this] {
    if (is_starting_ && !changes_.is_busy()) start([](const json&) {});
    ask(redirect::Status{}, [](const json&) {});
  });
  looking_for_refusals_ = loop_.every(refusals_look_every, [this] { look_for_refusals(); });
}

void Interception::look_for_refusals() {
  if (!restrictions_.hold_flows() && !restrictions_.hold_encrypted(encrypted())) return;
  warden_->ask(redirect::Refused{}, [this](const std::optional<redirect::Reply>& reply) {
    const auto* refused = reply ? std::get_if<redirect::RefusedReply>(&*reply) : nullptr;
    // Until the answers from before are known, what they explain counts as unexplained.
    if (refused == nullptr || !awaiting_recall_.empty()) return;
    refused_ = *refused;
    on_refused_(refused_);
  });
}

Interception::~Interception() {
  readable_ = Watch();
  changes_.clear();
}

void Interception::read() {
  warden_->read();
  if (!warden_->is_alive()) lose();
}

void Interception::lose() {
  if (!readable_) return;
  readable_ = Watch();
  looking_ = Watch();
  looking_for_refusals_ = Watch();
  reason_ = "the warden process has died";
  if (state_ != redirect::State::absent) state_ = redirect::State::lost;
  log_.error("The warden process has died: interception is lost until Doline is started again; DNS is served on.");
}

void Interception::ask(redirect::Request request, Answer answer) {
  warden_->ask(std::move(request), [this, answer = std::move(answer)](const std::optional<redirect::Reply>& reply) {
    if (!reply) return answer({{"error", "The warden process is gone: start Doline again to get interception back."}});
    if (const auto* status = std::get_if<redirect::StatusReply>(&*reply)) take_in(*status);
    answer(std::visit([](const auto& body) { return to_json(body); }, *reply));
  });
  if (!warden_->is_alive()) lose();
}

void Interception::restrict(redirect::Restrictions restrictions, const std::shared_ptr<void>& said) {
  if (restrictions == restrictions_) return;
  std::vector<device::MacAddress> held = held_by(restrictions);
  std::erase_if(held, [before = held_by(restrictions_)](const device::MacAddress& mac) {
    return std::binary_search(before.begin(), before.end(), mac);
  });
  restrictions_ = std::move(restrictions);
  // What stays shut while Doline is away does not open when it comes.
  if (state_ == redirect::State::applied || wanted_.on_failure == redirect::OnFailure::open) {
    awaiting_recall_.insert(held.begin(), held.end());
    held.assign(awaiting_recall_.begin(), awaiting_recall_.end());
  }
  say_restrictions([this, said, held = std::move(held)] {
    if (state_ != redirect::State::applied) return;
    recall(held);
    on_doh_unknown_();
  });
}

/// `done`: where they are in force.
void Interception::say_restrictions(Done done) {
  redirect::Restrictions restrictions = restrictions_;
  for (const device::MacAddress& mac : awaiting_recall_)
    if (restrictions.observed.size() < redirect::restricted_max && std::erase(restrictions.only_resolved, mac) > 0)
      restrictions.observed.push_back(mac);
  std::sort(restrictions.observed.begin(), restrictions.observed.end());
  ask(redirect::Restrict{std::move(restrictions)}, [this, done = std::move(done)](const json& reply) {
    const std::string before = std::exchange(gate_trouble_, {});
    // Who said what failed has gone without being told: all is told anew.
    if (reply.value("ok", false)) return before.empty() ? done() : tell_anew();
    if (!reply.contains("reasons") || reply["reasons"].empty()) return;
    gate_trouble_ = "Restrictions of groups are not in force: " + reply["reasons"][0].get<std::string>();
    if (gate_trouble_ != before) log_.error("{}", gate_trouble_);
  });
}

/// Where there are rules: what was answered before them.
void Interception::tell_anew() {
  if (state_ != redirect::State::applied) return;
  recall(held_by(restrictions_));
  on_doh_unknown_();
}

void Interception::recall(std::vector<device::MacAddress> macs) {
  if (macs.empty()) return;
  on_held_(macs, [this, macs] {
    std::size_t settled = 0;
    for (const device::MacAddress& mac : macs) settled += awaiting_recall_.erase(mac);
    if (settled > 0) say_restrictions([] {});
  });
}

void Interception::admit(std::vector<redirect::Admission> admissions, Done done) {
  const std::size_t count = redirect::count_that_fit(admissions);
  if (count == 0) return done();
  const auto end = admissions.begin() + static_cast<std::ptrdiff_t>(count);
  redirect::Admit message{{admissions.begin(), end}};
  admissions.erase(admissions.begin(), end);
  ask(std::move(message), [this, left = std::move(admissions), done = std::move(done)](const json&) mutable {
    admit(std::move(left), std::move(done));
  });
}

void Interception::begin(Answer answer) {
  if (is_decided_) return answer({{"ok", false}});
  warden_->ask(redirect::Seen{}, [this](const std::optional<redirect::Reply>& reply) {
    if (const auto* seen = reply ? std::get_if<redirect::SeenReply>(&*reply) : nullptr) tell(*seen);
  });
  start([this, answer = std::move(answer)](const json& reply) {
    if (const std::string waiting = describe_unconfirmed(); !waiting.empty()) log_.warn("{}", waiting);
    answer(reply);
  });
}

/// One change of the rules after the other: the mark of a trial says what is in force when it begins.
void Interception::change(std::function<void(Answer)> begin, Answer answer) {
  if (changes_.are_full()) return answer(to_json(redirect::Failed{{"too much is asked at once"}}));
  changes_.add([begin = std::move(begin), answer = std::move(answer)](warden::Jobs::Finish finish) {
    begin([answer, finish = std::move(finish)](const json& reply) {
      answer(reply);
      finish();
    });
  });
}

void Interception::start(Answer answer) {
  if (unconfirmed_ && !unconfirmed_->former) return answer({{"ok", false}});
  const auto begin = [this](Answer done) {
    apply(unconfirmed_ ? *unconfirmed_->former : at_start_, seconds(0),
          [this, done = std::move(done)](const json& reply) {
            // The operator may have been faster than the reply.
            is_starting_ = !reply.value("ok", false) && !is_decided_;
            done(reply);
          });
  };
  change(begin, std::move(answer));
}

/// Empty: nothing waits for the operator's word.
std::string Interception::describe_unconfirmed() const {
  if (!unconfirmed_ || is_on_trial_) return {};
  std::string instead = in_force_ ? "the one before it is in force" : "none is in force";
  if (!in_force_ && unconfirmed_->former && !is_decided_)
    instead = "the one before it should be in force, and is not yet" + (reason_.empty() ? "" : " (" + reason_ + ")");
  return "The configured redirect was on trial and nobody confirmed it, so " + instead +
         ": `doline redirect apply` makes it count.";
}

/// Before the rules come: what cannot be remembered is not tried. The sentence why not, or "".
std::string Interception::mark_trial(seconds trial) {
  if (trial.count() == 0) return {};
  TrialMark mark{wanted_, in_force_};
  if (unconfirmed_) mark.former = unconfirmed_->former;
  if (std::string failure = write_trial_mark(trial_file_, mark); !failure.empty())
    return "rules on trial must be remembered, in case that Doline ends before somebody confirms them: " + failure;
  unconfirmed_ = std::move(mark);
  return {};
}

void Interception::forget_trial() {
  is_on_trial_ = false;
  unconfirmed_.reset();
  std::error_code error;
  std::filesystem::remove(trial_file_, error);
  if (error)
    log_.error("{} cannot be removed: {}. Remove it, or the next start takes the redirect for unconfirmed.",
               trial_file_.native(), error.message());
}

std::string Interception::shortcoming() const {
  if (std::string waiting = describe_unconfirmed(); !waiting.empty()) return waiting;
  if (is_starting_ || state_ == redirect::State::lost || state_ == redirect::State::suspended)
    return "Interception is " + std::string(is_starting_ ? "off" : redirect::to_string(state_)) +
           (reason_.empty() ? "." : ": " + reason_);
  return {};
}

void Interception::tell(const redirect::SeenReply& seen) {
  if (seen.sightings.empty()) return;
  log_.info(
      "The kernel remembers {} pairs of device and foreign resolver of the last days. `doline redirect seen` shows "
      "them.",
      seen.sightings.size() + seen.left_out);
}

void Interception::want(redirect::Options options) {
  wanted_ = std::move(options);
}

void Interception::apply(seconds trial, Answer answer) {
  is_decided_ = true;
  is_starting_ = false;
  change([this, trial](Answer done) { apply_wanted(trial, std::move(done)); }, std::move(answer));
}

void Interception::apply_wanted(seconds trial, Answer answer) {
  const auto before = unconfirmed_;
  if (std::string failure = mark_trial(trial); !failure.empty())
    return answer(to_json(redirect::Failed{{std::move(failure)}}));
  apply(wanted_, trial, [this, trial, before, answer = std::move(answer)](const json& reply) {
    if (trial.count() == 0 && reply.value("ok", false)) forget_trial();
    // What was there is there; of a warden that died without a word that is not known.
    if (trial.count() > 0 && reply.contains("reasons")) {
      unconfirmed_ = before;
      if (!before) forget_trial();
      // Where that cannot be written, the file goes on to say what was before: nothing becomes permanent by it.
      if (before) static_cast<void>(write_trial_mark(trial_file_, *before));
    }
    answer(reply);
  });
}

/// By the sockets of the start.
bool Interception::is_served(const redirect::Options& options) const {
  return options.mode == at_start_.mode && options.ports == at_start_.ports && options.nat_port == at_start_.nat_port;
}

void Interception::apply(const redirect::Options& options, seconds trial, Answer answer) {
  if (!is_served(options))
    return answer(to_json(redirect::Failed{
        {"the configuration has another mode or other ports than when Doline was started, and its sockets with them: "
         "start Doline again"}}));
  ask(redirect::Apply{options, static_cast<std::uint16_t>(trial.count())},
      [this, trial, options, answer = std::move(answer)](const json& reply) {
        if (reply.value("ok", false)) {
          take_applied(options, trial, reply);
        } else if (reply.contains("reasons")) {
          const std::string first = reply["reasons"].empty() ? "" : reply["reasons"][0].get<std::string>();
          if (first != reason_)  // not again and again
            for (const auto& reason : reply["reasons"]) log_.error("Interception: {}", reason.get<std::string>());
          reason_ = first;
        }
        answer(reply);
      });
}

void Interception::take_applied(const redirect::Options& options, seconds trial, const json& reply) {
  state_ = redirect::State::applied;
  reason_.clear();
  in_force_ = options;
  is_on_trial_ = trial.count() > 0;
  tell_applied(trial);
  tell_anew();
  for (const auto& warning : reply.value("warnings", json::array()))
    log_.warn("Interception: {}", warning.get<std::string>());
}

void Interception::tell_applied(seconds trial) {
  const std::string interfaces = json(in_force_->interfaces).dump();
  const std::string limit = trial.count() > 0 ? ", on trial for " + std::to_string(trial.count()) + " s" : "";
  if (redirect::intercepts(in_force_->mode))
    log_.info("Interception is on ({}): stray DNS from {} is answered here{}.", redirect::to_string(in_force_->mode),
              interfaces, limit);
  if (in_force_->mode == redirect::Mode::audit)
    log_.info("Audit is on: stray DNS from {} goes its way, and is recorded{}.", interfaces, limit);
  if (in_force_->watch) log_.info("Connections from {} to the outside are watched{}.", interfaces, limit);
}

void Interception::confirm(Answer answer) {
  const auto begin = [this](Answer done) {
    ask(redirect::Confirm{}, [this, done = std::move(done)](const json& reply) {
      if (reply.value("ok", false)) take_confirmed();
      done(reply);
    });
  };
  change(begin, std::move(answer));
}

void Interception::take_confirmed() {
  // Who looked meanwhile has seen the trial's end, and taken it for its failure.
  if (unconfirmed_ && in_force_ != unconfirmed_->on_trial) {
    in_force_ = unconfirmed_->on_trial;
    on_doh_unknown_();
  }
  forget_trial();
  log_.info("Interception: the rules on trial are confirmed.");
}

void Interception::remove(Answer answer) {
  is_decided_ = true;
  is_starting_ = false;
  const auto begin = [this](Answer done) {
    ask(redirect::Remove{}, [this, done = std::move(done)](const json& reply) {
      if (reply.value("ok", false)) {
        state_ = redirect::State::absent;
        reason_.clear();
        in_force_.reset();
        is_on_trial_ = false;
        log_.info("Interception is off.");
      }
      done(reply);
    });
  };
  change(begin, std::move(answer));
}

void Interception::verify(Answer answer) {
  ask(redirect::Verify{}, std::move(answer));
}
void Interception::status(Answer answer) {
  ask(redirect::Status{.looks_anew = true}, [this, answer = std::move(answer)](json reply) {
    if (const std::string waiting = describe_unconfirmed(); !waiting.empty() && reply.contains("text")) {
      reply["unconfirmed"] = waiting;
      reply["text"] = reply["text"].get<std::string>() + waiting + '\n';
    }
    answer(reply);
  });
}
void Interception::seen(std::shared_ptr<const device::Roster> roster, Answer answer) {
  ask(redirect::Seen{}, [roster = std::move(roster), answer = std::move(answer)](json reply) {
    if (const auto rows = reply.find("sightings"); rows != reply.end())
      std::erase_if(rows->get_ref<json::array_t&>(), [&](const json& row) {
        const auto mac = device::MacAddress::parse(row.at("mac").get<std::string>());
        const device::Device* device = mac ? roster->find(*mac) : nullptr;
        return device != nullptr && device->log != device::LogChoice::full;
      });
    answer(reply);
  });
}

void Interception::take_in(const redirect::StatusReply& status) {
  if (status.state == redirect::State::suspended && state_ != redirect::State::suspended)
    log_.warn("Interception is suspended: {}", status.reason);
  else if (status.reason != reason_ && !status.reason.empty())
    log_.warn("Interception: {}", status.reason);
  const redirect::State before = std::exchange(state_, status.state);
  if (is_on_trial_ && status.trial_seconds_left == 0) {  // what was before it is back
    is_on_trial_ = false;
    in_force_ = unconfirmed_ && state_ != redirect::State::absent ? unconfirmed_->former : std::nullopt;
    on_doh_unknown_();
  }
  // The table was away, and the warden has put it back.
  if (before != redirect::State::applied || (status.gate.admitted == 0 && gate_.admitted > 0)) tell_anew();
  if (!gate_trouble_.empty()) say_restrictions([] {});  // once more
  if (!is_starting_) reason_ = status.reason;
  gate_ = status.gate;
  interference_ = status.interference;
}

void Interception::beat() {
  warden_->beat();
}

void Interception::end(milliseconds patience) {
  readable_ = Watch();
  looking_ = Watch();
  looking_for_refusals_ = Watch();
  changes_.clear();  // none comes after this one
  if (!warden_->is_alive()) return;
  (void)warden_->ask_and_wait(redirect::Remove{}, patience);
  state_ = redirect::State::absent;
}

}  // namespace doline::control
