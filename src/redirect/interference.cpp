#include "redirect/interference.h"

#include <algorithm>
#include <charconv>

#include "redirect/plan.h"
#include "redirect/request.h"

namespace doline::redirect {

namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t at = 0;
  while (at < line.size()) {
    const std::size_t end = std::min(line.find_first_of(" \t,;{}", at), line.size());
    if (end > at) words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

bool has(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The word behind `word`; empty where there is none.
std::string_view after(const std::vector<std::string_view>& words, std::string_view word) {
  const auto found = std::find(words.begin(), words.end(), word);
  return found == words.end() || found + 1 == words.end() ? std::string_view() : *(found + 1);
}

/// `53`, `domain` (as nft prints without -n), `5353`, or a range that holds one of them.
bool names_port(std::string_view word, const std::vector<std::uint16_t>& ports) {
  if (word == "domain") return std::find(ports.begin(), ports.end(), 53) != ports.end();
  if (word == "mdns") return std::find(ports.begin(), ports.end(), 5353) != ports.end();
  std::uint16_t low = 0, high = 0;
  const auto [dash, error] = std::from_chars(word.data(), word.data() + word.size(), low);
  if (error != std::errc{}) return false;
  high = low;
  if (dash != word.data() + word.size()) {
    if (*dash != '-' && *dash != ':') return false;  // nft's, iptables'
    const auto [end, failure] = std::from_chars(dash + 1, word.data() + word.size(), high);
    if (failure != std::errc{} || end != word.data() + word.size()) return false;
  }
  return std::any_of(ports.begin(), ports.end(), [&](std::uint16_t port) { return low <= port && port <= high; });
}

/// Do the words behind `dport` name a port of ours, up to the next word that is no port?
bool matches_ports(const std::vector<std::string_view>& words, const std::vector<std::uint16_t>& ports) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word != "dport" && *word != "--dport" && *word != "--dports") continue;
    for (auto port = word + 1; port != words.end(); ++port) {
      if (names_port(*port, ports)) return true;
      if (port->find_first_not_of("0123456789-:") != std::string_view::npos && *port != "vmap") break;
    }
  }
  return false;
}

/// As it may stand in a sentence: other tools' rules carry comments, and those any letters.
std::string shown(std::string_view text, std::size_t letters_max = 160) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::string kept(text.substr(0, letters_max));
  for (char& letter : kept)
    if (letter < ' ' || letter == 0x7f) letter = ' ';
  return kept;
}

/// nft prints a target of iptables that it cannot translate by its name, younger ones in quotes.
bool rewrites(const std::vector<std::string_view>& words) {
  return has(words, "redirect") || has(words, "dnat") || has(words, "REDIRECT") || has(words, "DNAT") ||
         has(words, "\"REDIRECT\"") || has(words, "\"DNAT\"");
}
bool intercepts(const std::vector<std::string_view>& words) {
  return has(words, "tproxy") || has(words, "TPROXY") || has(words, "\"TPROXY\"");
}

std::uint32_t number_of(std::string_view word) {
  const bool is_hexadecimal = word.starts_with("0x");
  if (is_hexadecimal) word.remove_prefix(2);
  std::uint32_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number, is_hexadecimal ? 16 : 10);
  return number;
}

/// `meta mark set 0x00005353`, `ct mark set 0x5353`
bool sets_mark(const std::vector<std::string_view>& words, std::uint16_t mark) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i)
    if (words[i] == "mark" && words[i + 1] == "set" && (number_of(words[i + 2]) & 0xffff) == mark) return true;
  return false;
}

/// `log group 53`, also as iptables' NFLOG is shown.
bool logs_to(const std::vector<std::string_view>& words, std::uint16_t group) {
  return has(words, "log") && !after(words, "group").empty() && number_of(after(words, "group")) == group;
}

constexpr std::size_t name_letters_max = 64;  // of tables and chains

constexpr std::string_view also_redirects_cure =
    " Cure: end that in the tool which made it. Doline's rules come first, but without Doline that one is in force.";
constexpr std::string_view also_takes_cure =
    " Cure: end that in the tool which made it; who of the two gets a query is by chance.";

}  // namespace

