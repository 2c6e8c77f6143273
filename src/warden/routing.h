// Routing: the policy rules and routes of a plan, by rtnetlink. Adding what is there and removing what is not are both
// success.
#pragma once

#include "redirect/plan.h"
#include "warden/netlink.h"

namespace doline::warden {

class Routing {
 public:
  Routing() : netlink_(NETLINK_ROUTE) {}
  Result<void, NetlinkFault> add(const redirect::RuleStep& step);
  Result<void, NetlinkFault> add(const redirect::RouteStep& step);
  Result<void, NetlinkFault> remove(const redirect::RuleStep& step);
  Result<void, NetlinkFault> remove(const redirect::RouteStep& step);
  [[nodiscard]] bool has(const redirect::RuleStep& step);
  [[nodiscard]] bool has(const redirect::RouteStep& step);

 private:
  Netlink netlink_;
};

}  // namespace doline::warden
