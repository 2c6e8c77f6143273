// NfTables: what the kernel's rule tables hold, read by netlink: whether a table is there and whose, its named
// counters, and the elements of the memory of who asked whom. Writes nothing: that is the nft child's.
#pragma once

#include <functional>
#include <string>

#include "redirect/plan.h"
#include "redirect/request.h"
#include "warden/netlink.h"

namespace doline::warden {

class NfTables {
 public:
  NfTables() : netlink_(NETLINK_NETFILTER) {}
  /// Of family inet. Where the kernel does not say, the table counts as absent.
  [[nodiscard]] redirect::TableState state_of(const char* table);
  /// Of the tables `doline` and `doline_gate`; zeros where there are none.
  [[nodiscard]] redirect::Counters counters();
  /// What the table `doline_gate` has counted and holds; zeros where there is none. Whom it is for is not asked.
  [[nodiscard]] redirect::GateCounts gate_counts();
  /// The most asked first; at most sightings_max.
  [[nodiscard]] redirect::SeenReply seen();
  /// Those that tried most first; at most refusals_max of each.
  [[nodiscard]] redirect::RefusedReply refused();

 private:
  void each_counter(const char* table, const std::function<void(const std::string& name, std::uint64_t packets)>& see);
  /// `see(element)`, of a set that may not be there.
  void each_element(const char* table, const char* set, const std::function<void(const nlattr&)>& see);

  Netlink netlink_;
};

}  // namespace doline::warden
