// ScratchNetwork: an empty network namespace for a moment, to try something in that must not touch this machine. Needs
// CAP_SYS_ADMIN, and a calling process with one thread. Gone with its owner, and all that is in it.
#pragma once

#include <string>

#include "base/result.h"

namespace doline::warden {

class ScratchNetwork {
 public:
  /// The fault is a sentence.
  static Result<ScratchNetwork, std::string> make();
  ScratchNetwork(ScratchNetwork&& other) noexcept;
  ScratchNetwork(const ScratchNetwork&) = delete;
  ScratchNetwork& operator=(const ScratchNetwork&) = delete;
  ~ScratchNetwork();

  /// Calls it in there: sockets that it makes stay there, programs that it runs see nothing else.
  template <class Call>
  auto inside(Call call) const {
    const Visit visit(*this);
    return call();
  }
  [[nodiscard]] int descriptor() const { return there_; }

 private:
  class Visit {
   public:
    explicit Visit(const ScratchNetwork& network);
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit();

   private:
    int home_;
  };
  ScratchNetwork(int home, int there) : home_(home), there_(there) {}
  int home_, there_;
};

}  // namespace doline::warden
