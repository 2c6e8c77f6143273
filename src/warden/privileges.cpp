#include "warden/privileges.h"

#include <cap-ng.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <initializer_list>

#include "base/check.h"

namespace doline::warden {

bool keep_only(Kept kept) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const bool has_net_admin = capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN) == 1;
  const bool has_net_raw = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW) == 1;
  capng_clear(CAPNG_SELECT_ALL);
  auto keep = [](unsigned int capability) {
    for (const capng_type_t set :
         {CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE, CAPNG_BOUNDING_SET, CAPNG_AMBIENT})
      capng_update(CAPNG_ADD, set, capability);
  };
  if (has_net_admin) keep(CAP_NET_ADMIN);
  if (has_net_raw && kept == Kept::rules_and_raw_sockets) keep(CAP_NET_RAW);
  // The bounding set first: it takes CAP_SETPCAP, which the next line gives up. Without it (systemd has bounded us
  // already) this fails, and nothing is lost.
  [[maybe_unused]] const int bounded = capng_apply(CAPNG_SELECT_BOUNDS);
  check(capng_apply(CAPNG_SELECT_CAPS) == 0);  // to give up is always allowed
  // Where it fails, `nft` lacks the capability and says so.
  [[maybe_unused]] const int inherited = capng_apply(CAPNG_SELECT_AMBIENT);
  return has_net_admin;
}

}  // namespace doline::warden
