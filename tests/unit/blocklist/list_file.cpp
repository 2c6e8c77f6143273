#include "blocklist/list_file.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "blocklist/line_reader.h"

using namespace doline;
using namespace doline::blocklist;

namespace {

struct Read {
  std::vector<Entry> entries;
  std::vector<LineProblem> problems;
  ReadResult result;
};

Read read(std::string_view text, ListFormat format, bool subdomains = false) {
  Read read;
  read.result = read_list(
      text, format, subdomains, [&](const Entry& entry) { read.entries.push_back(entry); },
      [&](const LineProblem& problem) { read.problems.push_back(problem); });
  CHECK(read.result.entries == read.entries.size());
  CHECK(read.result.problems == read.problems.size());
  return read;
}

std::string names_of(const Read& read) {
  std::string names;
  for (const Entry& entry : read.entries) names += entry.name.to_string() + " ";
  return names;
}

LineProblem problem_of(std::string_view text, ListFormat format) {
  const Read all = read(text, format);
  CHECK(all.entries.empty());
  REQUIRE(all.problems.size() == 1);
  return all.problems[0];
}

dns::Name name(std::string_view text) {
  const auto parsed = dns::Name::parse(text);
  REQUIRE(parsed.has_value());
  return *parsed;
}

}  // namespace

TEST_CASE("a hosts line lists every name behind its address, exactly that name") {
  const Read all = read("0.0.0.0 ads.example\n::  b.example\tc.example # why\n127.0.0.1 d.example", ListFormat::hosts);
  CHECK(names_of(all) == "ads.example b.example c.example d.example ");
  CHECK(all.problems.empty());
  CHECK(all.result.lines == 3);
  CHECK(all.entries[2].line == 2);
  for (const Entry& entry : all.entries) {
    CHECK(entry.covers_name);
    CHECK_FALSE(entry.covers_below);
  }
}

TEST_CASE("the preamble of a hosts file gives no entry and no problem") {
  const Read all = read(
      "127.0.0.1 localhost\n127.0.0.1 localhost.localdomain\n127.0.0.1 local\n255.255.255.255 broadcasthost\n"
      "::1 localhost\n::1 ip6-localhost\n::1 ip6-loopback\nfe80::1%lo0 localhost\nff00::0 ip6-localnet\n"
      "ff00::0 ip6-mcastprefix\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\nff02::3 ip6-allhosts\n0.0.0.0 0.0.0.0\n"
      "0.0.0.0 localhost.example\n",
      ListFormat::hosts);
  CHECK(names_of(all) == "localhost.example ");
  CHECK(all.problems.empty());
}

TEST_CASE("a line of a domain list lists its name, and the names below where the list says so") {
  const Read exact = read("a.example\n*.b.example\n", ListFormat::domains);
  CHECK(names_of(exact) == "a.example b.example ");
  CHECK((exact.entries[0].covers_name && !exact.entries[0].covers_below));
  CHECK((!exact.entries[1].covers_name && exact.entries[1].covers_below));
  const Read below = read("a.example\n*.b.example\n", ListFormat::domains, true);
  CHECK((below.entries[0].covers_name && below.entries[0].covers_below));
  CHECK((!below.entries[1].covers_name && below.entries[1].covers_below));
}

TEST_CASE("case, final dots, blanks, carriage returns, byte order marks and comments do not matter") {
  const Read all = read(
      "\xef\xbb\xbf"
      "A.Example.\r\n  b.example  \r\n\tc.example#why\r\n# d\r\n\r\n   \r\n! e\n; f\n_dmarc.g-h.example",
      ListFormat::domains);
  CHECK(names_of(all) == "a.example b.example c.example _dmarc.g-h.example ");
  CHECK(all.problems.empty());
  CHECK(all.result.lines == 9);
}

