// List texts: any octets are read without harm, whole or in pieces, and what is reported as a line's name is found
// there.
#include "blocklist/list_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "blocklist/line_reader.h"

using namespace doline;
using namespace doline::blocklist;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // As what it looks like, and as one of the others: all of them come by in turn.
  const auto looks_like = recognise(text).value_or(ListFormat::hosts);
  for (const ListFormat format : {looks_like, static_cast<ListFormat>(size % list_formats)}) {
    const bool has_subdomains = format == ListFormat::hosts || format == ListFormat::domains;
    for (const bool subdomains : {false, true}) {
      if (subdomains && !has_subdomains) continue;
      std::vector<Entry> entries;
      std::uint64_t problems = 0;
      const ReadResult result = read_list(
          text, format, subdomains, [&](const Entry& entry) { entries.push_back(entry); },
          [&](const LineProblem& problem) {
            check(problem.line >= 1 && problem.column >= 1);
            ++problems;
          });
      check(result.entries == entries.size() && result.problems == problems && result.rules <= result.entries);
      for (std::size_t at = 0; at < entries.size() && at < 4; ++at) {
        const Entry& entry = entries[at];
        check(entry.line >= 1 && entry.line <= result.lines);
        // A rule's text says all of it.
        const std::string rule = to_string(entry.rule);
        const auto again = parse_rule(rule);
        check(again.has_value() && to_string(*again) == rule);
        check(again->is_plain() == entry.rule.is_plain());
        if (entry.of != Listed::name) continue;
        check(entry.covers_name || entry.covers_below);
        if (!entry.covers_name) continue;
        const auto found = find_lines(text, format, subdomains, entry.name);
        check(!found.empty() && found[0].line <= entry.line);
      }

      // In two pieces, cut anywhere, and in pieces of a line, each too short for a glance: the same.
      const auto on_name = [](const ListedName& name) {
        const auto again = dns::Name::from_wire(name.wire);
        check(again.has_value() && again->size() == name.wire.size() && again->label_count() == name.labels);
        return true;
      };
      const auto on_rule = [&](const ListedRule& rule) { return rule.of != Listed::name || on_name(rule.name); };
      const auto on_problem = [](const LineProblem&) {};
      LineReader of_halves(format, subdomains);
      const std::size_t used = of_halves.read(text.substr(0, size / 2), false, on_name, on_rule, on_problem);
      of_halves.read(text.substr(used), true, on_name, on_rule, on_problem);
      check(of_halves.result() == result);
      LineReader of_lines(format, subdomains);
      auto expected = entries.cbegin();
      const auto is_expected = [&](const ListedName& name) {
        check(std::ranges::equal(name.wire, expected->name.wire()) && name.line == expected->line);
        check(name.covers_name == expected->covers_name && name.covers_below == expected->covers_below);
        ++expected;
        return true;
      };
      for (std::size_t at = 0; at < size;) {
        const std::size_t end = std::min(text.find('\n', at), size - 1) + 1;
        of_lines.read(
            text.substr(at, end - at), end == size, is_expected,
            [&](const ListedRule& rule) {
              check(rule.of == expected->of && to_string(rule.rule) == to_string(expected->rule));
              if (rule.of == Listed::name) return is_expected(rule.name);
              check(rule.pattern == expected->pattern && rule.prefix == expected->prefix);
              ++expected;
              return true;
            },
            on_problem);
        at = end;
      }
      check(of_lines.result() == result && expected == entries.cend());
    }
  }
  return 0;
}
