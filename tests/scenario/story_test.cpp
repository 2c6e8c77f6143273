#include "scenario/story.h"

#include <doctest/doctest.h>

#include <string>

namespace doline::tests {
namespace {

const std::string head =
    "scenario: s\nclient tv: 192.168.1.20\nconfiguration:\n  upstreams: {}\n\nstory:\n";  // 6 lines

std::string fault_of(const std::string& text) {
  const auto story = read_story(text, "a.scenario");
  return story ? "none" : story.error();
}
/// As line 7 of a story that is right otherwise.
std::string fault_of_step(const std::string& step) {
  return fault_of(head + "  " + step + "\n");
}

TEST_CASE("a story is read: title, clients, files, configuration with its line, and steps with theirs") {
  const auto story = read_story(
      "# why\n"
      "scenario: a title, with a comma\n"
      "client tv: 192.168.1.20\n"
      "client phone: fd00::7\n"
      "configuration:\n"
      "  # not ours to leave out\n"
      "  a:\n"
      "    b: c\n"
      "file ads.txt:\n"
      "  ads.example\n"
      "story:\n"
      "  tv asks n{8-10}.example AAAA, over tcp, with edns=512 do cd, meant for 8.8.8.8\n"
      "  # a comment\n"
      "  upstream answers NOERROR\n"
      "    answer: www.example 300 A 192.0.2.{1-2}\n"
      "  tv gets NXDOMAIN, flags rd ra ad, 3 times\n"
      "    EDE 15 by the list, of course\n"
      "  reload:\n"
      "    a:\n"
      "      b: d\n"
      "  wait 2m\n",
      "a.scenario");
  REQUIRE(story);
  CHECK(story->title == "a title, with a comma");
  CHECK(story->clients.at("phone") == *IpAddress::parse("fd00::7"));
  CHECK(story->configuration == "# not ours to leave out\na:\n  b: c\n");
  CHECK(story->configuration_line == 6);
  CHECK(story->files.at("ads.txt") == "ads.example\n");
  REQUIRE(story->steps.size() == 5);
  CHECK(story->steps[0].line == 12);

  const auto& asks = std::get<Asks>(story->steps[0].what);
  REQUIRE(asks.questions.size() == 3);
  CHECK(asks.questions[2].to_string() == "n10.example AAAA");
  CHECK(asks.over_tcp);
  CHECK(asks.has_edns);
  CHECK(asks.payload_size == 512);
  CHECK(asks.dnssec_ok);
  CHECK(asks.checking_disabled);
  CHECK(asks.meant_for == Endpoint{IpAddress::v4(8, 8, 8, 8), 53});

  const auto& answers = std::get<Answers>(story->steps[1].what);
  REQUIRE(answers.records.size() == 2);
  CHECK(answers.records[1].record.ttl == 300);
  CHECK(answers.records[1].record.rdata == std::vector<std::uint8_t>{192, 0, 2, 2});

  const auto& gets = std::get<Gets>(story->steps[2].what);
  CHECK(gets.code == dns::ResponseCode::nxdomain);
  CHECK(gets.flags == "rd ra ad");
  CHECK(gets.times == 3);
  REQUIRE(gets.extended_error);
  CHECK(gets.extended_error->first == 15);
  CHECK(gets.extended_error->second == "by the list, of course");

  CHECK(std::get<Reloads>(story->steps[3].what).configuration == "a:\n  b: d\n");
  CHECK(std::get<Reloads>(story->steps[3].what).line == 19);
  CHECK(std::get<Passes>(story->steps[4].what).time == seconds(120));
}

TEST_CASE("what a story lacks is said at its first line") {
  CHECK(fault_of("") == "a.scenario:1: no `scenario: TITLE`");
  CHECK(fault_of("scenario: s\n") == "a.scenario:1: no `configuration:`");
  CHECK(fault_of(head) == "a.scenario:1: no `story:`, or nothing happens in it");
}

TEST_CASE("a wrong section, a second one and a wrong indent are named with their line") {
  CHECK(fault_of("scenario: s\nstroy:\n").starts_with("a.scenario:2: no such section; there are"));
  CHECK(fault_of("  scenario: s\n") == "a.scenario:1: a section begins at the left edge");
  CHECK(fault_of("scenario: s\nscenario: s\n") == "a.scenario:2: a second title");
  CHECK(fault_of("client tv: 1.2.3\n") == "a.scenario:1: '1.2.3' is no address");
  CHECK(fault_of("client tv: 1.2.3.4\nclient tv: 1.2.3.4\n") == "a.scenario:2: a second client 'tv'");
  CHECK(fault_of("configuration:\nstory:\n") == "a.scenario:1: an empty block");
  CHECK(fault_of("configuration:\n a: b\n") == "a.scenario:2: a block stands two spaces deeper");
  CHECK(fault_of(head + "   wait 1s\n") == "a.scenario:7: a step stands two spaces deep, what belongs to it four");
  CHECK(fault_of(head + "  wait 1s\n    answer: x\n") == "a.scenario:8: nothing can stand below this step");
  CHECK(fault_of(head + "  upstream answers NOERROR\n     answer: x\n") ==
        "a.scenario:8: what belongs to a step stands four spaces deep");
}

TEST_CASE("a wrong step is named with its line and what is wrong in it") {
  CHECK(fault_of_step("tv jumps") == "a.scenario:7: no such step; README.md lists them");
  CHECK(fault_of_step("cat asks www.example A") == "a.scenario:7: no line `client cat: ADDRESS`");
  CHECK(fault_of_step("tv asks www.example") == "a.scenario:7: `CLIENT asks NAME TYPE`");
  CHECK(fault_of_step("tv asks www..example A").starts_with("a.scenario:7: 'www..example' is no name: "));
  CHECK(fault_of_step("tv asks www.example AA") == "a.scenario:7: 'AA' is no record type");
  CHECK(fault_of_step("tv asks www.example A, loudly") == "a.scenario:7: this step has no clause 'loudly'");
  CHECK(fault_of_step("tv asks www.example A, with dew").starts_with("a.scenario:7: 'dew' is none of edns"));
  CHECK(fault_of_step("tv asks www.example A, with edns=big") == "a.scenario:7: 'big' is no number");
  CHECK(fault_of_step("tv asks www.example A, meant for x") == "a.scenario:7: 'x' is no address");
  CHECK(fault_of_step("tv asks n{5-1}.example A") == "a.scenario:7: a range goes upwards, and not so far");
  CHECK(fault_of_step("tv sends 012") == "a.scenario:7: an odd number of hexadecimal digits");
  CHECK(fault_of_step("tv sends 0x") == "a.scenario:7: '0x' is no octet");
  CHECK(fault_of_step("tv gets FINE") == "a.scenario:7: 'FINE' is no RCODE");
  CHECK(fault_of_step("upstream answers NOERROR\n    answer: www.example 300 A nowhere")
            .starts_with("a.scenario:8: 'www.example 300 A nowhere' is no record: "));
  CHECK(fault_of_step("upstream answers NOERROR\n    answers").starts_with("a.scenario:8: `answer: RECORD`"));
  CHECK(fault_of_step("upstream fails badly").starts_with("a.scenario:7: 'badly' is none of timeout"));
  CHECK(fault_of_step("wait long") == "a.scenario:7: 'long' is no time; units are ms, s, m, h");
  CHECK(fault_of_step("the clock is set to 2026-02-30 10:00") == "a.scenario:7: there is no such time");
  CHECK(fault_of_step("recorded: tv www.example A ban") == "a.scenario:7: 'ban' is no verdict");
  CHECK(fault_of_step("recorded: tv www.example A block, from afar") ==
        "a.scenario:7: 'afar' is nowhere that an answer comes from");
}

}  // namespace
}  // namespace doline::tests
