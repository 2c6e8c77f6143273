// Heir: a process that does nothing but wait for the warden's end, however it ends, and clears up after one that was
// killed. Rules that do not vanish with their maker (iptables, and nft before Linux 5.12) it takes away; where they do,
// it forgets the flows that they led here: in `nat` a device that asks again and again from one port would otherwise
// keep a flow alive by which no answer comes. With on_failure: closed there is nothing to do.
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
  /// What is put in place from now on, or may be: told before it is, and again of what was before where it fails. With
  /// on_failure: closed it is to stay.
  void know(const redirect::Options& options);
  /// It is taken away.
  void forget();

 private:
  int descriptor_ = -1;
};

}  // namespace doline::warden
