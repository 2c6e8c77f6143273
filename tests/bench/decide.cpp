// What a decision costs: with so many rules and so many regular expressions in a list. Its usage says how to count
// instructions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "blocklist/compile.h"
#include "policy/decide.h"

using namespace doline;

namespace {

/// Rules by name, device, group and type in turn, of which none matches.
policy::RuleBookSettings rules_of(int count) {
  policy::RuleBookSettings settings;
  for (int at = 0; at < count; ++at) {
    policy::Rule rule;
    rule.then = policy::NxDomain{};
    const std::string number = std::to_string(at);
    if (at % 4 == 0)
      rule.when.names.push_back(
          {policy::NamePattern::Kind::subtree, *dns::Name::parse("host" + number + ".example"), {}});
    if (at % 4 == 1) rule.when.device_names = {"device" + number};
    if (at % 4 == 2) rule.when.groups = std::uint64_t{1} << (1 + at % 60);
    if (at % 4 == 3) rule.when.types = {dns::RecordType::naptr};
    settings.rules.push_back(std::move(rule));
  }
  return settings;
}

/// As operators write them: anchored names, numbers in them, words anywhere.
std::string expressions_of(int count) {
  std::string text;
  for (int at = 0; at < count; ++at) {
    const std::string word = "w" + std::to_string(at * 7919 % 100'000);
    text += at % 3 == 0   ? "^" + word + "[0-9]+\\.\n"
            : at % 3 == 1 ? "(^|\\.)" + word + "\\.example$\n"
                          : word + "track\n";
  }
  return text;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4 && count != 5) {
    std::fputs(R"(usage: decide_bench RULES EXPRESSIONS|FILE DECISIONS [RULES-THAT-ARE-EXPRESSIONS]

Decides so often with so many rules and listed regular expressions (or those of a file), and prints what a decision takes in
nanoseconds and how many forward. For instructions count two runs that differ in decisions alone:

  valgrind --tool=callgrind --callgrind-out-file=/dev/null decide_bench 10 0 10000
  valgrind --tool=callgrind --callgrind-out-file=/dev/null decide_bench 10 0 110000    the difference over 100,000
)",
               stderr);
    return 64;
  }
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("decide-" + std::to_string(std::rand()));
  std::filesystem::create_directories(folder);
  policy::RuleBookSettings settings = rules_of(std::atoi(words[1]));
  if (count == 5) {
    std::istringstream expressions(expressions_of(std::atoi(words[4])));
    for (std::string expression; std::getline(expressions, expression);) {
      policy::Rule rule;
      rule.then = policy::NxDomain{};
      rule.when.names = {
          {policy::NamePattern::Kind::expression, {}, blocklist::Expression::compile(expression).value()}};
      settings.rules.push_back(std::move(rule));
    }
  }
  std::vector<blocklist::ListInput> inputs;
  if (std::filesystem::exists(words[2])) {
    inputs.push_back({"file", words[2], blocklist::ListFormat::regex, false});
  } else if (std::atoi(words[2]) > 0) {
    std::ofstream(folder / "expressions") << expressions_of(std::atoi(words[2]));
    inputs.push_back({"expressions", folder / "expressions", blocklist::ListFormat::regex, false});
  }
  if (!inputs.empty()) settings.lists.push_back({inputs[0].name});
  const auto report = blocklist::compile(inputs, folder / "set");
  const auto set = blocklist::ListSet::open(folder / "set");
  if (!report || !set) return 74;
  const policy::RuleBook book(std::move(settings));

  device::Device device;
  device.name = "tv";
  std::vector<dns::Name> names;
  for (int at = 0; at < 1'000; ++at)
    names.push_back(*dns::Name::parse("api" + std::to_string(at * 31 % 977) + ".service" + std::to_string(at % 113) +
                                      (at % 2 == 0 ? ".example.com" : ".cdn.example.net")));
  const int decisions = std::atoi(words[3]);
  std::size_t forwarded = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (int at = 0; at < decisions; ++at) {
    const dns::Name& name = names[static_cast<std::size_t>(at) % names.size()];
    const dns::Question question{name, dns::RecordType::a, dns::RecordClass::in};
    forwarded += policy::decide(book, **set,
                                {.device = device,
                                 .groups = 1,
                                 .client = IpAddress::v4(192, 168, 1, 20),
                                 .question = question,
                                 .lowered_qname = name,
                                 .destination = {},
                                 .time = {}})
                     .forwards();
  }
  const auto took = std::chrono::steady_clock::now() - begun;
  std::printf("%.0f ns a decision; %zu of %d forwarded\n",
              std::chrono::duration<double, std::nano>(took).count() / std::max(decisions, 1), forwarded, decisions);
  std::filesystem::remove_all(folder);
}
