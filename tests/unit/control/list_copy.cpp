#include "control/list_copy.h"

#include <doctest/doctest.h>

#include <string>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

std::string names(int count) {
  std::string text = "# a list\n";
  for (int i = 0; i < count; ++i) text += "name" + std::to_string(i) + ".example\n";
  return text;
}

}  // namespace

TEST_CASE("a good text becomes the copy, and its own file is gone") {
  const TemporaryFolder folder;
  const Candidate candidate{folder.write("new", names(3)), folder / "copy", std::nullopt, false, true, 0, {}};
  const auto taken = take_copy(candidate);
  REQUIRE(taken.has_value());
  CHECK(taken->entries == 3);
  CHECK_FALSE(taken->is_same);
  CHECK(content_of(folder / "copy") == names(3));
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
}

TEST_CASE("what is no list leaves the copy alone") {
  const TemporaryFolder folder;
  folder.write("copy", names(3));
  const auto fault_of = [&](std::string_view text, std::optional<blocklist::ListFormat> format = std::nullopt) {
    const auto taken = take_copy({folder.write("new", text), folder / "copy", format, false, true, 3, {}});
    CHECK(content_of(folder / "copy") == names(3));
    CHECK_FALSE(std::filesystem::exists(folder / "new"));
    return taken ? std::string() : taken.error();
  };
  CHECK(fault_of("") == "it is empty");
  CHECK(fault_of(" \r\n\n\t") == "it is empty");
  CHECK(fault_of("<!doctype html>\n<html><body>log in</body></html>") == "it is a web page, not a list");
  CHECK(fault_of("\n  <html>\nads.example\n", blocklist::ListFormat::domains) == "it is a web page, not a list");
  CHECK_FALSE(fault_of("# moved to another place\n").empty());
  CHECK_FALSE(fault_of(R"({"error": "rate limit exceeded"})").empty());
  CHECK_FALSE(fault_of(std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03 binary", 18)).empty());
  CHECK_FALSE(fault_of("ads.example\nbad..one\nbad..two\n", blocklist::ListFormat::domains).empty());
  CHECK_FALSE(fault_of("# only comments\n", blocklist::ListFormat::hosts).empty());
  std::filesystem::remove(folder / "new");
  CHECK_FALSE(take_copy({folder / "new", folder / "copy", std::nullopt, false, true, 3, {}}).has_value());
}

TEST_CASE("a few bad lines are no reason to refuse a list") {
  const TemporaryFolder folder;
  const auto taken =
      take_copy({folder.write("new", names(5) + "bad..name\n"), folder / "copy", std::nullopt, false, true, 0, {}});
  REQUIRE(taken.has_value());
  CHECK(taken->entries == 5);
  CHECK(taken->problems == 1);
}

TEST_CASE("a list may shrink when it is known to be whole") {
  const TemporaryFolder folder;
  const auto shrinks_to = [&](int count, bool is_whole) {
    folder.write("copy", names(100));
    return take_copy({folder.write("new", names(count)), folder / "copy", std::nullopt, false, is_whole, 100, {}})
        .has_value();
  };
  CHECK(shrinks_to(1, true));
  CHECK(shrinks_to(50, false));
  CHECK_FALSE(shrinks_to(49, false));
  CHECK(content_of(folder / "copy") == names(100));
}

TEST_CASE("the same text leaves the very same file") {
  const TemporaryFolder folder;
  const auto copy = folder.write("copy", names(3));
  const auto time = std::filesystem::last_write_time(copy);
  const auto taken = take_copy({folder.write("new", names(3)), copy, std::nullopt, false, true, 3, {}});
  REQUIRE(taken.has_value());
  CHECK(taken->is_same);
  CHECK(std::filesystem::last_write_time(copy) == time);
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
}

TEST_CASE("notes come back as they were written") {
  const TemporaryFolder folder;
  const CopyNotes notes{"https://lists.example/a?b=\"c\"", "W/\"one\"", "Tue, 24 Nov 2026 10:00:00 GMT",
                        WallTime(seconds(1'795'000'000)),  1234,        56};
  REQUIRE(write_notes(folder / "notes.json", notes).has_value());
  CHECK(read_notes(folder / "notes.json") == notes);
  CopyNotes of_zone = notes;
  of_zone.soa = dns::SoaNumbers{4'000'000'000, 3600, 600, 86400};
  REQUIRE(write_notes(folder / "notes.json", of_zone).has_value());
  CHECK(read_notes(folder / "notes.json") == of_zone);
  CHECK_FALSE(std::filesystem::exists(folder / "notes.json.new"));
  CHECK_FALSE(write_notes(folder / "none" / "notes.json", notes).has_value());
}

TEST_CASE("notes that cannot be believed are none") {
  const TemporaryFolder folder;
  CHECK_FALSE(read_notes(folder / "absent").has_value());
  for (const char* text : {"", "null", "[]", "{", "{}", R"({"url": 3})", "\xff\xfe"})
    CHECK_FALSE(read_notes(folder.write("notes", text)).has_value());
  CHECK_FALSE(read_notes(folder.write("notes", R"({"url": ")" + std::string(20'000, 'x') + "\"}")).has_value());
  const auto odd = read_notes(folder.write(
      "notes",
      R"({"url": "u", "etag": "a\r\nX: y", "last_modified": 5, "fetched": 18446744073709551615, "octets": -1})"));
  REQUIRE(odd.has_value());
  CHECK(odd->etag.empty());
  CHECK(odd->last_modified.empty());
  CHECK(odd->fetched > WallTime{});
  CHECK(odd->octets == 0);
}

TEST_CASE("any list name makes a file name of its own") {
  CHECK(to_file_name("ads") == "ads");
  CHECK(to_file_name("Hagezi_pro-2") == "Hagezi_pro-2");
  CHECK(to_file_name("../../etc/passwd") == "%2E%2E%2F%2E%2E%2Fetc%2Fpasswd");
  CHECK(to_file_name("a b") == "a%20b");
  CHECK(to_file_name("a%20b") == "a%2520b");
  CHECK(to_file_name("ü") == "%C3%BC");
  const std::string longest(300, 'x');
  CHECK(to_file_name(longest + "1").size() < 130);
  CHECK(to_file_name(longest + "1") != to_file_name(longest + "2"));
}

TEST_CASE("A list that would block a name that must resolve is not taken, and the line is told") {
  const TemporaryFolder folder;
  const auto judged = [&](const std::string& text, bool subdomains = false) {
    const Candidate candidate{folder.write("new", text),
                              folder / "copy",
                              std::nullopt,
                              subdomains,
                              true,
                              0,
                              {*doline::dns::Name::parse("time.example"), *doline::dns::Name::parse("lists.example")}};
    const auto judgement = judge(candidate);
    return judgement ? std::string("taken") : judgement.error();
  };
  CHECK(judged("a.example\nb.example\n") == "taken");
  CHECK(judged("a.example\ntime.example\n") ==
        "it would block time.example, which must resolve (line 2: |time.example^)");
  CHECK(judged("||a.example^\n||example^\n") == "it would block time.example, which must resolve (line 2: ||example^)");
  CHECK(judged("||a.example^\n||example^\n@@||time.example^\n@@||lists.example^\n") == "taken");
  CHECK(judged("||a.example^\n/^lists\\./\n") ==
        "it would block lists.example, which must resolve (line 2: /^lists\\./)");
  CHECK(judged("||a.example^\n||time.example^$client=tv\n") == "taken");
  CHECK_FALSE(std::filesystem::exists(folder / "new.image"));
}

TEST_CASE("Whether a list would block a name that must resolve is judged as for an ordinary client") {
  const TemporaryFolder folder;
  const auto is_taken = [&](const std::string& text) {
    const Candidate candidate{folder.write("new", text),          folder / "copy", std::nullopt, false, true, 0,
                              {*dns::Name::parse("good.example")}};
    return judge(candidate).has_value();
  };
  CHECK_FALSE(is_taken("||good.example^$dnstype=A|AAAA\n"));
  CHECK_FALSE(is_taken("||good.example^$dnstype=A\n"));
  CHECK_FALSE(is_taken("||good.example^$dnstype=AAAA\n"));
  CHECK(is_taken("||good.example^$dnstype=TXT\n"));
  CHECK_FALSE(is_taken("||good.example^$important\n@@||good.example^\n"));
  CHECK(is_taken("||good.example^$important\n@@||good.example^$important\n"));
  CHECK_FALSE(is_taken("||good.example^\n@@||good.example^$client=10.0.0.9\n"));
  CHECK_FALSE(is_taken("||good.example^\n@@||good.example^$dnstype=TXT\n"));
  CHECK_FALSE(is_taken("||good.example^$client=~10.0.0.9\n"));
  CHECK_FALSE(is_taken("||good.example^$client=::/0\n"));
  CHECK_FALSE(is_taken("||good.example^$dnsrewrite=1.2.3.4\n"));
  CHECK(is_taken("||good.example^$dnsrewrite=1.2.3.4\n@@||good.example^$dnsrewrite\n"));
  CHECK(is_taken("||good.example^\n||good.example^$badfilter\n"));
  const std::string zone = "$ORIGIN rpz.example.\n@ SOA a. b. 1 1 1 1 1\n";
  CHECK_FALSE(is_taken(zone + "good.example CNAME .\n"));
  CHECK(is_taken(zone + "*.example CNAME .\ngood.example CNAME rpz-passthru.\n"));
  CHECK_FALSE(is_taken(zone + "0.0.0.0.0.rpz-client-ip CNAME .\n"));
}
