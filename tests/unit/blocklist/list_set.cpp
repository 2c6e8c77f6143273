#include "blocklist/list_set.h"

#include <doctest/doctest.h>

#include <cstring>
#include <set>

#include "blocklist/compile.h"
#include "blocklist/file_format.h"
#include "list_image.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::blocklist;
using doline::tests::content_of;
using doline::tests::seal;
using doline::tests::TemporaryFolder;

namespace {

std::shared_ptr<const ListSet> compiled(const TemporaryFolder& folder, const std::vector<ListInput>& inputs) {
  REQUIRE(compile(inputs, folder / "set").has_value());
  auto set = ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  return *set;
}

// `3:0,2 2:1`: labels of the listed name, then the lists, for each covering.
std::string answer(const ListSet& set, std::string_view name) {
  const auto parsed = dns::Name::parse(name);
  REQUIRE(parsed.has_value());
  const Listing listing = set.look_up(parsed->lowered());
  std::string text;
  for (const Covering& covering : listing.all()) {
    if (!text.empty()) text += " ";
    text += std::to_string(covering.labels);
    char separator = ':';
    for (const ListId list : set.lists_of(covering.set)) {
      text += separator + std::to_string(list.value);
      separator = ',';
    }
  }
  return text;
}

ListSetFault fault_of(const TemporaryFolder& folder, const std::string& octets, bool check_all = true) {
  const auto set = ListSet::open(folder.write("damaged", octets), check_all);
  REQUIRE_FALSE(set.has_value());
  return set.error();
}

}  // namespace

TEST_CASE("a look-up names the lists of the name and of every ancestor that covers it, longest first") {
  const TemporaryFolder folder;
  const auto set =
      compiled(folder, {
                           {"exact", folder.write("0", "ads.example\ndeep.ads.example\n"), {}, false},
                           {"below", folder.write("1", "ads.example\n"), {}, true},
                           {"wild", folder.write("2", "*.ads.example\n*.example\n"), {}, false},
                           {"hosts", folder.write("3", "0.0.0.0 ads.example deep.ads.example\n"), {}, false},
                       });
  CHECK(answer(*set, "ads.example") == "2:0,1,3 1:2");
  CHECK(answer(*set, "ADS.Example") == "2:0,1,3 1:2");
  CHECK(answer(*set, "deep.ads.example") == "3:0,3 2:1,2 1:2");
  CHECK(answer(*set, "x.ads.example") == "2:1,2 1:2");
  CHECK(answer(*set, "y.x.ads.example") == "2:1,2 1:2");
  CHECK(answer(*set, "other.example") == "1:2");
  CHECK(answer(*set, "example") == "");
  CHECK(answer(*set, "ads.example.org") == "");
  CHECK(answer(*set, "xads.test") == "");
  CHECK(answer(*set, ".") == "");
  CHECK(set->name_count() == 3);
}

TEST_CASE("ancestors with the same lists answer once, with the longest") {
  const TemporaryFolder folder;
  const auto set = compiled(folder, {{"below", folder.write("0", "example\na.example\nb.a.example\n"), {}, true}});
  CHECK(answer(*set, "c.b.a.example") == "3:0");
}

TEST_CASE("more coverings than an answer holds are cut to the longest") {
  const TemporaryFolder folder;
  std::vector<ListInput> inputs;
  std::string name = "x";
  for (std::size_t list = 0; list < coverings_max + 5; ++list) {
    inputs.push_back({"list", folder.write(std::to_string(list), name + "\n"), ListFormat::domains, true});
    name.insert(0, "x.");
  }
  const auto set = compiled(folder, inputs);
  const Listing listing = set->look_up(*dns::Name::parse(name));
  REQUIRE(listing.count == coverings_max);
  CHECK(listing.coverings[0].labels == coverings_max + 5);
  CHECK(listing.coverings[coverings_max - 1].labels == 6);
}

TEST_CASE("a name of 127 labels is looked up at every depth") {
  const TemporaryFolder folder;
  std::string deepest = "a";
  for (int label = 1; label < 127; ++label) deepest += ".a";
  const auto set = compiled(folder, {{"exact", folder.write("0", deepest + "\n"), {}, false},
                                     {"below", folder.write("1", "a\n"), ListFormat::domains, true}});
  CHECK(answer(*set, deepest) == "127:0 1:1");
  CHECK(answer(*set, deepest.substr(2)) == "1:1");
}

