#include "control/status.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "control/exemption_book.h"
#include "control/interception.h"

namespace doline::control {

namespace {

using nlohmann::json;

template <class Part, class Figure>
std::uint64_t sum(const std::vector<resolver::WorkerReport>& workers, Part part, Figure figure) {
  std::uint64_t total = 0;
  for (const resolver::WorkerReport& worker : workers) total += worker.*part.*figure;
  return total;
}

json queries(const std::vector<resolver::WorkerReport>& workers) {
  using resolver::Statistics;
  const auto of = [&](std::uint64_t Statistics::* figure) {
    return sum(workers, &resolver::WorkerReport::resolver, figure);
  };
  return {{"received", of(&Statistics::received)},
          {"answered", of(&Statistics::answered)},
          {"dropped_by_verdict", of(&Statistics::dropped_by_verdict)},
          {"dropped_malformed", of(&Statistics::dropped_malformed)},
          {"waiting", of(&Statistics::waiting)},
          {"held_back", of(&Statistics::held_back)},
          {"rejected", of(&Statistics::rejected)},
          {"refused_client", of(&Statistics::refused_client)},
          {"over_limit", of(&Statistics::over_limit)},
          {"rate_limited", of(&Statistics::rate_limited)},
          {"synthesized", of(&Statistics::synthesized)},
          {"from_cache", of(&Statistics::from_cache)},
          {"stale", of(&Statistics::stale)},
          {"forwarded", of(&Statistics::forwarded)},
          {"failed", of(&Statistics::failed)},
          {"intercepted", of(&Statistics::intercepted)},
          {"admitted", of(&Statistics::admitted)},
          {"unadmitted", of(&Statistics::unadmitted)},
          {"beyond_lock", of(&Statistics::beyond_lock)},
          {"exchanges", of(&Statistics::exchanges)},
          {"joined", of(&Statistics::joined)},
          {"prefetches", of(&Statistics::prefetches)},
          {"servers_unknown", of(&Statistics::servers_unknown)},
          {"recorded", of(&Statistics::recorded)},
          {"records_lost", of(&Statistics::records_lost)},
          {"not_recorded", of(&Statistics::not_recorded)}};
}

json cached(const std::vector<resolver::WorkerReport>& workers) {
  using cache::Statistics;
  const auto of = [&](std::uint64_t Statistics::* figure) {
    return sum(workers, &resolver::WorkerReport::cache, figure);
  };
  return {{"entries", of(&Statistics::entries)},
          {"octets", of(&Statistics::octets)},
          {"hits", of(&Statistics::hits)},
          {"misses", of(&Statistics::misses)},
          {"stale_hits", of(&Statistics::stale_hits)},
          {"insertions", of(&Statistics::insertions)},
          {"evictions", of(&Statistics::evictions)}};
}

json sockets(const std::vector<resolver::WorkerReport>& workers) {
  using listener::TcpStatistics;
  using listener::UdpStatistics;
  const auto udp = [&](std::uint64_t UdpStatistics::* figure) {
    return sum(workers, &resolver::WorkerReport::udp, figure);
  };
  const auto tcp = [&](std::uint64_t TcpStatistics::* figure) {
    return sum(workers, &resolver::WorkerReport::tcp, figure);
  };
  std::uint64_t refused = 0, unknown = 0;
  for (const resolver::WorkerReport& worker : workers) {
    refused += worker.mailbox_refused;
    unknown += worker.origins_unknown;
  }
  return {{"udp",
           {{"received", udp(&UdpStatistics::received)},
            {"oversized", udp(&UdpStatistics::oversized)},
            {"not_allowed", udp(&UdpStatistics::not_allowed)},
            {"sent", udp(&UdpStatistics::sent)},
            {"send_failed", udp(&UdpStatistics::send_failed)}}},
          {"tcp",
           {{"accepted", tcp(&TcpStatistics::accepted)},
            {"open", tcp(&TcpStatistics::open)},
            {"evicted", tcp(&TcpStatistics::evicted)},
            {"timed_out", tcp(&TcpStatistics::timed_out)},
            {"received", tcp(&TcpStatistics::received)},
            {"sent", tcp(&TcpStatistics::sent)},
            {"client_gone", tcp(&TcpStatistics::client_gone)}}},
          {"mailbox_refused", refused},
          {"origins_unknown", unknown}};
}

/// One a server and route, in order of both: up as the worker says that knows best, the round trip of the worker that
/// asked most.
std::vector<upstream::ServerHealth> upstreams(const std::vector<resolver::WorkerReport>& workers) {
  std::map<std::pair<std::string, Endpoint>, upstream::ServerHealth> servers;
  std::map<std::pair<std::string, Endpoint>, std::uint64_t> most;
  for (const resolver::WorkerReport& worker : workers)
    for (const upstream::ServerHealth& one : worker.upstreams) {
      const std::pair key(one.route, one.server);
      const auto [place, is_new] = servers.emplace(key, one);
      if (is_new) {
        most[key] = one.asked;
        continue;
      }
      upstream::ServerHealth& all = place->second;
      if (one.known_at > all.known_at) {
        all.is_up = one.is_up;
        all.known_at = one.known_at;
      }
      all.asked += one.asked;
      all.answered += one.answered;
      all.failed += one.failed;
      if (one.asked <= most[key]) continue;
      most[key] = one.asked;
      all.round_trip = one.round_trip;
    }
  std::vector<upstream::ServerHealth> rows;
  for (auto& [key, one] : servers) rows.push_back(std::move(one));
  return rows;
}

json to_json(const std::vector<upstream::ServerHealth>& servers) {
  json rows = json::array();
  for (const upstream::ServerHealth& one : servers)
    rows.push_back({{"route", one.route},
                    {"server", one.server.to_string()},
                    {"up", one.is_up},
                    {"round_trip_us", one.round_trip.count()},
                    {"asked", one.asked},
                    {"answered", one.answered},
                    {"failed", one.failed}});
  return rows;
}

json to_json(const querylog::LogStatistics& log) {
  return {{"state", querylog::to_string(log.state)}, {"written", log.written},
          {"lost_at_ring", log.lost_at_ring},        {"lost_at_database", log.lost_at_database},
          {"not_recorded", log.not_recorded},        {"size_octets", log.size_octets}};
}

json to_json(const querylog::FlowStatistics& flows) {
  const auto& most = flows.left_out_most;
  return {{"watching", flows.is_watching},
          {"seen", flows.seen},
          {"without_lookup", flows.without_lookup},
          {"written", flows.written},
          {"repeated", flows.repeated},
          {"not_recorded", flows.not_recorded},
          {"left_out", flows.left_out},
          {"left_out_most_of", !most                        ? json(nullptr)
                               : most->holder.mac.is_zero() ? json(most->holder.client.to_string())
                                                            : json(most->holder.mac.to_string())},
          {"lost", flows.lost},
          {"unreadable", flows.unreadable},
          {"audited", flows.audited}};
}

std::string_view to_string(policy::ListKind kind) {
  switch (kind) {
    case policy::ListKind::block:
      return "block";
    case policy::ListKind::allow:
      return "allow";
    case policy::ListKind::doh:
      return "doh";
  }
  return "?";
}

json to_json(const std::optional<WallTime>& time) {
  return time ? json(std::chrono::duration_cast<seconds>(time->time_since_epoch()).count()) : json(nullptr);
}

const std::string& error_of(const ListKeeper::State& list) {
  return list.failure.empty() ? list.last_error : list.failure;
}

/// `state`: for people, one or two words.
std::string_view state_of(const ListKeeper::State& list) {
  if (!list.failure.empty()) return "empty";
  if (list.is_expired) return "expired";
  if (!list.last_error.empty()) return "not refreshed";
  if (!list.url.empty() && !list.next_fetch) return "being fetched";
  return list.mode == policy::Mode::observe ? "observing" : "in force";
}

json to_json(const ListKeeper::State& list) {
  json problems = json::array();
  for (const blocklist::LineProblem& problem : list.first_problems)
    problems.push_back(
        {{"line", problem.line}, {"column", problem.column}, {"what", blocklist::to_string(problem.fault)}});
  json skipped = json::object();
  for (std::size_t at = 0; at < blocklist::line_faults; ++at)
    if (list.read.skipped[at] > 0)
      skipped[std::string(blocklist::to_string(static_cast<blocklist::LineFault>(at)))] = list.read.skipped[at];
  return {{"name", list.name},
          {"kind", to_string(list.kind)},
          {"format", list.format ? json(blocklist::to_string(*list.format)) : json(nullptr)},
          {"mode", list.mode == policy::Mode::observe ? "observe" : "enforce"},
          {"state", state_of(list)},
          {"url", list.url},
          {"file", list.file.native()},
          {"names", list.names},
          {"octets", list.octets},
          {"modified", to_json(list.modified)},
          {"lines", list.read.lines},
          {"entries", list.read.entries},
          {"rules", list.read.rules},
          {"exceptions", list.read.exceptions},
          {"problems", list.read.problems},
          {"skipped", std::move(skipped)},
          {"first_problems", std::move(problems)},
          {"error", error_of(list)},
          {"serial", list.serial ? json(*list.serial) : json(nullptr)},
          {"last_fetch", to_json(list.last_fetch)},
          {"next_fetch", to_json(list.next_fetch)}};
}

std::uint64_t resident_octets() {
  unsigned long pages = 0, resident = 0;
  if (std::FILE* statm = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(statm, "%lu %lu", &pages, &resident) != 2) resident = 0;
    std::fclose(statm);
  }
  return std::uint64_t{resident} * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

std::vector<std::string> find_silent_routes(const std::vector<resolver::WorkerReport>& workers) {
  std::map<std::string, bool> answers;
  for (const upstream::ServerHealth& one : upstreams(workers)) answers[one.route] |= one.is_up;
  std::vector<std::string> sentences;
  for (const auto& [route, is_up] : answers)
    if (!is_up) sentences.push_back("No server of the upstream route '" + route + "' answers.");
  return sentences;
}

std::string shortcoming_of(const ListKeeper::State& list) {
  const std::string& error = error_of(list);
  if (error.empty()) return "";
  const char* what = !list.failure.empty() ? " is empty: " : list.is_expired ? " has expired: " : " is not refreshed: ";
  return "List " + list.name + what + error + '.';
}

json to_json(const Status& status) {
  json serving = json::array();
  for (const Endpoint& endpoint : status.serving) serving.push_back(endpoint.to_string());
  json lists = json::array();
  for (const ListKeeper::State& list : status.lists) lists.push_back(to_json(list));
  json exemptions = json::array();
  for (const policy::Exemption& exemption : status.exemptions) exemptions.push_back(to_json(exemption));
  json interception = {{"mode", redirect::to_string(status.redirect_mode)},
                       {"state", redirect::to_string(redirect::State::absent)},
                       {"reason", ""},
                       {"gate", json_of(status.gate)},
                       {"interference", status.interference}};
  interception["gate"]["devices"] = status.refused;
  if (status.interception) {
    interception["state"] = redirect::to_string(status.interception->first);
    interception["reason"] = status.interception->second;
  }
  return {{"version", status.version},
          {"pid", ::getpid()},
          {"settings", status.settings_file.native()},
          {"state", status.shortcomings.empty() ? "well" : "degraded"},
          {"ready", status.is_ready},
          {"shortcomings", status.shortcomings},
          {"waiting_for_restart", status.waiting_for_restart},
          {"up_seconds", status.up.count()},
          {"generation", status.generation},
          {"serving", std::move(serving)},
          {"workers", status.workers.size()},
          {"resident_octets", resident_octets()},
          {"devices", status.devices},
          {"exemptions", std::move(exemptions)},
          {"device_book", status.device_book},
          {"queries", queries(status.workers)},
          {"cache", cached(status.workers)},
          {"sockets", sockets(status.workers)},
          {"upstreams", to_json(upstreams(status.workers))},
          {"list_names", status.list_names},
          {"lists", std::move(lists)},
          {"querylog", status.log ? to_json(*status.log) : json("off")},
          {"flows", status.log && status.log->flows ? to_json(*status.log->flows) : json("off")},
          {"interception", std::move(interception)}};
}

}  // namespace doline::control
