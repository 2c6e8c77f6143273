// spawn(): starts the warden, this same program with the word `warden`, before the resolver gives up its privileges and
// before it has threads.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "warden/warden.h"

namespace doline::warden {

/// The resolver's ends; all close-on-exec and non-blocking, SOCK_SEQPACKET. The receiver closes them.
struct Spawned {
  pid_t process = -1;
  int control = -1;          ///< for Client
  std::vector<int> origins;  ///< one per worker: redirect/origin.h
  int flows = -1;            ///< for the log writer: flows/batch.h
};

/// Runs `/proc/self/exe warden --port PORT... --nat-port PORT --fd CONTROL --fd ORIGIN... --flows FLOWS`; in the child
/// these are 3, 4 and so on. A sentence where it cannot.
[[nodiscard]] Result<Spawned, std::string> spawn(int workers, const Bounds& bounds);
/// The same with another program or with words before `--fd`, for tests. `program`: [0] is its path.
[[nodiscard]] Result<Spawned, std::string> spawn(const std::vector<std::string>& program, int workers);

}  // namespace doline::warden
