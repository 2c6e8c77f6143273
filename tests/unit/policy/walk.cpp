#include "policy/walk.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "unit/policy/compiled_lists.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::blocklist::ListSet;
using doline::dns::Name;

namespace {

std::vector<std::size_t> candidates(const RuleBook& book, const Query& query, const ListSet& lists = *ListSet::none()) {
  const Asking asking = query.asking();
  std::vector<std::size_t> places;
  Walk(book, lists, asking, lists.look_up(asking.lowered_qname)).each_candidate([&](std::size_t place) {
    places.push_back(place);
    return false;
  });
  return places;
}

}  // namespace

TEST_CASE("a walk meets only the rules whose name, device, group and lists may match, and the end") {
  RuleBookSettings settings;
  settings.rules.resize(6);
  settings.rules[0].when.names = {{NamePattern::Kind::subtree, *Name::parse("a.example")}};
  settings.rules[1].when.device_names = {"phone"};
  settings.rules[2].when.groups = 0b10;
  settings.rules[3].when.lists = {{0}};
  settings.rules[4].when.names = {{NamePattern::Kind::exact, *Name::parse("example")}};
  settings.lists = {{"ads", ListKind::block, Mode::enforce}};
  const RuleBook book(settings);
  const std::size_t lists_place = 6, otherwise = 7;
  CHECK(candidates(book, Query("b.test")) == std::vector<std::size_t>{5, otherwise});
  CHECK(candidates(book, Query("x.a.example")) == std::vector<std::size_t>{0, 4, 5, otherwise});
  CHECK(candidates(book, Query("b.test").by("phone").in_groups(0b111)) == std::vector<std::size_t>{1, 2, 5, otherwise});
  CHECK(candidates(book, Query("b.test"), *compile_lists({"b.test"})) ==
        std::vector<std::size_t>{3, 5, lists_place, otherwise});
}

TEST_CASE("what does not match is told by its first condition that does not hold") {
  RuleBookSettings settings;
  settings.lists = {{"ads", ListKind::block, Mode::enforce}};
  const auto mismatch = [&](const Condition& when) {
    settings.rules = {Rule{}};
    settings.rules[0].when = when;
    const RuleBook book(settings);
    const Query query("www.example");
    const Asking asking = query.asking();
    return Walk(book, *ListSet::none(), asking, {}).judge(0).mismatch;
  };
  CHECK(mismatch({}) == Mismatch::none);
  Condition device, group, network, name, type, intercepted, time, listed;
  device.device_names = {"phone"};
  CHECK(mismatch(device) == Mismatch::device);
  group.groups = 1;
  CHECK(mismatch(group) == Mismatch::group);
  network.networks = {*doline::IpPrefix::parse("10.0.0.0/8")};
  CHECK(mismatch(network) == Mismatch::network);
  name.names = {{NamePattern::Kind::below, *Name::parse("www.example")}};
  CHECK(mismatch(name) == Mismatch::name);
  type.types = {doline::dns::RecordType::any};
  CHECK(mismatch(type) == Mismatch::type);
  intercepted.intercepted = true;
  CHECK(mismatch(intercepted) == Mismatch::intercepted);
  time.days = 1 << 1;
  CHECK(mismatch(time) == Mismatch::time);
  listed.lists = {{0}};
  CHECK(mismatch(listed) == Mismatch::listed);
  std::set<std::string_view> sentences;
  for (int i = 0; i <= static_cast<int>(Mismatch::listed); ++i) sentences.insert(to_string(static_cast<Mismatch>(i)));
  CHECK(sentences.size() == 17);
}
