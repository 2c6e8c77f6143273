#include "warden/claim.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace doline::warden {

Claim::Claim() : network_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {}

Claim::~Claim() {
  if (network_ >= 0) close(network_);
}

bool Claim::take() {
  return network_ < 0 || flock(network_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

void Claim::give_back() {
  if (network_ >= 0) flock(network_, LOCK_UN);
}

}  // namespace doline::warden
