// Plan: everything that bringing stray DNS home does to this machine, as values and texts. Made from checked options
// and facts; pure. `doline redirect plan` prints it; the warden makes the same plan from the same options and carries
// it out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "redirect/host_facts.h"
#include "redirect/nft_rules.h"
#include "redirect/options.h"
#include "redirect/restrictions.h"

namespace doline::redirect {

/// `doline`: the rules that bring queries home. `doline_gate`: who may connect to what. `doline_seen`: who asked whom,
/// a memory that outlives a crash.
inline constexpr const char* rules_table = "doline";
inline constexpr const char* gate_table = "doline_gate";
inline constexpr const char* seen_table = "doline_seen";
/// Rules that only log: watch_rules.h.
inline constexpr const char* watch_table = "doline_watch";

enum class Family : std::uint8_t { v4, v6 };

/// `ip rule add iif INTERFACE fwmark MARK/0xffff lookup TABLE pref TABLE`
struct RuleStep {
  Family family = Family::v4;
  /// Only what comes in by it. Where src_valid_mark is on (wg-quick does that) the kernel looks up the *source* of a
  /// marked packet by its mark too, as if it came from this machine: that must not lead to the table. Empty: by any.
  std::string interface;
  std::uint16_t mark = 0;
  std::uint32_t table = 0;
  bool operator==(const RuleStep&) const = default;
};

/// `ip route add local default dev lo table TABLE`
struct RouteStep {
  Family family = Family::v4;
  std::uint32_t table = 0;
  bool operator==(const RouteStep&) const = default;
};

/// One run of iptables, iptables-restore or their IPv6 kin: a program with its arguments; no shell.
struct ProgramStep {
  enum class When : std::uint8_t { always, if_the_one_before_failed };
  std::vector<std::string> arguments;  ///< [0]: the program's path
  std::string input;
  When when = When::always;
  bool may_fail = false;
};

enum class Tool : std::uint8_t { none, nft, iptables };

struct Plan {
  Options options;
  Restrictions restrictions;
  Tool tool = Tool::none;
  std::vector<IpPrefix> lan;  ///< its networks, where the rules name them
  // Tool::nft: scripts, each one transaction
  bool owns_table = false;  ///< the rules vanish with the process that made them
  std::string rules;  ///< `table inet doline {...}`; for a kernel without that table. Empty: nothing is intercepted
  std::string gate;   ///< makes or renews `doline_gate`; empty: nobody is restricted
  bool gate_logs = false;  ///< the gate logs packets too, for who listens to Kernel::nflog_group
  std::string seen;        ///< makes or renews `doline_seen` and keeps what it has seen; empty: it is not wanted
  std::string watch;       ///< `table inet doline_watch {...}`; empty: nothing is watched
  TableLife watch_life = TableLife::until_removed;
  // Tool::iptables
  std::vector<ProgramStep> programs;  ///< to apply; twice does the same as once
  std::vector<ProgramStep> programs_undo;
  std::vector<ProgramStep> programs_list;  ///< what they print: our_lines(), iptables_rules.h
  // both; tproxy and remote only
  std::vector<RuleStep> rule_steps;
  std::vector<RouteStep> route_steps;

  std::vector<std::string> problems;  ///< why it cannot be carried out; empty: it can
  std::vector<std::string> warnings;  ///< what the operator should know of this machine

  [[nodiscard]] bool is_possible() const { return problems.empty(); }
};

/// `on_trial`: rules that nobody has confirmed yet vanish with their maker, even with on_failure: closed.
enum class Standing : std::uint8_t { for_good, on_trial };

/// Whether its rules name the LAN's networks: with one arm, and with iptables, there is no telling by which interface
/// a packet will leave. They are to be made anew when the networks change.
[[nodiscard]] bool names_networks(const Plan& plan);
/// Of the interfaces, link-local ones left out.
[[nodiscard]] std::vector<IpPrefix> lan_networks(const Options& options, const HostFacts& facts);

[[nodiscard]] Plan plan(const Options& options, const HostFacts& facts, const Restrictions& restrictions = {},
                        Standing standing = Standing::for_good);
/// For a plan that is carried out, others than those it was made with: its `gate` and its `watch` follow.
void restrict(Plan& plan, const Restrictions& restrictions);

/// What the kernel holds under the name `doline` before a transaction.
enum class TableState : std::uint8_t { absent, plain, owned };

/// The transaction that puts the plan's rules in the place of whatever is there.
[[nodiscard]] std::string replace_rules(const Plan& plan, TableState present);
/// The same of the rules that only log.
[[nodiscard]] std::string replace_watch(const Plan& plan, TableState present);
/// The transaction that removes a table of ours; empty where there is none.
[[nodiscard]] std::string remove_table(const char* table, TableState present);

/// As an operator would do it by hand.
[[nodiscard]] std::string to_command(const RuleStep& step);
[[nodiscard]] std::string to_command(const RouteStep& step);

/// The plan for people: sentences, then the very rules.
[[nodiscard]] std::string describe(const Plan& plan);

}  // namespace doline::redirect