TEST_CASE("a line that gives no name is reported with line, column and reason") {
  CHECK(problem_of("\n\n  1.2.3.4\n", ListFormat::domains).line == 3);
  CHECK(problem_of("\n\n  1.2.3.4\n", ListFormat::domains).column == 3);
  CHECK(problem_of("1.2.3.4", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("1.2.3.4:8080", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("1.2.3.0/24", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("2001:db8::1", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("[2001:db8::1]:53", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("1.2.3", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("a.example/path", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("a.example/path", ListFormat::domains).column == 10);
  CHECK(problem_of("a.example:8080", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("http://a.example", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("||a.example^", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("a..example", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of(".example", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("m\xc3\xbcller.example", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("two names.example", ListFormat::domains).fault == LineFault::bad_name);
  CHECK(problem_of("two names.example", ListFormat::domains).column == 5);
  CHECK(problem_of("0.0.0.0 a.example", ListFormat::domains).fault == LineFault::an_address);
  CHECK(problem_of("*.", ListFormat::domains).fault == LineFault::no_name);
  CHECK(problem_of(".", ListFormat::domains).fault == LineFault::no_name);
  CHECK(problem_of(std::string_view("a\0b.example", 11), ListFormat::domains).fault == LineFault::not_text);
  CHECK(problem_of("a.example", ListFormat::hosts).fault == LineFault::bad_name);
  CHECK(problem_of("0.0.0.0", ListFormat::hosts).fault == LineFault::no_name);
  CHECK(problem_of("0.0.0.0 # a.example", ListFormat::hosts).fault == LineFault::no_name);
  CHECK(problem_of("0.0.0.0 1.2.3.4", ListFormat::hosts).fault == LineFault::an_address);
  CHECK(problem_of("0.0.0.0 *.a.example", ListFormat::hosts).fault == LineFault::bad_name);
}

TEST_CASE("a bad name on a hosts line does not cost the others") {
  const Read all = read("0.0.0.0 a.example b|c d.example\n", ListFormat::hosts);
  CHECK(names_of(all) == "a.example d.example ");
  REQUIRE(all.problems.size() == 1);
  CHECK(all.problems[0].column == 20);
}

TEST_CASE("labels of 63 and names of 253 octets are the longest") {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  REQUIRE(longest.size() == 253);
  CHECK(names_of(read(longest, ListFormat::domains)) == longest + " ");
  CHECK(problem_of(longest + "b", ListFormat::domains).fault == LineFault::too_long);
  CHECK(problem_of(label + "a.example", ListFormat::domains).fault == LineFault::too_long);
  CHECK(problem_of("a." + label + "a", ListFormat::domains).fault == LineFault::too_long);
}

TEST_CASE("a line beyond the limit is one problem and the next line is read") {
  const std::string line(line_octets_max + 1, 'x');
  const Read all = read("a.example\n" + line + "\nb.example\n", ListFormat::domains);
  CHECK(names_of(all) == "a.example b.example ");
  REQUIRE(all.problems.size() == 1);
  CHECK(all.problems[0].fault == LineFault::too_long);
  CHECK(all.problems[0].line == 2);
}

TEST_CASE("a text read in pieces gives what it gives in one") {
  std::string text =
      "\xef\xbb\xbf"
      "a.example\r\n\n# x\nbad|name\n" +
      std::string(3 * line_octets_max, 'y') + "\nb.example\nc.example";
  const Read whole = read(text, ListFormat::domains);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, line_octets_max, text.size()}) {
    LineReader reader(ListFormat::domains, false);
    std::string names;
    std::vector<std::uint32_t> problem_lines;
    std::string held;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      held += text.substr(at, piece);
      const bool last = at + piece >= text.size();
      const std::size_t used = reader.read(
          held, last,
          [&](const ListedName& listed) {
            names += dns::Name::from_wire(listed.wire)->to_string() + " ";
            return true;
          },
          [](const ListedRule&) { return true; },
          [&](const LineProblem& problem) { problem_lines.push_back(problem.line); });
      held.erase(0, used);
      CHECK(held.size() <= line_octets_max);
    }
    CHECK(held.empty());
    CHECK(names == names_of(whole));
    CHECK(reader.result().lines == whole.result.lines);
    CHECK(reader.result().problems == whole.result.problems);
    CHECK(problem_lines == std::vector<std::uint32_t>{4, 5});
  }
}

TEST_CASE("hosts files and domain lists are recognised") {
  CHECK(recognise("# title\n\n0.0.0.0 a.example\n") == ListFormat::hosts);
  CHECK(recognise("127.0.0.1 localhost\n::1 localhost\n0.0.0.0 a.example\n") == ListFormat::hosts);
  CHECK(recognise("\xef\xbb\xbf# title\r\na.example\r\n*.b.example") == ListFormat::domains);
  CHECK(recognise("1.2.3.4\n1.2.3.5\n1.2.3.6\na.example\nb.example\n") == ListFormat::domains);
}

TEST_CASE("what is no list is not recognised") {
  CHECK_FALSE(recognise(""));
  CHECK(why_unrecognised("") == "is empty");
  CHECK(why_unrecognised("PK\3\4\24") == "is packed with zip; gz, xz and zst are read");
  CHECK(why_unrecognised("BZh91AY") == "is packed with bzip2; gz, xz and zst are read");
  CHECK(why_unrecognised("<html>").find("`format`") != std::string::npos);
  CHECK_FALSE(recognise("\n\n# only comments\n"));
  CHECK_FALSE(recognise("<!DOCTYPE html>\n<html><body>a.example</body></html>\n"));
  CHECK_FALSE(recognise("\n  <html>\na.example\nb.example\nc.example\n"));
  CHECK_FALSE(recognise("{\"message\": \"Not Found\"}"));
  CHECK_FALSE(recognise("404: Not Found"));
  CHECK_FALSE(recognise("Forbidden\n"));
  CHECK_FALSE(recognise("The page you asked for\nhas moved to another place\nwww.example.org\n"));
  CHECK_FALSE(recognise(std::string_view("a.example\nb.ex\0ample\n", 21)));
  CHECK_FALSE(recognise("\x1f\x8b\x08 gzip"));
}

TEST_CASE("a list's format is told from its lines") {
  CHECK(recognise("[Adblock Plus 2.0]\n||a.example^\n") == ListFormat::adblock);
  CHECK(recognise("||a.example^\n||b.example^\n") == ListFormat::adblock);
  CHECK(recognise("||ads.example^\n@@||good.example^\n") == ListFormat::adblock);
  CHECK(recognise("! plain names with a rule\na.example\nb.example\n||c.example^$important\n") == ListFormat::adblock);
  CHECK(recognise("server=/a.example/\nserver=/b.example/\n") == ListFormat::dnsmasq);
  CHECK(recognise("# all\naddress=/a.example/#\n") == ListFormat::dnsmasq);
  CHECK(recognise("server:\nlocal-zone: \"a.example\" always_nxdomain\n") == ListFormat::unbound);
  CHECK(recognise("$TTL 60\n@ IN SOA a. b. 1 2 3 4 5\na.example CNAME .\n") == ListFormat::rpz);
  CHECK(recognise("@ IN SOA a. b. (\n 1\n 2 3 4\n 5 )\n NS a.\na.example IN CNAME .\nb.example IN CNAME .\n") ==
        ListFormat::rpz);
  CHECK(recognise("; title\na.example CNAME .\n") == ListFormat::rpz);
  CHECK(recognise("1.2.3.4\n1.2.3.5\n2001:db8::/32\n") == ListFormat::addresses);
  CHECK(recognise("# title\n(^|\\.)ads\\.example$\n^stats[0-9]+\\.\n") == ListFormat::regex);
  CHECK(recognise("^ads;querytype=A\n(^|\\.)b;reply=nxdomain\n^c;Reply=192.0.2.1;reply=::1\n") == ListFormat::regex);
  CHECK_FALSE(recognise("foo(bar);\nbaz(1);\n"));
  CHECK(recognise("*.a.example\n*.b.example\n") == ListFormat::wildcard);
}

TEST_CASE("the line that covers a name is found, the first of several") {
  const std::string text = "# title\na.example\nb.example\n*.c.example\nsub.b.example\n";
  const auto line_of = [&](std::string_view asked, bool subdomains) -> std::uint32_t {
    const auto found = find_lines(text, ListFormat::domains, subdomains, name(asked));
    return found.empty() ? 0 : found[0].line;
  };
  CHECK(line_of("A.EXAMPLE", false) == 2);
  CHECK(line_of("x.a.example", false) == 0);
  CHECK(line_of("x.a.example", true) == 2);
  CHECK(line_of("xa.example", true) == 0);
  CHECK(line_of("c.example", false) == 0);
  CHECK(line_of("x.y.c.example", false) == 4);
  CHECK(line_of("sub.b.example", false) == 5);
  CHECK(line_of("sub.b.example", true) == 3);
  CHECK(find_lines(text, ListFormat::domains, true, name("sub.b.example")).size() == 2);
  CHECK(line_of("example", true) == 0);
  CHECK(find_lines(text, ListFormat::domains, true, name("x.a.example")).at(0).name == name("a.example"));
}

TEST_CASE("a label that ends like a listed name is not below it") {
  // The listed name's octets, length octets included, stand inside one label of the name asked for.
  std::vector<std::uint8_t> wire{10, 'x', 'x', 1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 3, 'c', 'o', 'm', 0};
  const auto asked = dns::Name::from_wire(wire);
  REQUIRE(asked.has_value());
  CHECK(find_lines("com\n", ListFormat::domains, true, *asked).size() == 1);
  CHECK(find_lines("p.com\n", ListFormat::domains, true, *asked).empty());
  wire = {5, 'x', 1, 'a', 1, 'b', 0};
  const auto tricky = dns::Name::from_wire(wire);
  REQUIRE(tricky.has_value());
  CHECK(find_lines("a.b\n", ListFormat::domains, true, *tricky).empty());
  CHECK(find_lines("b\n", ListFormat::domains, true, *tricky).empty());
}

TEST_CASE("the lines that speak of an address are found, by whose it is") {
  const std::string text =
      "$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\n32.1.2.0.192.rpz-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME *.\n"
      "32.1.2.0.192.rpz-client-ip CNAME .\n48.zz.1.db8.2001.rpz-nsip CNAME .\nwww.example CNAME .\n";
  const auto lines_of = [&](Listed of, const char* asked) {
    std::vector<std::uint32_t> lines;
    for (const Entry& entry : find_lines(text, ListFormat::rpz, of, *IpAddress::parse(asked)))
      lines.push_back(entry.line);
    return lines;
  };
  using Lines = std::vector<std::uint32_t>;
  CHECK(lines_of(Listed::answer_address, "192.0.2.1") == Lines{3, 4});
  CHECK(lines_of(Listed::answer_address, "192.0.2.2") == Lines{4});
  CHECK(lines_of(Listed::client_address, "192.0.2.1") == Lines{5});
  CHECK(lines_of(Listed::client_address, "192.0.2.2").empty());
  CHECK(lines_of(Listed::server_address, "2001:db8:1:2::3") == Lines{6});
  CHECK(lines_of(Listed::answer_address, "2001:db8:1:2::3").empty());
  CHECK(lines_of(Listed::name, "192.0.2.1").empty());
}

TEST_CASE("formats and faults have names") {
  for (std::size_t at = 0; at < list_formats; ++at) {
    const auto format = static_cast<ListFormat>(at);
    CHECK(parse_list_format(to_string(format)) == format);
  }
  CHECK_FALSE(parse_list_format("adguard"));
  std::set<std::string_view> texts;
  for (std::size_t at = 0; at < line_faults; ++at) texts.insert(to_string(static_cast<LineFault>(at)));
  CHECK(texts.size() == line_faults);
  CHECK_FALSE(texts.contains("?"));
}

TEST_CASE("the shipped telemetry list is without problems and lists no name twice") {
  std::ifstream file(DOLINE_SOURCE_DIR "/blocklists/device-telemetry.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(recognise(text) == ListFormat::domains);
  const Read all = read(text, ListFormat::domains);
  for (const LineProblem& problem : all.problems)
    FAIL_CHECK("line " << problem.line << ": " << to_string(problem.fault));
  CHECK(all.entries.size() >= 190);
  std::set<std::string> seen;
  for (const Entry& entry : all.entries) {
    if (!seen.insert(entry.name.to_string()).second) FAIL_CHECK("line " << entry.line << " lists a name again");
  }
}
