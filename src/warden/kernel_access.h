// KernelAccess: what the warden reads and writes of the kernel by netlink, one of each for all its parts. The warden's
// loop only.
#pragma once

#include "warden/conntrack.h"
#include "warden/gate.h"
#include "warden/nf_tables.h"
#include "warden/routing.h"

namespace doline::warden {

struct KernelAccess {
  Conntrack conntrack;
  NfTables tables;
  Gate gate;
  Routing routing;
};

}  // namespace doline::warden
