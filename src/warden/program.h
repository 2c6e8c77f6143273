// Programs that the warden runs: one that lives on (`nft -i`, whose life is the owner table's life), and ones that do a
// thing and end (`nft list`, iptables). By path and arguments, without a shell, on the warden's libuv loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"

namespace doline::warden {

inline constexpr milliseconds transaction_patience{5'000};
inline constexpr milliseconds program_patience{10'000};
inline constexpr std::size_t complaint_octets_max = 64 * 1024;
inline constexpr std::size_t quoted_octets_max = 160;  ///< of a script in nft's complaint
inline constexpr std::size_t program_output_max = 8u << 20;

struct ProgramEnd {
  bool succeeded = false;
  std::string output;     ///< cut at the caller's limit
  std::string complaint;  ///< standard error, or why it did not run
};

/// Runs a program to its end; killed after program_patience, and of what it has started nothing is awaited then. `done`
/// is called once, never inside this call.
void run_program(uv_loop_t* loop, std::vector<std::string> arguments, std::string input, std::size_t output_octets_max,
                 std::function<void(ProgramEnd)> done);

/// The same on a loop of its own; blocks until it has ended. Its output is cut at program_output_max.
[[nodiscard]] ProgramEnd run_to_end(std::vector<std::string> arguments, std::string input);

/// The long-lived `nft -i`. It prints nothing on success, so each transaction is followed by a `list` of a table that
/// cannot be: the complaint about that one, which quotes its name, says that the transaction is over; what came before
/// is about it.
class NftShell {
 public:
  /// `died`: the process has ended though nobody asked it to; what it owned is gone.
  NftShell(uv_loop_t* loop, std::string path, std::function<void()> died);
  ~NftShell();
  NftShell(const NftShell&) = delete;
  NftShell& operator=(const NftShell&) = delete;

  /// One line is one transaction; starts the process where it does not run. `done` gets the complaint, empty on
  /// success. In order; never called inside this call.
  void run(const std::string& line, std::function<void(std::string complaint)> done);
  /// Ends the process, and with it what it owns. Transactions under way fail.
  void end();
  [[nodiscard]] bool is_running() const;

 private:
  struct Process;
  uv_loop_t* loop_;
  std::string path_;
  std::shared_ptr<const std::function<void()>> died_;  // processes that are ending do not outlive it unknowing
  Process* process_ = nullptr;                         // deletes itself once its handles are closed
  std::uint64_t transactions_ = 0;
};

}  // namespace doline::warden
