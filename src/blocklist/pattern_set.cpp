#include "blocklist/pattern_set.h"

#include <re2/filtered_re2.h>
#include <re2/set.h>

#include <algorithm>
#include <array>
#include <deque>
#include <string>

#include "blocklist/expression.h"
#include "blocklist/re2_options.h"

namespace doline::blocklist {

namespace {

constexpr std::size_t literal_octets_min = 3;
/// Of the automaton of all without literals together.
constexpr std::int64_t combined_memory_max = std::int64_t{16} << 20;

/// Finds which of many literals a text holds (Aho and Corasick, 1975). Letters that names have are one step each; all
/// other octets are the same to it, for no literal of a name has them.
class LiteralFinder {
 public:
  explicit LiteralFinder(const std::vector<std::string>& literals) {
    for (std::uint8_t letter = 'a'; letter <= 'z'; ++letter)
      classes_[letter] = static_cast<std::uint8_t>(1 + letter - 'a');
    for (std::uint8_t digit = '0'; digit <= '9'; ++digit) classes_[digit] = static_cast<std::uint8_t>(27 + digit - '0');
    classes_['-'] = 37;
    classes_['.'] = 38;
    classes_['_'] = 39;
    nodes_.emplace_back();
    for (std::size_t at = 0; at < literals.size(); ++at) {
      std::uint32_t node = 0;
      for (const char octet : literals[at]) {
        const std::uint8_t step = classes_[static_cast<std::uint8_t>(octet)];
        if (nodes_[node].next[step] == 0) {
          nodes_[node].next[step] = static_cast<std::uint32_t>(nodes_.size());
          nodes_.emplace_back();
        }
        node = nodes_[node].next[step];
      }
      // RE2 gives each literal once; two that differ only in octets no name has may share a node.
      ends_.resize(nodes_.size());
      ends_[node].push_back(static_cast<int>(at));
    }
    ends_.resize(nodes_.size());
    link();
  }

  /// Adds the numbers of the literals in `text`, each once.
  void find(std::string_view text, std::vector<int>& found) const {
    std::uint32_t node = 0;
    for (const char octet : text) {
      node = nodes_[node].next[classes_[static_cast<std::uint8_t>(octet)]];
      for (std::uint32_t end = nodes_[node].ends ? node : nodes_[node].shorter; end != 0; end = nodes_[end].shorter)
        found.insert(found.end(), ends_[end].begin(), ends_[end].end());
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
  }

 private:
  struct Node {
    std::array<std::uint32_t, 40> next{};
    std::uint32_t shorter = 0;  // the longest other node that the text ends in and that ends a literal
    bool ends = false;
  };

  /// Breadth first: a missing step goes where the longest shorter beginning would go.
  void link() {
    std::vector<std::uint32_t> falls_to(nodes_.size());
    std::deque<std::uint32_t> waiting;
    for (const std::uint32_t child : nodes_[0].next)
      if (child != 0) waiting.push_back(child);
    while (!waiting.empty()) {
      const std::uint32_t node = waiting.front();
      waiting.pop_front();
      const std::uint32_t fall = falls_to[node];
      nodes_[node].ends = !ends_[node].empty();
      nodes_[node].shorter = nodes_[fall].ends ? fall : nodes_[fall].shorter;
      for (std::size_t step = 0; step < nodes_[node].next.size(); ++step) {
        std::uint32_t& child = nodes_[node].next[step];
        if (child == 0) {
          child = nodes_[fall].next[step];
        } else {
          falls_to[child] = nodes_[fall].next[step];
          waiting.push_back(child);
        }
      }
    }
  }

  std::array<std::uint8_t, 256> classes_{};  // 0: an octet that no name has
  std::vector<Node> nodes_;
  std::vector<std::vector<int>> ends_;  // of each node, the literals that end there
};

}  // namespace

struct PatternSet::Automata {
  explicit Automata(std::span<const std::string_view> expressions);

  re2::FilteredRE2 filtered{static_cast<int>(literal_octets_min)};
  std::vector<std::uint32_t> numbers;  // of the expressions in `filtered`
  std::unique_ptr<LiteralFinder> literals;
  std::vector<int> without_literals;   // places in `filtered`, ascending
  std::unique_ptr<RE2::Set> combined;  // of those; null where there are none
};

PatternSet::Automata::Automata(std::span<const std::string_view> expressions) {
  for (std::size_t at = 0; at < expressions.size(); ++at) {
    int place = 0;
    if (filtered.Add(piece_of(expressions[at]), re2_options(), &place) == RE2::NoError)
      numbers.push_back(static_cast<std::uint32_t>(at));
  }
  if (numbers.empty()) return;
  std::vector<std::string> atoms;
  filtered.Compile(&atoms);
  literals = std::make_unique<LiteralFinder>(atoms);
  filtered.AllPotentials({}, &without_literals);
  std::sort(without_literals.begin(), without_literals.end());
  if (without_literals.empty()) return;
  combined = std::make_unique<RE2::Set>(re2_options(combined_memory_max), RE2::UNANCHORED);
  for (const int place : without_literals) combined->Add(filtered.GetRE2(place).pattern(), nullptr);
  if (!combined->Compile()) combined.reset();
}

PatternSet::PatternSet(std::span<const std::string_view> expressions)
    : automata_(std::make_unique<const Automata>(expressions.first(std::min(expressions.size(), patterns_max)))) {}
PatternSet::~PatternSet() = default;

std::vector<std::uint32_t> PatternSet::match(const dns::Name& lowered) const {
  std::vector<std::uint32_t> matching;
  const Automata& automata = *automata_;
  if (automata.numbers.empty()) return matching;

  const NameText spelled(lowered);
  const re2::StringPiece text = piece_of(spelled.view());

  const auto try_one = [&](int place) {
    if (RE2::PartialMatch(text, automata.filtered.GetRE2(place)))
      matching.push_back(automata.numbers[static_cast<std::size_t>(place)]);
  };
  std::vector<int> found;
  automata.literals->find({text.data(), text.size()}, found);
  if (!found.empty()) {
    std::vector<int> candidates;
    automata.filtered.AllPotentials(found, &candidates);
    for (const int place : candidates)
      if (!std::binary_search(automata.without_literals.begin(), automata.without_literals.end(), place))
        try_one(place);
  }
  if (!automata.without_literals.empty()) {
    // At first only whether any does: that costs no memory.
    RE2::Set::ErrorInfo error{RE2::Set::kNotCompiled};
    std::vector<int> which;
    if (automata.combined != nullptr && automata.combined->Match(text, nullptr, &error))
      automata.combined->Match(text, &which, &error);
    if (error.kind == RE2::Set::kNoError) {
      for (const int one : which)
        matching.push_back(
            automata.numbers[static_cast<std::size_t>(automata.without_literals[static_cast<std::size_t>(one)])]);
    } else {
      for (const int place : automata.without_literals) try_one(place);
    }
  }
  std::sort(matching.begin(), matching.end());
  return matching;
}

}  // namespace doline::blocklist