TEST_CASE("the set without lists answers nothing") {
  const auto none = ListSet::none();
  CHECK(none == ListSet::none());
  CHECK(answer(*none, "a.example") == "");
  CHECK(none->name_count() == 0);
  CHECK(none->list_count() == 0);
  CHECK(none->fingerprint() == 0);
  CHECK(none->lists_of(0).empty());
  CHECK(none->name_count(ListId{0}) == 0);
}

TEST_CASE("a set that is unlinked while mapped keeps answering") {
  const TemporaryFolder folder;
  const auto set = compiled(folder, {{"list", folder.write("0", "a.example\n"), {}, false}});
  std::filesystem::remove(folder / "set");
  CHECK(answer(*set, "a.example") == "2:0");
}

TEST_CASE("what is no list set is refused with its reason") {
  const TemporaryFolder folder;
  compiled(folder, {{"list", folder.write("0", "a.example\nb.example\n"), {}, false}});
  const std::string octets = content_of(folder / "set");

  CHECK(ListSet::open(folder / "missing").error() == ListSetFault::missing);
  CHECK(ListSet::open(folder.path()).error() == ListSetFault::unreadable);
  CHECK(fault_of(folder, "") == ListSetFault::not_a_list_set);
  CHECK(fault_of(folder, "short") == ListSetFault::not_a_list_set);
  CHECK(fault_of(folder, std::string(4096, 'x')) == ListSetFault::not_a_list_set);
  CHECK(fault_of(folder, octets.substr(0, octets.size() - 1), false) == ListSetFault::damaged);
  CHECK(fault_of(folder, octets + "x", false) == ListSetFault::damaged);
  CHECK(fault_of(folder, octets.substr(0, 600), false) == ListSetFault::damaged);

  std::string changed = octets;
  changed[offsetof(FileHeader, version)] = 1;
  CHECK(fault_of(folder, changed) == ListSetFault::other_version);
  changed = octets;
  std::swap(changed[8], changed[11]);
  CHECK(fault_of(folder, changed) == ListSetFault::other_version);

  std::set<std::string_view> texts;
  for (const ListSetFault fault : {ListSetFault::missing, ListSetFault::unreadable, ListSetFault::not_a_list_set,
                                   ListSetFault::other_version, ListSetFault::damaged}) {
    texts.insert(to_string(fault));
  }
  CHECK(texts.size() == 5);
}

TEST_CASE("any octet changed is noticed when all is checked, and a header or table at once") {
  const TemporaryFolder folder;
  compiled(folder, {{"list", folder.write("0", "a.example\n*.b.example\n"), {}, false}});
  const std::string octets = content_of(folder / "set");
  FileHeader header;
  std::memcpy(&header, octets.data(), sizeof header);
  std::size_t sections = 0;
  const auto section_at = [&](std::size_t at) -> const SectionEntry* {
    for (const SectionEntry& section : header.section) {
      if (at >= section.offset && at < section.offset + section.length) return &section;
    }
    return nullptr;
  };
  for (std::size_t at = 0; at < octets.size(); ++at) {
    const SectionEntry* section = section_at(at);
    if (at >= sizeof header && section == nullptr) continue;  // padding between sections
    ++sections;
    std::string changed = octets;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    const bool is_table = section == nullptr || section->kind > static_cast<std::uint32_t>(Section::rare);
    const auto set = ListSet::open(folder.write("changed", changed), !is_table);
    if (set.has_value()) FAIL_CHECK("octet " << at << " may be anything");
  }
  CHECK(sections > sizeof header + sizeof(Block));
}

