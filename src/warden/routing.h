// Routing: the policy rules and routes of a plan, by rtnetlink. Adding what is there and removing what is not are both
// success.
#pragma once

#include <linux/rtnetlink.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "redirect/plan.h"
#include "warden/netlink.h"

namespace doline::warden {

/// `steps` but for those that are among `others`.
template <class Step>
std::vector<Step> without(std::vector<Step> steps, const std::vector<Step>& others) {
  std::erase_if(steps, [&](const Step& step) { return std::ranges::find(others, step) != others.end(); });
  return steps;
}

class Routing {
 public:
  Routing() : netlink_(NETLINK_ROUTE) {}
  Result<void, NetlinkFault> add(const redirect::RuleStep& step);
  Result<void, NetlinkFault> add(const redirect::RouteStep& step);
  Result<void, NetlinkFault> remove(const redirect::RuleStep& step);
  Result<void, NetlinkFault> remove(const redirect::RouteStep& step);
  /// Those of one table that are not there. All are asked for at once: a router may have hundreds of thousands of
  /// routes.
  [[nodiscard]] std::vector<redirect::RuleStep> missing_of(std::vector<redirect::RuleStep> steps);
  [[nodiscard]] std::vector<redirect::RouteStep> missing_of(std::vector<redirect::RouteStep> steps);
  /// All that look like ours, for whatever interfaces: of a Doline that was killed, or an older one that made one for
  /// all. No privilege is needed; where the kernel does not say, there are none.
  [[nodiscard]] std::vector<redirect::RuleStep> rules_of(const redirect::Kernel& kernel);
  [[nodiscard]] std::vector<redirect::RouteStep> routes_of(const redirect::Kernel& kernel);
  /// Policy rules and routes of others that use our numbers, or that are asked before ours: a sentence each, with its
  /// cure. No privilege is needed.
  [[nodiscard]] std::vector<std::string> find_clashes(const redirect::Kernel& kernel);

 private:
  struct Rule {
    redirect::Family family = redirect::Family::v4;
    std::uint32_t preference = 0, table = 0, mark = 0, mask = 0;
    std::string interface;
    bool is_for_some = false;  ///< has other selectors than a mark and an interface
  };
  static bool is_ours(const Rule& rule, const redirect::Kernel& kernel);
  std::vector<Rule> all_rules();
  /// Of any table, `see(family, table, header)`.
  void each_route(const std::function<void(redirect::Family, std::uint32_t table, const rtmsg&)>& see);
  Netlink netlink_;
};

}  // namespace doline::warden
