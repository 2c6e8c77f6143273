// Heir: a process that does nothing but wait for the warden's end. Rules that do not vanish with their maker (iptables,
// and nft before Linux 5.12) would outlive a warden that is killed: the heir takes them away, as the kernel does with a
// table that has an owner. It ends with the warden; on_failure: closed leaves it nothing to do.
//
// If it is killed too, the next start or `doline redirect remove --after-crash` clears up.
#pragma once

#include "redirect/options.h"
#include "warden/warden.h"

namespace doline::warden {

class Heir {
 public:
  Heir() = default;
  Heir(const Heir&) = delete;
  Heir& operator=(const Heir&) = delete;
  /// The heir then does what is left to do.
  ~Heir();

  /// Forks: before the process has threads, with no privilege but what removing needs. To be called once. `channels`:
  /// what the warden's death must close.
  void begin(const Channels& channels);
  /// What is put in place from now on, or may be: told before it is. With on_failure: closed it is to stay.
  void know(const redirect::Options& options);
  /// It is taken away.
  void forget();

 private:
  int descriptor_ = -1;
};

}  // namespace doline::warden