TEST_CASE("what few names are said of is found beside the codes") {
  // All on list 0, three of them on another too: no bit a slot is worth that.
  const TemporaryFolder folder;
  std::string text;
  for (int number = 0; number < 2000; ++number) text += "host" + std::to_string(number) + ".example\n";
  const auto set = compiled(folder, {{"all", folder.write("0", text), {}, false},
                                     {"one", folder.write("1", "host7.example\nhost8.example\n"), {}, false},
                                     {"two", folder.write("2", "host8.example\nhost9.example\n"), {}, false}});
  FileHeader header;
  std::memcpy(&header, content_of(folder / "set").data(), sizeof header);
  CHECK(header.code_bits == 0);
  CHECK(header.section[static_cast<std::size_t>(Section::rare) - 1].length == 3 * sizeof(RareStatement));
  CHECK(answer(*set, "host6.example") == "2:0");
  CHECK(answer(*set, "host7.example") == "2:0,1");
  CHECK(answer(*set, "host8.example") == "2:0,1,2");
  CHECK(answer(*set, "host9.example") == "2:0,2");
}

TEST_CASE("a file that lies with right checksums is refused or answers without harm") {
  const TemporaryFolder folder;
  std::string text;
  for (int number = 0; number < 40; ++number) text += std::to_string(number) + ".example\n";
  compiled(folder,
           {{"list", folder.write("0", text), {}, false}, {"wild", folder.write("1", "*.example\n"), {}, false}});
  const std::string octets = content_of(folder / "set");
  int answered = 0;
  for (std::size_t at = 16; at < octets.size(); ++at) {
    for (const int value : {0x00, 0x7f, 0xff}) {
      std::vector<std::uint8_t> changed(octets.begin(), octets.end());
      changed[at] = static_cast<std::uint8_t>(value);
      seal(changed);
      const auto set = ListSet::open(folder.write("lies", std::string(changed.begin(), changed.end())), true);
      if (!set) continue;
      for (const char* name : {"7.example", "x.example", "example", "a.b.c.d"}) {
        const Listing listing = (*set)->look_up(*dns::Name::parse(name));
        for (const Covering& covering : listing.all()) {
          for (const ListId list : (*set)->lists_of(covering.set))
            answered += list.value < (*set)->list_count() ? 1 : 0;
        }
      }
    }
  }
  CHECK(answered > 0);
}

TEST_CASE("name servers stand apart: by their names and by their addresses, the longest prefix first") {
  const TemporaryFolder folder;
  const auto set =
      compiled(folder, {{"zone",
                         folder.write("0",
                                      "$ORIGIN z.\n@ SOA a. b. 1 2 3 4 5\nns.example.rpz-nsdname CNAME .\n"
                                      "*.host.example.rpz-nsdname CNAME *.\n24.0.2.0.192.rpz-nsip CNAME .\n"
                                      "32.7.2.0.192.rpz-nsip CNAME *.\n32.8.2.0.192.rpz-ip CNAME .\n* CNAME *.\n"),
                         ListFormat::rpz, false}});
  const auto server = [&](std::string_view name) { return set->look_up_server(*dns::Name::parse(name)).count; };
  CHECK(server("ns.example") == 1);
  CHECK(server("a.ns.example") == 0);
  CHECK(server("host.example") == 0);
  CHECK(server("a.b.host.example") == 1);
  CHECK(server("www.example") == 0);  // `*` covers what is asked for, not its servers
  CHECK(set->look_up(*dns::Name::parse("ns.example")).count == 1);
  CHECK(set->lists_servers());
  CHECK(set->lists_server_addresses());
  const auto address = [](std::string_view text) { return *IpAddress::parse(text); };
  const std::vector<IpAddress> several{address("192.0.2.1"), address("192.0.2.7"), address("192.0.2.8")};
  const Listing of_servers = set->look_up_server(several);
  REQUIRE(of_servers.count == 2);
  const ListRule* first = set->word(set->words_of(of_servers.coverings[0].set)[0]).rule;
  REQUIRE(first != nullptr);
  CHECK(to_string(*first) == "$dnsrewrite=NOERROR;;");
  CHECK(set->look_up_answer(several).count == 1);
  CHECK(set->look_up_server(std::span(several).first(1)).count == 1);
  CHECK(set->look_up_client(address("192.0.2.7")).is_empty());
  const std::string longest(63, 'a');
  CHECK(server(longest + '.' + longest + '.' + longest + '.' + std::string(60, 'b')) == 0);

  const auto without = compiled(folder, {{"plain", folder.write("1", "a.example\n"), {}, false}});
  CHECK_FALSE(without->lists_servers());
}
