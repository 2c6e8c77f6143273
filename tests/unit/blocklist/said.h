// What a list's lines say, in AdBlock's words: how the tests of every format read it.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "blocklist/list_file.h"

using namespace doline;
using namespace doline::blocklist;

/// What each line says, in AdBlock's words, one a line; `!fault` for what is skipped.
inline std::string said(ListFormat format, std::string_view text) {
  std::string all;
  read_list(
      text, format, false, [&](const Entry& entry) { all += to_string(entry) + '\n'; },
      [&](const LineProblem& problem) {
        all += '!' + std::string(to_string(problem.fault)) + " at " + std::to_string(problem.line) + ':' +
               std::to_string(problem.column) + '\n';
      });
  if (!all.empty()) all.pop_back();
  return all;
}
