#include "resolver/canary.h"

#include <doctest/doctest.h>

#include <cctype>
#include <string>

using namespace doline;
using resolver::Canary;
using resolver::CanaryCage;

namespace {

dns::Name name(const char* text) {
  return *dns::Name::parse(text);
}

}  // namespace

TEST_CASE("A canary is known again, in any case, and by its own Doline only") {
  const CanaryCage ours(0x0badcafe), theirs(0x0badcaff);
  for (const Canary& canary :
       {Canary{Canary::Kind::loop, 0}, Canary{Canary::Kind::loop, 0xfedcba98}, Canary{Canary::Kind::probe, 1}}) {
    const dns::Name made = ours.name_of(canary);
    CHECK(made.size() == CanaryCage::canary_octets);
    CHECK(ours.find(made) == canary);
    CHECK_FALSE(theirs.find(made));
    std::string shouted = made.to_string();
    for (char& letter : shouted) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    CHECK(ours.find(name(shouted.c_str())) == canary);
    CHECK(CanaryCage::is_loop_canary(made) == (canary.kind == Canary::Kind::loop));
    CHECK(CanaryCage::is_loop_canary(theirs.name_of(canary)) == (canary.kind == Canary::Kind::loop));
  }
  CHECK(ours.name_of({Canary::Kind::loop, 7}).to_string() == "0badcafe00000007.loop.doline.alt");
  CHECK(ours.name_of({Canary::Kind::probe, 7}).to_string() == "0badcafe00000007.home.doline.alt");
}

TEST_CASE("Names that look like canaries are none") {
  const CanaryCage cage(0x0badcafe);
  for (const char* text :
       {"0badcafe0000000g.loop.doline.alt", "0badcafe-0000007.loop.doline.alt", "0badcafe00000007.pool.doline.alt",
        "0badcafe00000007.loop.doline.alu", "0badcafe.0000007.loop.doline.alt", "0badcafe00000007.loop.doline",
        "x.0badcafe00000007.loop.doline.alt", "aaaaaaaa.aaaaaaaaaaaaaaa.example", "."}) {
    CAPTURE(text);
    CHECK_FALSE(cage.find(name(text)));
  }
  CHECK_FALSE(CanaryCage::is_loop_canary(name("0badcafe00000007.pool.doline.alt")));
}
