// Status: all that `doline status` shows, gathered by control in one moment, and its JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ip_address.h"
#include "base/time.h"
#include "control/list_keeper.h"
#include "policy/exemption.h"
#include "querylog/log_writer.h"
#include "redirect/request.h"
#include "resolver/worker.h"

namespace doline::control {

struct Status {
  std::string version;
  std::filesystem::path settings_file;
  bool is_ready = false;
  seconds up{0};
  std::uint64_t generation = 0;
  std::vector<Endpoint> serving;
  std::vector<resolver::WorkerReport> workers;
  std::uint64_t list_names = 0;
  std::vector<ListKeeper::State> lists;
  std::size_t devices = 0;
  std::vector<policy::Exemption> exemptions;
  nlohmann::json device_book;                                           ///< joined, learned and locked devices
  std::optional<querylog::LogStatistics> log;                           ///< absent: the query log is off
  std::optional<std::pair<redirect::State, std::string>> interception;  ///< and the reason; absent: no warden
  redirect::GateCounts gate;                                            ///< as the warden last said
  std::vector<std::string> interference;                                ///< the same
  nlohmann::json refused = nlohmann::json::array();                     ///< the same by device
  redirect::Mode redirect_mode = redirect::Mode::off;
  std::vector<std::string> waiting_for_restart;  ///< keys whose new values are not in force
  std::vector<std::string> shortcomings;         ///< a sentence each; empty: all is well
};

/// Of each upstream route whose servers are all down, a sentence.
[[nodiscard]] std::vector<std::string> find_silent_routes(const std::vector<resolver::WorkerReport>& workers);
/// A sentence; empty: the list is as it should be.
[[nodiscard]] std::string shortcoming_of(const ListKeeper::State& list);

/// Sums over workers are sums, the rest as it is; times in seconds, sizes in octets.
[[nodiscard]] nlohmann::json to_json(const Status& status);

}  // namespace doline::control
