#include "policy/weigh.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "unit/policy/compiled_lists.h"
#include "unit/policy/query.h"

using namespace doline::policy;
using doline::blocklist::LineAnswer;
using doline::blocklist::ListFormat;
using doline::dns::RecordType;

namespace {

struct List {
  ListFormat format;
  std::string text;
  ListKind kind = ListKind::block;
  Mode mode = Mode::enforce;
};

struct Weighing {
  std::shared_ptr<const doline::blocklist::ListSet> set;
  RuleBook book;

  explicit Weighing(const std::vector<List>& lists) : set(compile_texts(texts_of(lists))), book(settings_of(lists)) {}

  [[nodiscard]] Verdict verdict(const char* name, RecordType type = RecordType::a) const {
    return decide(book, *set, Query(name, type).asking());
  }
  /// What is done; of a list's own answer the records, in the words of zone files.
  [[nodiscard]] std::string operator()(const char* name, RecordType type = RecordType::a) const {
    const Action action = verdict(name, type).action;
    const auto* answer = std::get_if<ListAnswer>(&action);
    if (answer == nullptr) return std::string(to_string(action));
    std::vector<std::string> all;
    each_answer(*set, *answer, [&](const LineAnswer& line) {
      doline::blocklist::ListRule rule;
      rule.effect = doline::blocklist::ListRule::Effect::answer;
      rule.answer = line;
      all.push_back(to_string(rule).substr(std::string("$dnsrewrite=").size()));
    });
    std::sort(all.begin(), all.end());
    std::string text;
    for (const std::string& one : all) text += (text.empty() ? "" : " ") + one;
    return text;
  }

 private:
  static std::vector<std::pair<ListFormat, std::string>> texts_of(const std::vector<List>& lists) {
    std::vector<std::pair<ListFormat, std::string>> texts;
    for (const List& list : lists) texts.emplace_back(list.format, list.text);
    return texts;
  }
  static RuleBookSettings settings_of(const std::vector<List>& lists) {
    RuleBookSettings settings;
    for (const List& list : lists)
      settings.lists.push_back({"list" + std::to_string(settings.lists.size()), list.kind, list.mode});
    return settings;
  }
};

constexpr ListFormat adblock = ListFormat::adblock;

}  // namespace

TEST_CASE("$badfilter takes back the same rule of its own list, and none of another extent or format") {
  CHECK(Weighing({{adblock, "||x.example^\n||x.example^$badfilter"}})("a.x.example") == "forward");
  CHECK(Weighing({{adblock, "||x.example^$badfilter\n||x.example^"}})("x.example") == "forward");
  const Weighing name_alone({{adblock, "||x.example^\n|x.example^\n|x.example^$badfilter"}});
  CHECK(name_alone("x.example") == "block");
  CHECK(name_alone("a.x.example") == "block");
  CHECK(Weighing({{adblock, "|x.example^\n|x.example^$badfilter"}})("x.example") == "forward");
  const Weighing both({{adblock, "||x.example^\n|x.example^\n||x.example^$badfilter"}});
  CHECK(both("x.example") == "block");
  CHECK(both("a.x.example") == "forward");
  CHECK(Weighing({{adblock, "||x.example^$important\n||x.example^$badfilter"}})("x.example") == "block");
  CHECK(Weighing({{adblock, "@@||x.example^\n@@||x.example^$badfilter\n||x.example^"}})("x.example") == "block");
  CHECK(Weighing({{adblock, "/^x/\n/^x/$badfilter"}})("x.example") == "forward");
}

TEST_CASE("$badfilter takes back what another list says that blocks and is judged with it, as AdBlock") {
  const List block{adblock, "||good.example^\n||example^"}, bad{adblock, "||good.example^$badfilter"};
  const Weighing alone({{adblock, "||good.example^"}, bad});
  CHECK(alone("a.good.example") == "forward");
  CHECK(Weighing({bad, {adblock, "||good.example^"}})("good.example") == "forward");
  CHECK(Weighing({block, bad})("good.example") == "block");  // by ||example^

  // Exceptions of lists that block too; never what an allow list says.
  const List exception{adblock, "@@||good.example^"}, bad_exception{adblock, "@@||good.example^$badfilter"};
  CHECK(Weighing({block, exception, bad_exception})("good.example") == "block");
  const List allow{adblock, "||good.example^", ListKind::allow};
  CHECK(Weighing({block, allow, bad})("good.example") == "forward");
  CHECK(Weighing({block, {adblock, "@@||good.example^", ListKind::allow}, bad_exception})("good.example") == "forward");
  CHECK(Weighing({block, {adblock, "||good.example^$badfilter", ListKind::allow}})("good.example") == "block");

  // Nor lines of other formats.
  CHECK(Weighing({{ListFormat::domains, "good.example"}, bad})("good.example") == "block");
  CHECK(Weighing({{ListFormat::dnsmasq, "address=/good.example/"}, bad})("good.example") == "block");
  CHECK(Weighing({{ListFormat::hosts, "0.0.0.0 good.example"}, {adblock, "|good.example^$badfilter"}})(
            "good.example") == "block");
  CHECK(Weighing({{ListFormat::rpz, "good.example CNAME ."}, {adblock, "|good.example^$badfilter"}})("good.example") ==
        "nxdomain");

  // Where it observes, it does no more than that.
  const Weighing observing({{adblock, "||good.example^"}, {adblock, bad.text, ListKind::block, Mode::observe}});
  const Verdict verdict = observing.verdict("good.example");
  CHECK(to_string(verdict.action) == "block");
  REQUIRE(verdict.observed.has_value());
  CHECK(to_string(verdict.observed->action) == "forward");
}

