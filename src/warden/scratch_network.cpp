#include "warden/scratch_network.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace doline::warden {

namespace {

int open_network() {
  return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

}  // namespace

Result<ScratchNetwork, std::string> ScratchNetwork::make() {
  const int home = open_network();
  if (home < 0 || unshare(CLONE_NEWNET) != 0) {
    const int error = errno;
    if (home >= 0) close(home);
    return fail(std::string("no network namespace can be made: ") + std::strerror(error));
  }
  ScratchNetwork network(home, open_network());
  check(network.there_ >= 0 && setns(home, CLONE_NEWNET) == 0);
  return network;
}

ScratchNetwork::ScratchNetwork(ScratchNetwork&& other) noexcept
    : home_(std::exchange(other.home_, -1)), there_(std::exchange(other.there_, -1)) {}

ScratchNetwork::~ScratchNetwork() {
  for (const int descriptor : {home_, there_})
    if (descriptor >= 0) close(descriptor);
}

// Where a way in or back fails, nothing that follows would be about the network it is meant for.
ScratchNetwork::Visit::Visit(const ScratchNetwork& network) : home_(network.home_) {
  check(setns(network.there_, CLONE_NEWNET) == 0);
}

ScratchNetwork::Visit::~Visit() {
  check(setns(home_, CLONE_NEWNET) == 0);
}

}  // namespace doline::warden
