// scenario_test FILE...: plays stories. Exit 0 where all went as told; else what went otherwise, on standard output.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "scenario/stage.h"

int main(int count, char** arguments) {
  setenv("TZ", "UTC", 1);  // schedules are read in local time
  if (count < 2) {
    std::fputs("usage: scenario_test FILE...\n", stderr);
    return 2;
  }
  int failures = 0;
  for (int i = 1; i < count; ++i) {
    std::ifstream file(arguments[i]);
    if (!file) {
      std::printf("%s: cannot be read\n", arguments[i]);
      ++failures;
      continue;
    }
    std::ostringstream text;
    text << file.rdbuf();
    const auto story = doline::tests::read_story(text.str(), arguments[i]);
    const auto otherwise = story ? doline::tests::play(*story) : std::vector<std::string>{story.error()};
    for (const std::string& what : otherwise) std::printf("%s\n", what.c_str());
    if (!otherwise.empty()) ++failures;
  }
  return failures == 0 ? 0 : 1;
}
