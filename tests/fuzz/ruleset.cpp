// What `nft list ruleset` prints, which other programs' comments are part of: any text is read, and the sentences about
// it are few and short.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "redirect/interference.h"
#include "redirect/request.h"

using namespace doline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  redirect::Options options;
  options.mode = redirect::Mode::nat;
  const auto found = redirect::find_interference({reinterpret_cast<const char*>(data), size}, options);
  check(found.size() <= redirect::sentences_max);
  check(std::all_of(found.begin(), found.end(), [](const std::string& sentence) {
    return sentence.size() <= redirect::sentence_octets_max &&
           std::all_of(sentence.begin(), sentence.end(), [](char letter) { return letter >= ' ' && letter != 0x7f; });
  }));
  return 0;
}