TEST_CASE("of a $badfilter and the rule that it takes back, both lists are told") {
  const Weighing weighing({{adblock, "||good.example^"}, {adblock, "||good.example^$badfilter"}});
  const Verdict verdict = weighing.verdict("good.example");
  REQUIRE(verdict.reason.listing.count == 1);
  CHECK(weighing.set->lists_of(verdict.reason.listing.coverings[0].set).size() == 2);
  CHECK(weighing.set->name_count({0}) == 1);
  CHECK(weighing.set->name_count({1}) == 1);
}

TEST_CASE("$badfilter of three lists takes back each line of its own extent") {
  const List wide{adblock, "||x.example^"}, narrow{adblock, "|x.example^"};
  const List no_wide{adblock, "||x.example^$badfilter"}, no_narrow{adblock, "|x.example^$badfilter"};
  const List two{adblock, "||x.example^\n|x.example^"};
  CHECK(Weighing({wide, narrow, no_narrow})("x.example") == "block");
  CHECK(Weighing({wide, narrow, no_wide})("x.example") == "block");
  CHECK(Weighing({wide, narrow, no_wide})("a.x.example") == "forward");
  CHECK(Weighing({two, no_wide})("x.example") == "block");
  CHECK(Weighing({two, no_wide})("a.x.example") == "forward");
  CHECK(Weighing({two, no_wide, no_narrow})("x.example") == "forward");
}

TEST_CASE("an exception of $dnsrewrite takes away that value and leaves the others") {
  const Weighing one({{adblock,
                       "||ex.example^$dnsrewrite=192.0.2.4\n||ex.example^$dnsrewrite=192.0.2.5\n"
                       "@@||ex.example^$dnsrewrite=192.0.2.4"}});
  CHECK(one("ex.example") == "NOERROR;A;192.0.2.5");
  const Weighing other({{adblock,
                         "||ex.example^$dnsrewrite=192.0.2.4\n||ex.example^$dnsrewrite=192.0.2.5\n"
                         "@@||ex.example^$dnsrewrite=192.0.2.5"}});
  CHECK(other("ex.example") == "NOERROR;A;192.0.2.4");
  const Weighing all({{adblock,
                       "||ex.example^$dnsrewrite=192.0.2.4\n||ex.example^$dnsrewrite=192.0.2.5\n"
                       "@@||ex.example^$dnsrewrite"}});
  CHECK(all("ex.example") == "forward");
  const Weighing apart({{adblock, "||ex.example^$dnsrewrite=192.0.2.4\n||ex.example^$dnsrewrite=192.0.2.5"},
                        {adblock, "||ex.example^$dnsrewrite=192.0.2.5,badfilter"}});
  CHECK(apart("ex.example") == "NOERROR;A;192.0.2.4");
}

TEST_CASE("of rewrites beside each other a code counts before a CNAME, that before records, in whatever order") {
  std::vector<std::string> lines{"||k.example^$dnsrewrite=192.0.2.4", "||k.example^$dnsrewrite=192.0.2.5",
                                 "||k.example^$dnsrewrite=other.example", "||k.example^$dnsrewrite=REFUSED;;",
                                 "||k.example^$dnsrewrite=NOERROR;;"};
  std::sort(lines.begin(), lines.end());
  do {
    std::string text, without_code, without_name;
    for (const std::string& line : lines) {
      text += line + '\n';
      if (line.find("REFUSED") != line.npos) continue;
      without_code += line + '\n';
      if (line.find("other") == line.npos) without_name += line + '\n';
    }
    CHECK(Weighing({{adblock, text}})("k.example") == "refuse");
    CHECK(Weighing({{adblock, without_code}})("k.example") == "NOERROR;CNAME;other.example");
    CHECK(Weighing({{adblock, without_name}})("k.example") == "NOERROR;A;192.0.2.4 NOERROR;A;192.0.2.5");
  } while (std::next_permutation(lines.begin(), lines.end()));
  CHECK(Weighing({{adblock, lines[0]}, {adblock, "||k.example^$dnsrewrite=NXDOMAIN"}})("k.example") == "nxdomain");
}