std::vector<std::string> find_interference(std::string_view ruleset, const Options& options) {
  std::vector<std::string> found;
  std::string table, chain;
  bool is_ours = false;
  const auto at_place = [&] { return "table " + table + ", chain " + chain; };
  for (std::size_t begin = 0; begin < ruleset.size() && found.size() < sentences_max;) {
    const std::size_t end = std::min(ruleset.find('\n', begin), ruleset.size());
    const std::string_view line = ruleset.substr(begin, end - begin);
    begin = end + 1;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (words[0] == "table" && words.size() >= 3) {
      table = shown(words[1], name_letters_max) + " " + shown(words[2], name_letters_max);
      is_ours = words[2] == rules_table || words[2] == seen_table || words[2] == gate_table || words[2] == watch_table;
    } else if (words[0] == "chain" && words.size() >= 2) {
      chain = shown(words[1], name_letters_max);
    }
    if (is_ours) continue;
    const bool is_base = words[0] == "type" && has(words, "hook");
    if (is_base && after(words, "policy") == "drop") {
      if (after(words, "hook") == "input") {
        const std::string ports =
            options.mode == Mode::nat ? "{ 53, " + std::to_string(options.nat_port) + " }" : std::string("53");
        found.push_back("chain " + chain + " of table " + table +
                        " drops what nobody accepts on its way to this machine: it has to accept DNS from the LAN" +
                        (options.mode == Mode::nat ? " and port " + std::to_string(options.nat_port) : std::string()) +
                        ". Cure, where it does not: nft insert rule " + table + " " + chain + " iifname " +
                        (options.interfaces.empty() ? std::string("LAN") : options.interfaces.front()) +
                        " meta l4proto { tcp, udp } th dport " + ports + " accept");
      }
      if (after(words, "hook") == "forward" && options.mode == Mode::remote && !options.interfaces.empty())
        found.push_back("chain " + chain + " of table " + table +
                        " drops what nobody accepts on its way through this machine: as the devices' gateway it has to "
                        "let that pass. Cure, where it does not: nft insert rule " +
                        table + " " + chain + " iifname " + options.interfaces.front() + " oifname " +
                        options.interfaces.front() + " accept");
      continue;
    }
    if (rewrites(words) && matches_ports(words, options.ports))
      found.push_back(at_place() + ", also redirects DNS: " + shown(line) + "." + std::string(also_redirects_cure));
    else if (intercepts(words) && matches_ports(words, options.ports))
      found.push_back(at_place() + ", also takes DNS by tproxy: " + shown(line) + "." + std::string(also_takes_cure));
    else if (sets_mark(words, options.kernel.mark))
      found.push_back(at_place() + ", sets Doline's mark: " + shown(line) +
                      ". What it marks of what comes from the LAN is led to Doline. Cure: another `redirect: {kernel: "
                      "{mark: ...}}`.");
    else if (logs_to(words, options.kernel.nflog_group))
      found.push_back(at_place() + ", logs to Doline's NFLOG group: " + shown(line) +
                      ". Cure: another `redirect: {kernel: {nflog_group: ...}}`.");
  }
  return found;
}

std::vector<std::string> find_legacy_interference(std::string_view table, std::string_view rules,
                                                  const Options& options) {
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin < rules.size() && found.size() < sentences_max;) {
    const std::size_t end = std::min(rules.find('\n', begin), rules.size());
    const std::string_view line = rules.substr(begin, end - begin);
    begin = end + 1;
    const auto words = words_of(line);
    if (words.size() < 2 || words[0] != "-A" || words[1].starts_with("DOLINE") || !matches_ports(words, options.ports))
      continue;
    const std::string what = "legacy iptables, table " + shown(table) + ", ";
    if (rewrites(words))
      found.push_back(what + "also redirects DNS: " + shown(line) + "." + std::string(also_redirects_cure));
    else if (intercepts(words))
      found.push_back(what + "also takes DNS by tproxy: " + shown(line) + "." + std::string(also_takes_cure));
  }
  return found;
}

std::optional<std::string> find_trap(const Options& options, const HostFacts& facts) {
  if (!is_transparent(options.mode) || !facts.bridges_call_firewall) return std::nullopt;
  for (const std::string& name : options.interfaces)
    if (const InterfaceFacts* interface = facts.find(name); interface != nullptr && interface->is_bridge)
      return "What comes in by the bridge " + name +
             " passes the firewall there already (net.bridge.bridge-nf-call-iptables or -ip6tables is 1, as Docker "
             "sets it), and the kernel forgets on the way up whom tproxy has led it to: stray DNS would have no "
             "answer. Cure: sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0" +
             (options.mode == Mode::tproxy ? ", or `redirect: {mode: nat}`" : "");
  return std::nullopt;
}

std::vector<std::string> find_hindrances(const Options& options, const HostFacts& facts) {
  std::vector<std::string> found;
  for (const std::string& interface : options.interfaces)
    if (facts.find(interface) == nullptr)
      found.push_back(
          "There is no interface " + interface +
          " now; the rules wait for it. Cure, where it is called otherwise: `redirect: {interfaces: [...]}`.");
  if (auto trap = find_trap(options, facts))
    found.push_back(std::move(*trap));
  else if (facts.bridges_call_firewall)
    found.emplace_back(
        "Bridged packets pass the firewall (net.bridge.bridge-nf-call-iptables is 1): DNS between devices of one LAN "
        "is left alone all the same. Cure, where no container needs it: sysctl -w "
        "net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0");
  if (facts.has_legacy_nat)
    found.emplace_back(
        "Legacy iptables has a nat table, whose rules nft does not show. Root sees by `doline redirect status` whether "
        "they touch DNS, or by: iptables-legacy -t nat -S PREROUTING");
  return found;
}

}  // namespace doline::redirect
