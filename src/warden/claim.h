// Claim: rules and routes of one warden at a time fit a network namespace. Held from before the first is put until the
// last is taken away, by the warden and by its heir; who comes next, or clears up, waits for it, or what is taken away
// could be what another has put.
#pragma once

#include "base/time.h"

namespace doline::warden {

/// How long who has it may be on its way out, and how often whoever comes next tries.
inline constexpr milliseconds claim_patience{5'000}, claim_tried_every{20};

class Claim {
 public:
  /// On the network that this process is in. Where /proc is not there, nobody can claim anything.
  Claim();
  /// Ends with the last process that has it: those forked since share it.
  ~Claim();
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  /// Whether it is ours now. False where another has it. Does not wait.
  [[nodiscard]] bool take();
  void give_back();

 private:
  int network_;
};

}  // namespace doline::warden
