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
    if (*dash != '-') return false;
    const auto [end, failure] = std::from_chars(dash + 1, word.data() + word.size(), high);
    if (failure != std::errc{} || end != word.data() + word.size()) return false;
  }
  return std::any_of(ports.begin(), ports.end(), [&](std::uint16_t port) { return low <= port && port <= high; });
}

/// Do the words behind `dport` name a port of ours, up to the next word that is no port?
bool matches_ports(const std::vector<std::string_view>& words, const std::vector<std::uint16_t>& ports) {
  for (auto word = words.begin(); word != words.end(); ++word) {
    if (*word != "dport") continue;
    for (auto port = word + 1; port != words.end(); ++port) {
      if (names_port(*port, ports)) return true;
      if (port->find_first_not_of("0123456789-") != std::string_view::npos && *port != "vmap") break;
    }
  }
  return false;
}

/// As it may stand in a sentence: other tools' rules carry comments, and those any letters.
std::string shown(std::string_view text) {
  constexpr std::size_t letters_max = 160;
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::string kept(text.substr(0, letters_max));
  for (char& letter : kept)
    if (letter < ' ' || letter == 0x7f) letter = ' ';
  return kept;
}

}  // namespace

std::vector<std::string> find_interference(std::string_view ruleset, const Options& options) {
  std::vector<std::string> found;
  std::string table, chain;
  bool is_ours = false;
  for (std::size_t begin = 0; begin < ruleset.size() && found.size() < sentences_max;) {
    const std::size_t end = std::min(ruleset.find('\n', begin), ruleset.size());
    const std::string_view line = ruleset.substr(begin, end - begin);
    begin = end + 1;
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (words[0] == "table" && words.size() >= 3) {
      table = shown(words[1]) + " " + shown(words[2]);
      is_ours = words[2] == rules_table || words[2] == seen_table;
    } else if (words[0] == "chain" && words.size() >= 2) {
      chain = shown(words[1]);
    }
    if (is_ours) continue;
    const bool is_base = words[0] == "type" && has(words, "hook");
    if (is_base && after(words, "policy") == "drop") {
      if (after(words, "hook") == "input")
        found.push_back("chain " + chain + " of table " + table +
                        " drops what nobody accepts on its way to this machine: it has to accept DNS from the LAN" +
                        (options.mode == Mode::nat ? " and port " + std::to_string(options.nat_port) : std::string()) +
                        ".");
      continue;
    }
    // nft prints a target of iptables that it cannot translate by its name, younger ones in quotes.
    const bool rewrites = has(words, "redirect") || has(words, "dnat") || has(words, "REDIRECT") ||
                          has(words, "DNAT") || has(words, "\"REDIRECT\"") || has(words, "\"DNAT\"");
    if (rewrites && matches_ports(words, options.ports))
      found.push_back("table " + table + ", chain " + chain + ", also redirects DNS: " + shown(line));
    const bool intercepts = has(words, "tproxy") || has(words, "TPROXY") || has(words, "\"TPROXY\"");
    if (intercepts && matches_ports(words, options.ports))
      found.push_back("table " + table + ", chain " + chain + ", also takes DNS by tproxy: " + shown(line));
  }
  return found;
}

}  // namespace doline::redirect
