// NfTables: what the kernel's rule tables hold, read by netlink: whether a table is there and whose, its named
// counters, and the elements of the memory of who asked whom. Writes nothing: that is the nft child's.
#pragma once

#include <vector>

#include "redirect/plan.h"
#include "redirect/request.h"
#include "warden/netlink.h"

namespace doline::warden {

class NfTables {
 public:
  NfTables() : netlink_(NETLINK_NETFILTER) {}
  /// Of family inet. Where the kernel does not say, the table counts as absent.
  [[nodiscard]] redirect::TableState state_of(const char* table);
  /// Of the table `doline`; zeros where there are none.
  [[nodiscard]] redirect::Counters counters();
  /// The most asked first; at most sightings_max.
  [[nodiscard]] redirect::SeenReply seen();

 private:
  Netlink netlink_;
};

}  // namespace doline::warden
