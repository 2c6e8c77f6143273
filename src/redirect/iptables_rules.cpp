#include "redirect/iptables_rules.h"

#include <algorithm>
#include <string>
#include <utility>

namespace doline::redirect {

namespace {

using When = ProgramStep::When;

struct Program {
  Family family;
  std::string path;
};

std::vector<Program> programs_of(const HostFacts& facts) {
  std::vector<Program> programs;
  if (!facts.iptables.empty()) programs.push_back({Family::v4, facts.iptables});
  if (!facts.ip6tables.empty() && facts.has_ipv6) programs.push_back({Family::v6, facts.ip6tables});
  return programs;
}

bool is_of(Family family, const IpPrefix& prefix) {
  return prefix.address().is_v4() == (family == Family::v4);
}

std::string mark_of(const Options& options) {
  return std::to_string(options.kernel.mark) + "/65535";
}

std::string port_list_of(const Options& options) {
  std::string text;
  for (const std::uint16_t port : options.ports) text += (text.empty() ? "" : ",") + std::to_string(port);
  return text;
}

/// DOLINE asks which interface; DOLINE_LAN, what is left alone, then takes the rest.
std::string chains(const Options& options, const HostFacts& facts, Family family) {
  std::string text = ":DOLINE - [0:0]\n:DOLINE_LAN - [0:0]\n";
  for (const std::string& interface : options.interfaces) text += "-A DOLINE -i " + interface + " -j DOLINE_LAN\n";
  const std::string rule = "-A DOLINE_LAN ", back = " -j RETURN\n";
  text += rule + "-m pkttype ! --pkt-type unicast" + back;
  text += rule + "-m addrtype ! --dst-type UNICAST" + back;
  // There is no match for the interface that a packet will leave by, so the LAN's networks are written out.
  for (const std::string& interface : options.interfaces)
    if (const InterfaceFacts* found = facts.find(interface))
      for (const IpPrefix& network : found->networks)
        if (is_of(family, network)) text += rule + "-d " + network.to_string() + back;
  for (const device::MacAddress& mac : options.exempt.macs)
    text += rule + "-m mac --mac-source " + mac.to_string() + back;
  for (const IpPrefix& prefix : options.exempt.clients)
    if (is_of(family, prefix)) text += rule + "-s " + prefix.to_string() + back;
  for (const IpPrefix& prefix : options.exempt.destinations)
    if (is_of(family, prefix)) text += rule + "-d " + prefix.to_string() + back;
  const std::string target = options.mode == Mode::nat ? " -j REDIRECT --to-ports " + std::to_string(options.nat_port)
                                                       : std::string(" -j TPROXY --on-port 0 --on-ip ") +
                                                             (family == Family::v4 ? "127.0.0.153" : "::1") +
                                                             " --tproxy-mark " + mark_of(options);
  for (const char* protocol : {"udp", "tcp"})
    text += rule + "-p " + protocol + " -m multiport --dports " + port_list_of(options) + target + "\n";
  return text;
}

/// Everything for one family, in iptables-restore's own language; each table of it is one transaction.
std::string restore_input(const Options& options, const HostFacts& facts, Family family) {
  if (options.mode == Mode::nat) return "*nat\n" + chains(options, facts, family) + "COMMIT\n";
  return "*mangle\n" + chains(options, facts, family) + "COMMIT\n*nat\n:DOLINE - [0:0]\n-A DOLINE -m mark --mark " +
         mark_of(options) + " -j ACCEPT\nCOMMIT\n";
}

std::vector<std::string> tables_of(const Options& options) {
  if (options.mode == Mode::nat) return {"nat"};
  return {"mangle", "nat"};
}

std::vector<std::string> call(const std::string& program, const std::string& table,
                              std::initializer_list<const char*> rest) {
  std::vector<std::string> arguments{program, "-w", "5", "-t", table};
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  return arguments;
}

void add_undo(std::vector<ProgramStep>& steps, const Program& program, const std::string& table) {
  steps.push_back(
      {.arguments = call(program.path, table, {"-D", "PREROUTING", "-j", "DOLINE"}), .input = {}, .may_fail = true});
  for (const char* chain : {"DOLINE", "DOLINE_LAN"}) {
    steps.push_back({.arguments = call(program.path, table, {"-F", chain}), .input = {}, .may_fail = true});
    steps.push_back({.arguments = call(program.path, table, {"-X", chain}), .input = {}, .may_fail = true});
  }
}

}  // namespace

std::vector<ProgramStep> iptables_apply(const Options& options, const HostFacts& facts) {
  std::vector<ProgramStep> steps;
  for (const Program& program : programs_of(facts)) {
    // What a Doline of the other mode left when it was killed would swallow everything.
    if (options.mode == Mode::nat) add_undo(steps, program, "mangle");
    steps.push_back({.arguments = {program.path + "-restore", "-w", "5", "--noflush"},
                     .input = restore_input(options, facts, program.family)});
    for (const std::string& table : tables_of(options)) {
      steps.push_back({.arguments = call(program.path, table, {"-C", "PREROUTING", "-j", "DOLINE"}),
                       .input = {},
                       .may_fail = true});
      steps.push_back({.arguments = call(program.path, table, {"-I", "PREROUTING", "1", "-j", "DOLINE"}),
                       .input = {},
                       .when = When::if_the_one_before_failed});
    }
  }
  return steps;
}

std::vector<ProgramStep> iptables_undo(const HostFacts& facts) {
  std::vector<ProgramStep> steps;
  for (const Program& program : programs_of(facts))
    for (const char* table : {"mangle", "nat"}) add_undo(steps, program, table);
  return steps;
}

std::vector<ProgramStep> iptables_list(const HostFacts& facts) {
  std::vector<ProgramStep> steps;
  for (const Program& program : programs_of(facts))
    steps.push_back({.arguments = {program.path + "-save"}, .input = {}});
  return steps;
}

std::string our_lines(std::string_view printed) {
  std::string table, lines;
  while (!printed.empty()) {
    const std::string_view line = printed.substr(0, printed.find('\n'));
    printed.remove_prefix(std::min(line.size() + 1, printed.size()));
    if (line.starts_with('*')) table = std::string(line) + '\n';
    const bool is_ours = line == "-A PREROUTING -j DOLINE" || line.starts_with(":DOLINE ") ||
                         line.starts_with(":DOLINE_LAN ") || line.starts_with("-A DOLINE ") ||
                         line.starts_with("-A DOLINE_LAN ");
    if (is_ours) lines += std::exchange(table, {}) + std::string(line) + '\n';
  }
  return lines;
}

}  // namespace doline::redirect
