#include "control/list_reports.h"

#include <nlohmann/json.hpp>

#include "control/text_file.h"

namespace doline::control {

namespace {

using blocklist::LineFault;
using nlohmann::json;

}  // namespace

std::string write_reports(const std::filesystem::path& file, const blocklist::CompileReport& report) {
  json lists = json::array();
  for (const blocklist::ListReport& list : report.lists) {
    json problems = json::array();
    for (const blocklist::LineProblem& problem : list.first_problems)
      problems.push_back({problem.line, problem.column, static_cast<int>(problem.fault)});
    lists.push_back({{"name", list.name},
                     {"format", list.format ? json(blocklist::to_string(*list.format)) : json(nullptr)},
                     {"failure", list.failure},
                     {"names", list.names},
                     {"lines", list.read.lines},
                     {"entries", list.read.entries},
                     {"rules", list.read.rules},
                     {"exceptions", list.read.exceptions},
                     {"problems", list.read.problems},
                     {"skipped", list.read.skipped},
                     {"first_problems", std::move(problems)}});
  }
  const json all{{"fingerprint", report.fingerprint}, {"lists", std::move(lists)}};
  return replace_text_file(file, all.dump(1, ' ', false, json::error_handler_t::replace) + '\n', ".new");
}

std::vector<blocklist::ListReport> read_reports(const std::filesystem::path& file, std::uint64_t fingerprint) {
  const auto text = read_text_file(file);
  if (!text) return {};
  std::vector<blocklist::ListReport> reports;
  try {
    const json all = json::parse(*text);
    if (all.at("fingerprint").get<std::uint64_t>() != fingerprint) return {};
    for (const json& one : all.at("lists")) {
      blocklist::ListReport list;
      list.name = one.at("name").get<std::string>();
      if (one.at("format").is_string()) list.format = blocklist::parse_list_format(one["format"].get<std::string>());
      list.failure = one.at("failure").get<std::string>();
      list.names = one.at("names").get<std::uint64_t>();
      list.read.lines = one.at("lines").get<std::uint64_t>();
      list.read.entries = one.at("entries").get<std::uint64_t>();
      list.read.rules = one.at("rules").get<std::uint64_t>();
      list.read.exceptions = one.at("exceptions").get<std::uint64_t>();
      list.read.problems = one.at("problems").get<std::uint64_t>();
      list.read.skipped = one.at("skipped").get<decltype(list.read.skipped)>();
      for (const json& problem : one.at("first_problems")) {
        const auto fault = problem.at(2).get<std::uint64_t>();
        if (fault >= blocklist::line_faults || list.first_problems.size() == blocklist::problems_shown) return {};
        list.first_problems.push_back(
            {problem.at(0).get<std::uint32_t>(), problem.at(1).get<std::uint32_t>(), static_cast<LineFault>(fault)});
      }
      reports.push_back(std::move(list));
    }
  } catch (const json::exception&) {
    return {};
  }
  return reports;
}

}  // namespace doline::control
