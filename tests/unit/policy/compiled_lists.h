// Lists in a test's own folder, compiled by the real compiler: what rules with `listed` are judged by.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "blocklist/compile.h"
#include "blocklist/list_set.h"
#include "temporary_folder.h"

/// Each text in its format; plain names cover what is below them.
inline std::shared_ptr<const doline::blocklist::ListSet> compile_texts(
    const std::vector<std::pair<doline::blocklist::ListFormat, std::string>>& texts) {
  const doline::tests::TemporaryFolder folder;
  std::vector<doline::blocklist::ListInput> inputs;
  for (const auto& [format, text] : texts) {
    const std::string name = "list-" + std::to_string(inputs.size());
    inputs.push_back({name, folder.write(name, text), format, true});
  }
  REQUIRE(doline::blocklist::compile(inputs, folder / "lists"));
  const auto lists = doline::blocklist::ListSet::open(folder / "lists", true);
  REQUIRE(lists);
  return *lists;
}

/// One text of plain domains for each list.
inline std::shared_ptr<const doline::blocklist::ListSet> compile_lists(const std::vector<std::string>& texts) {
  std::vector<std::pair<doline::blocklist::ListFormat, std::string>> domains;
  for (const std::string& text : texts) domains.emplace_back(doline::blocklist::ListFormat::domains, text);
  return compile_texts(domains);
}
