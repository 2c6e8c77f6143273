// What `nft list ruleset` and legacy iptables print, which other programs' comments are part of: any text is read, and
// the sentences about it are few and short.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "redirect/interference.h"
#include "redirect/iptables_rules.h"
#include "redirect/request.h"

using namespace doline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  redirect::Options options;
  options.mode = redirect::Mode::nat;
  const std::string_view rules(reinterpret_cast<const char*>(data), size);
  auto found = redirect::find_interference(rules, options);
  check(found.size() <= redirect::sentences_max);
  for (std::string& sentence : redirect::find_legacy_interference("nat", rules, options))
    found.push_back(std::move(sentence));
  check(found.size() <= 2 * redirect::sentences_max);
  check(std::all_of(found.begin(), found.end(), [](const std::string& sentence) {
    return sentence.size() <= redirect::sentence_octets_max &&
           std::all_of(sentence.begin(), sentence.end(), [](char letter) { return letter >= ' ' && letter != 0x7f; });
  }));
  // What is ours of it is ours of that too, but for the names of tables that have nothing of ours.
  const std::string ours = redirect::our_lines(rules);
  check(redirect::our_lines(ours) == ours);
  return 0;
}
