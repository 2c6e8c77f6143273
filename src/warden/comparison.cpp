#include "warden/comparison.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "redirect/iptables_rules.h"
#include "redirect/nft_rules.h"
#include "warden/leftovers.h"
#include "warden/nf_tables.h"
#include "warden/program.h"
#include "warden/routing.h"
#include "warden/scratch_network.h"

namespace doline::warden {

namespace {

using redirect::Part;
using redirect::Plan;
using redirect::TableState;
using redirect::Tool;

constexpr const char* held = "held by Doline's second process, and gone with it\n";

template <class Keep>
std::string lines_where(const std::string& text, Keep keep) {
  std::string kept;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (keep(line)) kept += std::string(line) + '\n';
    begin = end + 1;
  }
  return kept;
}

/// Elements a line each, in order, so that each is a change of its own; of sets whose elements expire none: what a
/// table has collected is no matter of a plan.
std::string with_elements_apart(const std::string& text) {
  constexpr std::string_view opening = "\t\telements = { ";
  std::string result, gathered;
  bool expire = false, is_gathering = false;
  lines_where(text, [&](std::string_view line) {
    if (line.starts_with("\tset ")) expire = false;
    if (line.starts_with("\t\tflags ") && line.find("timeout") != std::string_view::npos) expire = true;
    if (line.starts_with(opening)) {
      is_gathering = true;
      line.remove_prefix(opening.size());
    }
    if (!is_gathering) {
      result += std::string(line) + '\n';
      return false;
    }
    gathered += line;
    if (!line.ends_with('}')) return false;
    std::set<std::string> elements;
    for (std::string_view left = std::string_view(gathered).substr(0, gathered.size() - 1); !left.empty();) {
      const std::size_t end = std::min(left.find(','), left.size());
      std::string_view element = left.substr(0, end);
      left.remove_prefix(std::min(end + 1, left.size()));
      element.remove_prefix(std::min(element.find_first_not_of(" \t"), element.size()));
      elements.emplace(element.substr(0, element.find_last_not_of(" \t") + 1));
    }
    if (!expire)
      for (const std::string& element : elements) result += std::string(redirect::element_line) + element + '\n';
    gathered.clear();
    is_gathering = false;
    return false;
  });
  return result;
}

/// Whose a table is stands in a line of its own.
std::string listed(const std::string& nft, const char* table, bool with_elements) {
  std::vector<std::string> arguments{nft, "-s", "list", "table", "inet", table};
  if (!with_elements) arguments.insert(arguments.begin() + 2, "-t");
  const ProgramEnd end = run_to_end(std::move(arguments), {});
  if (!end.succeeded) return {};
  const std::string opening = std::string("table inet ") + table + " {";
  return with_elements_apart(lines_where(end.output, [&](std::string_view line) {
    return !line.empty() && line != "\tflags owner" && !line.starts_with(opening) && line != "}";
  }));
}

struct Table {
  const char* name;
  bool with_elements;
};
constexpr Table tables_of_ours[] = {{redirect::rules_table, true},
                                    {redirect::gate_table, true},
                                    {redirect::seen_table, false},
                                    {redirect::watch_table, true}};

std::vector<Part> tables_here(const std::string& nft) {
  NfTables tables;
  std::vector<Part> parts;
  for (const Table& table : tables_of_ours) {
    std::string lines = listed(nft, table.name, table.with_elements);
    if (tables.state_of(table.name) == TableState::owned) lines = held + lines;
    parts.push_back({std::string("table inet ") + table.name, lines, {}});
  }
  return parts;
}

/// For a process that ends before the tables are read.
std::string without_owner(std::string script) {
  static constexpr std::string_view owner = "  flags owner\n";
  if (const auto at = script.find(owner); at != std::string::npos) script.erase(at, owner.size());
  return script;
}

/// As nft would list them; its complaint where it does not take them.
Result<std::vector<Part>, std::string> tables_planned(const ScratchNetwork& network, const Plan& plan,
                                                      const std::string& nft) {
  return network.inside([&]() -> Result<std::vector<Part>, std::string> {
    const std::string script = without_owner(plan.rules) + plan.gate + plan.seen + without_owner(plan.watch);
    if (const ProgramEnd end = run_to_end({nft, "-f", "-"}, script); !end.succeeded) return fail(end.complaint);
    std::vector<Part> parts = tables_here(nft);
    if (without_owner(plan.rules) != plan.rules) parts.front().before = held + parts.front().before;
    if (without_owner(plan.watch) != plan.watch) parts.back().before = held + parts.back().before;
    return parts;
  });
}

void compare_tables(const Plan& plan, const redirect::HostFacts& facts, Comparison& result) {
  if (facts.nft.empty()) return;
  std::vector<Part> parts = tables_here(facts.nft);
  if (plan.tool == Tool::nft) {
    const auto network = ScratchNetwork::make();
    const auto planned = network ? tables_planned(*network, plan, facts.nft) : fail(network.error());
    if (!planned) {
      result.unread.push_back("The rules cannot be compared: " + planned.error());
      return;
    }
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i].after = (*planned)[i].before;
  }
  result.parts.insert(result.parts.end(), parts.begin(), parts.end());
}

/// Of one program: the lines of each table that are about our chains.
std::string chains_of(const std::string& program) {
  std::string text;
  for (const char* table : {"mangle", "nat"}) {
    const ProgramEnd end = run_to_end({program, "-w", "5", "-t", table, "-S"}, {});
    const std::string ours =
        lines_where(end.output, [](std::string_view line) { return line.find("DOLINE") != std::string_view::npos; });
    if (!ours.empty()) text += std::string("-t ") + table + '\n' + ours;
  }
  return text;
}

void compare_chains(const Plan& plan, const redirect::HostFacts& facts, Comparison& result) {
  // Where nft is, iptables was not used; and asking legacy iptables loads its modules.
  if (plan.tool == Tool::nft) return;
  const auto network = ScratchNetwork::make();
  if (!network) {
    result.unread.push_back("The chains cannot be compared: " + network.error());
    return;
  }
  bool before_failed = false;
  network->inside([&] {
    for (const redirect::ProgramStep& step : plan.programs) {
      if (step.when == redirect::ProgramStep::When::if_the_one_before_failed && !before_failed) continue;
      before_failed = !run_to_end(step.arguments, step.input).succeeded;
    }
  });
  for (const std::string& program : {facts.iptables, facts.ip6tables})
    if (!program.empty())
      result.parts.push_back(
          {"chains of " + program, chains_of(program), network->inside([&] { return chains_of(program); })});
}

template <class Step>
std::string text_of(const std::vector<Step>& steps) {
  std::vector<std::string> lines;
  for (const Step& step : steps) lines.push_back(redirect::to_command(step) + '\n');
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

}  // namespace

Comparison compare(const Plan& plan, const redirect::HostFacts& facts) {
  Comparison result;
  Routing routing;
  const redirect::Kernel& kernel = plan.options.kernel;
  result.parts.push_back({"policy routing", text_of(routing.rules_of(kernel)), text_of(plan.rule_steps)});
  result.parts.push_back({"routes", text_of(routing.routes_of(kernel)), text_of(plan.route_steps)});
  if (!may_change_rules()) {
    result.unread.emplace_back(
        "What rules are in force now is for root to see, so that they are not compared: sudo doline redirect plan");
    return result;
  }
  compare_tables(plan, facts, result);
  compare_chains(plan, facts, result);
  return result;
}

}  // namespace doline::warden
