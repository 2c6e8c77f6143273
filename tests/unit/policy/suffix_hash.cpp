#include "policy/suffix_hash.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace doline::policy;
using doline::dns::Name;

namespace {

std::vector<std::uint64_t> hashes_of(const Name& name) {
  std::vector<std::uint64_t> hashes;
  each_suffix_hash(name, [&](std::uint64_t hash) { hashes.push_back(hash); });
  return hashes;
}

}  // namespace

TEST_CASE("the suffixes of a name are hashed from the root on, each as if it stood alone") {
  const std::string long_label(63, 'x');
  std::string labels_of_one;
  for (int label = 0; label < 126; ++label) labels_of_one += "y.";
  for (const std::string& text :
       {std::string("."), std::string("a.bc.example"), std::string("seven77.eight888.nine99999.example.org"),
        long_label + '.' + long_label + '.' + long_label + '.' + std::string(61, 'z'), labels_of_one + "z",
        std::string(7, 'a') + '.' + long_label + '.' + long_label + '.' + long_label + ".b"}) {
    CAPTURE(text);
    const Name name = *Name::parse(text);
    const auto of_name = hashes_of(name);
    REQUIRE(of_name.size() == static_cast<std::size_t>(name.label_count()) + 1);
    std::vector<std::uint64_t> alone;
    for (int labels = name.label_count(); labels >= 0; --labels) alone.push_back(whole_hash(name.ancestor(labels)));
    CHECK(of_name == alone);
    CHECK(std::set(of_name.begin(), of_name.end()).size() == of_name.size());
  }
}

TEST_CASE("what stands behind a name's end in its block, and where labels begin, does not count") {
  Name longer = *Name::parse("example.and-much-more-behind-it.that-was-there-before");
  const Name name = *Name::parse("example");
  longer = name;
  CHECK(whole_hash(longer) == whole_hash(name));
  std::set<std::uint64_t> distinct;
  for (const char* text : {"ab.c", "a.bc", "abc", "a.b.c", "c.ab", "abcdefg.h", "abcdefgh", "abcdefghi", "abcdefgh.i"})
    distinct.insert(whole_hash(*Name::parse(text)));
  CHECK(distinct.size() == 9);
}