TEST_CASE("in a list of dnsmasq's the longest name says all that it says") {
  const Weighing dnsmasq({{ListFormat::dnsmasq,
                           "server=/example.com/#\naddress=/ads.example.com/\naddress=/example.org/192.0.2.4\n"
                           "address=/sub.example.org/#\naddress=/x.test/\nserver=/y.x.test/#\nserver=/z.test/#\n"
                           "address=/z.test/"}});
  CHECK(dnsmasq("www.example.com") == "forward");
  CHECK(dnsmasq("a.ads.example.com") == "block");
  CHECK(dnsmasq("example.org") == "NOERROR;A;192.0.2.4");
  CHECK(dnsmasq("a.sub.example.org") == "block");
  CHECK(dnsmasq("x.test") == "block");
  CHECK(dnsmasq("y.x.test") == "forward");
  CHECK(dnsmasq("z.test") == "forward");
}

TEST_CASE("in a list of Unbound's the longest name says all that it says, and a transparent zone nothing") {
  const List unbound{ListFormat::unbound,
                     "local-zone: \"a.test\" always_nxdomain\nlocal-zone: \"tr.a.test\" transparent\n"
                     "local-zone: \"bad.tr.a.test\" always_nxdomain\nlocal-zone: \"r.test\" redirect\n"
                     "local-data: \"r.test A 192.0.2.4\"\nlocal-zone: \"sub.r.test\" always_null\n"
                     "local-zone: \"tt.test\" typetransparent\nlocal-data: \"tt.test A 192.0.2.4\"\n"
                     "local-zone: \"four.test\" block_a\nlocal-zone: \"seen.test\" transparent"};
  const Weighing alone({unbound});
  CHECK(alone("a.test") == "block");
  CHECK(alone("x.tr.a.test") == "forward");
  CHECK(alone("bad.tr.a.test") == "block");
  CHECK(alone("z.r.test") == "NOERROR;A;192.0.2.4");
  CHECK(alone("sub.r.test") == "block");
  CHECK(alone("tt.test") == "NOERROR;A;192.0.2.4");
  CHECK(alone("tt.test", RecordType::aaaa) == "forward");
  CHECK(alone("x.tt.test") == "forward");
  CHECK(alone("x.four.test") == "nodata");
  CHECK(alone("x.four.test", RecordType::aaaa) == "forward");

  // Of other lists it says nothing.
  const Weighing beside({unbound, {ListFormat::domains, "tr.a.test\nseen.test"}});
  CHECK(beside("tr.a.test") == "block");
  CHECK(beside("x.seen.test") == "block");
  CHECK(Weighing({{ListFormat::unbound, unbound.text, ListKind::allow}, {ListFormat::domains, "seen.test"}})(
            "seen.test") == "forward");
}

TEST_CASE("a list may say every name, with exceptions") {
  const Weighing zone(
      {{ListFormat::rpz, "* CNAME .\nok.example CNAME rpz-passthru.\n*.ok.example CNAME rpz-passthru."}});
  CHECK(zone("x.test") == "nxdomain");
  CHECK(zone("a.ok.example") == "forward");
  CHECK(zone(".") == "forward");
  const Weighing dnsmasq({{ListFormat::dnsmasq, "address=/#/\nserver=/ok.example/#"}});
  CHECK(dnsmasq("x.test") == "block");
  CHECK(dnsmasq("a.ok.example") == "forward");
  const Weighing unbound(
      {{ListFormat::unbound, "local-zone: \".\" always_refuse\nlocal-zone: \"ok.example\" transparent"}});
  CHECK(unbound("x.test") == "block");
  CHECK(unbound("a.ok.example") == "forward");
}

TEST_CASE("a CNAME to the name that is asked for is none: what the line means are the names below") {
  const Weighing adblock({{ListFormat::adblock, "||self.example^$dnsrewrite=Self.example"}});
  CHECK(adblock("self.example") == "forward");
  CHECK(adblock("www.self.example") == "NOERROR;CNAME;Self.example");
  const Weighing zone({{ListFormat::rpz, "self.example CNAME self.example.\n*.self.example CNAME self.example."}});
  CHECK(zone("self.example") == "forward");
  CHECK(zone("www.self.example") == "NOERROR;CNAME;self.example");
}
