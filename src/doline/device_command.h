// `doline device`: one device: what is known of it, which MACs are it, what it looks up, and what it may.
//
// All but `review` is asked of the running Doline. `review` reads the query log, and so does `lock`, which asks then
// for what was seen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/time.h"
#include "doline/settings_choice.h"

namespace doline {

struct DeviceArguments {
  enum class Verb : std::uint8_t { show, join, separate, learn, review, lock, unlock };
  bool is_called = false;
  Verb verb = Verb::show;
  SettingsChoice settings;
  std::string device;
  std::string other;                       ///< of `join`, and the MAC of `separate`
  std::string duration;                    ///< of `learn`
  std::string since, until;                ///< of `review` and `lock`; empty: the time of learning
  std::vector<std::string> also, without;  ///< names, of `lock`
  std::vector<std::string> flows;          ///< of `lock`: `198.51.100.0/24,udp,123`
  bool names_only = false;                 ///< of `lock`: its connections are not held
  bool exact = false, observe = false;     ///< of `lock`
  bool names = false;                      ///< of `review`
  std::filesystem::path database;          ///< empty: as the configuration says
  bool json = false;
};

/// 0, or 1 there was nothing to show or undo, 64 usage or a device that nobody knows, 66 no query log, 69 no Doline
/// runs there, 77 no permission.
int run_device(const DeviceArguments& arguments, const Clock& clock, std::ostream& out, std::ostream& err);

}  // namespace doline
