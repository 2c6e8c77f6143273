// CommandSocket: where `doline status`, `doline redirect apply` and their kin ask the running Doline. A Unix stream
// socket; one line of JSON asks, one line answers, in order, until the asker hangs up.
//
// The server lives on the control thread. Its file is for Doline's own user, its group, and root. ask() is for the
// asking process and blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "control/loop.h"

namespace doline::control {

inline constexpr std::size_t command_octets_max = 64 * 1024;  ///< of one request; a longer one ends its connection
inline constexpr std::size_t command_answer_octets_max = 64 * 1024 * 1024;
inline constexpr int command_connections_max = 16;  ///< past it the one idle longest goes
inline constexpr seconds command_idle{30};          ///< without a request, or with an answer that is not taken
inline constexpr milliseconds command_accept_again_after{200};  ///< where there was no descriptor left for a client
inline constexpr milliseconds command_open_again_after{500};    ///< where the socket cannot be opened yet
inline constexpr seconds command_open_tried_for{60};

class CommandSocket {
 public:
  /// Called once for each request, at once or later, on the loop.
  using Answer = std::function<void(const nlohmann::json& answer)>;
  /// `request` is an object; what is none is answered with an error here.
  using Serve = std::function<void(const nlohmann::json& request, Answer answer)>;

  /// What trouble() says, where it says something else than before: within the constructor, or later on the loop.
  using Tell = std::function<void(const std::string& trouble)>;

  /// Makes the folder and the socket; a file that a dead Doline left is replaced. What hinders it is tried again for
  /// command_open_tried_for: the Doline before us may not have ended yet.
  CommandSocket(Loop& loop, const std::filesystem::path& path, Serve serve, Tell tell = [](const std::string&) {});
  /// Removes the file.
  ~CommandSocket();
  CommandSocket(const CommandSocket&) = delete;
  CommandSocket& operator=(const CommandSocket&) = delete;
  /// Why nobody can ask: another Doline answers there, or the folder cannot be written. Empty: it is open.
  [[nodiscard]] const std::string& trouble() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct AskFault {
  enum class Kind : std::uint8_t { not_running, no_permission, no_answer, refused };
  Kind kind = Kind::not_running;
  std::string text;  ///< a sentence; of `refused`: what the running Doline says
};

/// Asks the Doline whose socket this is. `request`: {"ask": "status"} and whatever belongs to it. The answer's fields;
/// one with "error" is AskFault::Kind::refused.
[[nodiscard]] Result<nlohmann::json, AskFault> ask(const std::filesystem::path& path, const nlohmann::json& request,
                                                   milliseconds patience = milliseconds(10'000));

}  // namespace doline::control
