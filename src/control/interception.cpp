#include "control/interception.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

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
  return {{"ok", true},
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
          {"reason", status.reason},
          {"interference", status.interference},
          {"text", redirect::describe(status)}};
}

json to_json(const redirect::SeenReply& seen) {
  json rows = json::array();
  for (const redirect::Sighting& row : seen.sightings)
    rows.push_back({{"mac", row.device.to_string()}, {"resolver", row.resolver.to_string()}, {"packets", row.packets}});
  return {{"ok", true}, {"sightings", std::move(rows)}, {"left_out", seen.left_out}};
}

}  // namespace

redirect::Options with_doh_servers(redirect::Options options, const geo::ResolverBook& resolvers) {
  if (options.encrypted == redirect::Encrypted::leave && !options.watch) return options;
  std::vector<IpAddress>& addresses = options.doh_addresses;
  for (const auto& [address, resolver] : resolvers.all())
    if (resolver.doh) addresses.push_back(address);
  std::sort(addresses.begin(), addresses.end());  // the book has no order, and equal options must make equal rules
  if (addresses.size() > redirect::doh_addresses_max) addresses.resize(redirect::doh_addresses_max);
  return options;
}

Interception::Interception(Loop& loop, std::unique_ptr<warden::Client> warden, redirect::Options options,
                           spdlog::logger& log)
    : loop_(loop), warden_(std::move(warden)), at_start_(std::move(options)), wanted_(at_start_), log_(log) {
  readable_ = loop_.on_events(warden_->descriptor(), UV_READABLE, [this](int) { read(); });
  looking_ = loop_.every(interception_look_every, [this] { status([](const json&) {}); });
}

Interception::~Interception() = default;

void Interception::read() {
  warden_->read();
  if (!warden_->is_alive()) lose();
}

void Interception::lose() {
  if (!readable_) return;
  readable_ = Watch();
  looking_ = Watch();
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

void Interception::begin(Answer answer) {
  if (is_decided_) return answer({{"ok", false}});
  warden_->ask(redirect::Seen{}, [this](const std::optional<redirect::Reply>& reply) {
    if (const auto* seen = reply ? std::get_if<redirect::SeenReply>(&*reply) : nullptr) tell(*seen);
  });
  apply(seconds(0), std::move(answer));
}

void Interception::tell(const redirect::SeenReply& seen) {
  if (seen.sightings.empty()) return;
  std::string most;
  for (const redirect::Sighting& row : std::span(seen.sightings).first(std::min(sightings_told, seen.sightings.size())))
    most += (most.empty() ? "" : ", ") + row.device.to_string() + " asked " + row.resolver.to_string() + " (" +
            std::to_string(row.packets) + " packets)";
  log_.info(
      "The kernel remembers {} pairs of device and foreign resolver of the last days, the most asked: {}. All: "
      "doline redirect seen",
      seen.sightings.size() + seen.left_out, most);
}

void Interception::want(redirect::Options options) {
  wanted_ = std::move(options);
}

void Interception::apply(seconds trial, Answer answer) {
  is_decided_ = true;
  if (wanted_.mode != at_start_.mode || wanted_.ports != at_start_.ports || wanted_.nat_port != at_start_.nat_port)
    return answer(to_json(redirect::Failed{
        {"the configuration has another mode or other ports than when Doline was started, and its sockets with them: "
         "start Doline again"}}));
  ask(redirect::Apply{wanted_, static_cast<std::uint16_t>(trial.count())},
      [this, trial, answer = std::move(answer)](const json& reply) {
        if (reply.value("ok", false)) {
          state_ = redirect::State::applied;
          reason_.clear();
          tell_applied(trial);
          for (const auto& warning : reply["warnings"]) log_.warn("Interception: {}", warning.get<std::string>());
        } else if (reply.contains("reasons")) {
          for (const auto& reason : reply["reasons"]) log_.error("Interception is off: {}", reason.get<std::string>());
          reason_ = reply["reasons"].empty() ? "" : reply["reasons"][0].get<std::string>();
        }
        answer(reply);
      });
}

void Interception::tell_applied(seconds trial) {
  const std::string interfaces = json(wanted_.interfaces).dump();
  const std::string limit = trial.count() > 0 ? ", on trial for " + std::to_string(trial.count()) + " s" : "";
  if (redirect::intercepts(wanted_.mode))
    log_.info("Interception is on ({}): stray DNS from {} is answered here{}.", redirect::to_string(wanted_.mode),
              interfaces, limit);
  if (wanted_.mode == redirect::Mode::audit)
    log_.info("Audit is on: stray DNS from {} goes its way, and is recorded{}.", interfaces, limit);
  if (wanted_.watch) log_.info("Connections from {} to the outside are watched{}.", interfaces, limit);
}

void Interception::confirm(Answer answer) {
  ask(redirect::Confirm{}, [this, answer = std::move(answer)](const json& reply) {
    if (reply.value("ok", false)) log_.info("Interception: the rules on trial are confirmed.");
    answer(reply);
  });
}

void Interception::remove(Answer answer) {
  is_decided_ = true;
  ask(redirect::Remove{}, [this, answer = std::move(answer)](const json& reply) {
    if (reply.value("ok", false)) {
      state_ = redirect::State::absent;
      reason_.clear();
      log_.info("Interception is off.");
    }
    answer(reply);
  });
}

void Interception::verify(Answer answer) {
  ask(redirect::Verify{}, std::move(answer));
}
void Interception::status(Answer answer) {
  ask(redirect::Status{}, std::move(answer));
}
void Interception::seen(Answer answer) {
  ask(redirect::Seen{}, std::move(answer));
}

void Interception::take_in(const redirect::StatusReply& status) {
  if (status.state == redirect::State::suspended && state_ != redirect::State::suspended)
    log_.warn("Interception is suspended: {}", status.reason);
  else if (status.reason != reason_ && !status.reason.empty())
    log_.warn("Interception: {}", status.reason);
  state_ = status.state;
  reason_ = status.reason;
}

void Interception::beat() {
  warden_->beat();
}

void Interception::end(milliseconds patience) {
  readable_ = Watch();
  looking_ = Watch();
  if (!warden_->is_alive()) return;
  (void)warden_->ask_and_wait(redirect::Remove{}, patience);
  state_ = redirect::State::absent;
}

}  // namespace doline::control
