// Lists in a test's own folder, compiled by the real compiler: what rules with `listed` are judged by.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "blocklist/compile.h"
#include "blocklist/list_set.h"
#include "temporary_folder.h"

/// One text of plain domains for each list; names cover what is below them.
inline std::shared_ptr<const doline::blocklist::ListSet> compile_lists(const std::vector<std::string>& texts) {
  const doline::tests::TemporaryFolder folder;
  std::vector<doline::blocklist::ListInput> inputs;
  for (const std::string& text : texts) {
    const std::string name = "list-" + std::to_string(inputs.size());
    inputs.push_back({name, folder.write(name, text), doline::blocklist::ListFormat::domains, true});
  }
  REQUIRE(doline::blocklist::compile(inputs, folder / "lists"));
  const auto lists = doline::blocklist::ListSet::open(folder / "lists", true);
  REQUIRE(lists);
  return *lists;
}
