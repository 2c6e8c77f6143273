// What must hold for every list: the compiled set says of each name what a plain map of the same lists says.
#include <doctest/doctest.h>
#include <stdio.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "blocklist/compile.h"
#include "blocklist/file_format.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::blocklist;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

std::mt19937_64 seeded(std::uint64_t& seed) {
  const char* given = std::getenv("DOLINE_SEED");
  seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  return std::mt19937_64(seed);
}

std::shared_ptr<const ListSet> compiled(const std::vector<ListInput>& inputs, const std::filesystem::path& target) {
  REQUIRE(compile(inputs, target).has_value());
  auto set = ListSet::open(target, true);
  REQUIRE(set.has_value());
  return *set;
}

dns::Name name_of(std::string_view text) {
  const auto name = dns::Name::parse(text);
  if (!name) FAIL(text << " is no name");  // counted only then: there are millions
  return *name;
}

// Few labels, so that names repeat and lie below each other.
std::string random_name(std::mt19937_64& random, std::size_t labels_max) {
  std::string name;
  const std::size_t labels = 1 + random() % labels_max;
  for (std::size_t label = 0; label < labels; ++label) {
    if (label > 0) name += '.';
    name += static_cast<char>('a' + random() % 4);
    if (random() % 8 == 0) name += static_cast<char>('0' + random() % 10);
  }
  return name;
}

// ── the real lists ───────────────────────────────────────────────────────────────────────────────────────────────────

std::filesystem::path shared_data() {
  const char* given = std::getenv("DOLINE_SHARED");
  return std::filesystem::path(given != nullptr ? given : DOLINE_SOURCE_DIR "/../shared") / "data";
}

struct RealList {
  std::filesystem::path file;  // unpacked
  std::string published;       // its path in the README
};

std::vector<RealList> unpack_lists(const std::filesystem::path& data, const TemporaryFolder& folder,
                                   std::initializer_list<const char*> kinds) {
  std::vector<RealList> lists;
  for (const char* kind : kinds) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(data / "lists" / kind, ignored)) {
      RealList list{entry.path(), "lists/" + std::string(kind) + "/" + entry.path().filename().string()};
      if (entry.path().extension() == ".xz") {
        list.file = folder / entry.path().stem().string();
        const std::string command = "xz -dc '" + entry.path().string() + "' > '" + list.file.string() + "'";
        FILE* xz = ::popen(command.c_str(), "r");
        REQUIRE(xz != nullptr);
        REQUIRE(::pclose(xz) == 0);
      }
      lists.push_back(std::move(list));
    }
  }
  std::sort(lists.begin(), lists.end(),
            [](const RealList& left, const RealList& right) { return left.published < right.published; });
  return lists;
}

// Names by the README's own rule, read by other code than the room's.
template <class OnName>
void each_name(const std::filesystem::path& file, bool is_hosts, OnName&& on_name) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    line.resize(std::min(line.find('#'), line.size()));
    std::istringstream words(line);
    std::string word;
    if (is_hosts && !(words >> word)) continue;
    if (is_hosts && word.find_first_not_of("0123456789abcdefABCDEF.:%lo") != std::string::npos) continue;
    std::string rest;
    if (!is_hosts && (!(words >> word) || words >> rest)) continue;
    if (!is_hosts) words = std::istringstream(word);
    while (words >> word) {
      std::transform(word.begin(), word.end(), word.begin(), [](unsigned char octet) { return std::tolower(octet); });
      if (word.ends_with('.')) word.pop_back();
      if (word.empty() || word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-.") != std::string::npos)
        continue;
      if (word.find_first_not_of("0123456789.") == std::string::npos) continue;
      if (word.find("..") != std::string::npos || word.front() == '.') continue;
      if (!dns::Name::parse(word)) continue;  // an onion name with a label of 69 octets
      static const std::array<std::string_view, 12> kin{
          "localhost",    "localhost.localdomain", "local",        "broadcasthost",  "ip6-localhost", "ip6-loopback",
          "ip6-localnet", "ip6-mcastprefix",       "ip6-allnodes", "ip6-allrouters", "ip6-allhosts",  "0.0.0.0"};
      if (std::find(kin.begin(), kin.end(), word) == kin.end()) on_name(word);
    }
  }
}

// The names that lines of the other formats list without a condition, by the obvious reading of each and by other code
// than the room's. `on_name(name, is_itself, is_below)` is told what is listed: it, what is below it, or both.
template <class OnName>
void each_name_of(ListFormat format, const std::filesystem::path& file, OnName&& on_name) {
  if (format == ListFormat::hosts) {
    each_name(file, true, [&](const std::string& name) { on_name(name, true, false); });
    return;
  }
  static constexpr std::array<std::string_view, 4> triggers{".rpz-ip", ".rpz-client-ip", ".rpz-nsdname", ".rpz-nsip"};
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (format == ListFormat::domains) line.resize(std::min(line.find('#'), line.size()));
    std::string name, rest;
    bool is_itself = true;
    bool is_below = true;
    // Takes the name between what the line begins with and the next of those octets.
    const auto cut = [&](std::string_view begin, std::string_view ends) {
      if (!line.starts_with(begin)) return false;
      const std::size_t end = std::min(line.find_first_of(ends, begin.size()), line.size());
      name = line.substr(begin.size(), end - begin.size());
      rest = line.substr(end);
      return true;
    };
    if (format == ListFormat::adblock) {
      if (!cut("||", "^/")) {
        is_below = cut(".", "^") || cut("://*.", "^");
        is_itself = !is_below && cut("|", "^");
        if (!is_below && !is_itself) continue;
      }
      if (rest != "^" && (!is_below || !is_itself || (rest != "" && rest != "/"))) continue;
    } else if (format == ListFormat::dnsmasq) {
      if (!cut("address=/", "/") && !cut("server=/", "/")) continue;
    } else if (format == ListFormat::unbound) {
      if (!cut("local-zone: \"", "\"")) continue;
    } else if (format == ListFormat::rpz) {
      std::istringstream words(line);
      std::string type, target;
      if (line.empty() || line[0] == ' ' || line[0] == '\t' || !(words >> name >> type)) continue;
      if (type == "IN") words >> type;
      if (type != "CNAME" || !(words >> target) || target != ".") continue;
    } else {
      name = line.substr(0, line.find_last_not_of(" \t") + 1);
    }
    if (format == ListFormat::rpz || format == ListFormat::domains || format == ListFormat::wildcard) {
      is_below = name.starts_with("*.");
      is_itself = !is_below;
      if (is_below) name.erase(0, 2);
    }
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char octet) { return std::tolower(octet); });
    if (name.ends_with('.') && format != ListFormat::adblock) name.pop_back();
    if (std::ranges::any_of(triggers, [&](std::string_view trigger) { return name.ends_with(trigger); })) continue;
    if (name.ends_with('.') || name.empty() ||
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-.") != std::string::npos)
      continue;
    if (name.find_first_not_of("0123456789.") == std::string::npos) continue;
    if ((name.size() > 63 || name[0] == '.' || name.find("..") != std::string::npos) && !dns::Name::parse(name))
      continue;
    on_name(name, is_itself, is_below);
  }
}

// `| `lists/hosts/x` | what | 42,358 names | ...`
std::map<std::string, std::uint64_t> published_counts(const std::filesystem::path& readme) {
  std::map<std::string, std::uint64_t> counts;
  std::ifstream stream(readme);
  std::string line;
  while (std::getline(stream, line)) {
    const std::size_t begin = line.find("`lists/");
    const std::size_t end = line.find('`', begin + 1);
    const std::size_t names = line.rfind(" names |");
    if (begin == std::string::npos || names == std::string::npos || end > names) continue;
    std::string digits = line.substr(line.rfind('|', names) + 1, names - line.rfind('|', names) - 1);
    digits.erase(
        std::remove_if(digits.begin(), digits.end(), [](unsigned char octet) { return std::isdigit(octet) == 0; }),
        digits.end());
    counts[line.substr(begin + 1, end - begin - 1)] = std::strtoull(digits.c_str(), nullptr, 10);
  }
  return counts;
}

// One bit a list.
using Reference = std::unordered_map<std::string, std::uint64_t>;

void check_lists(const ListSet& set, const Reference& reference) {
  std::uint64_t wrong = 0;
  for (const auto& [name, lists] : reference) {
    std::uint64_t found = 0;
    const auto lowered = name_of(name);
    const Listing listing = set.look_up(lowered, set.seek(lowered));
    for (const Covering& covering : listing.all()) {
      for (const ListId list : set.lists_of(covering.set)) found |= std::uint64_t{1} << list.value;
    }
    if (found != lists && ++wrong < 10) FAIL_CHECK(name << " is on " << lists << ", found on " << found);
  }
  CHECK(wrong == 0);
}

void check_unlisted(const ListSet& set, const Reference& reference, std::uint64_t wanted) {
  // Listed names with one more label, with one letter changed, and names made of nothing.
  std::uint64_t seed = 0;
  std::mt19937_64 random = seeded(seed);
  CAPTURE(seed);
  std::uint64_t asked = 0;
  std::uint64_t wrong = 0;
  const auto ask = [&](const std::string& name) {
    if (reference.contains(name)) return;
    ++asked;
    if (!set.look_up(name_of(name)).is_empty() && ++wrong < 10) FAIL_CHECK(name << " is not listed");
  };
  while (asked < wanted) {
    for (const auto& [name, lists] : reference) {
      if (asked >= wanted) break;
      if (name.size() < 240) ask("x" + std::to_string(random() % 10) + "." + name);
      std::string changed = name;
      char& letter = changed[random() % changed.size()];
      if (letter != '.') letter = letter == 'q' ? 'z' : 'q';
      ask(changed);
      ask(random_name(random, 6) + std::to_string(random()) + ".example");
    }
  }
  CHECK(wrong == 0);
}

// How far counts of what falls into 4096 boxes are from chance, in standard deviations (chi squared).
template <class BoxOf>
double unevenness(const std::vector<NameKey>& keys, BoxOf&& box_of) {
  std::vector<double> counts(4096);
  for (const NameKey& key : keys) ++counts[box_of(key) % counts.size()];
  const double expected = static_cast<double>(keys.size()) / static_cast<double>(counts.size());
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  const auto freedom = static_cast<double>(counts.size() - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

// Of the 32 bits that are left of each.
std::uint64_t equal_pairs(std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  std::uint64_t pairs = 0;
  for (std::size_t at = 1; at < values.size(); ++at) pairs += values[at] == values[at - 1] ? 1 : 0;
  return pairs;
}

}  // namespace

TEST_CASE("keys of names that hardly differ are spread as random numbers are") {
  std::uint64_t number = 0;
  std::mt19937_64 random = seeded(number);
  CAPTURE(number);
  constexpr std::size_t count = std::size_t{1} << 19;
  const auto letters_of = [](std::size_t name, std::size_t letters) {
    std::string text;
    for (std::size_t letter = 0; letter < letters; ++letter, name /= 26) text += static_cast<char>('a' + name % 26);
    return text;
  };
  const std::vector<std::function<std::string(std::size_t)>> kinds{
      [&](std::size_t name) { return letters_of(name, 5); },
      [&](std::size_t name) { return letters_of(name, 5) + ".de"; },
      [](std::size_t name) { return std::to_string(name) + ".example"; },
      [](std::size_t name) { return "www.site" + std::to_string(name) + ".co.uk"; },
      [](std::size_t name) {
        return "tracker" + std::to_string(name) + ".ads" + std::to_string(name % 997) + ".of.a.name.that.goes.on.test";
      },
      [](std::size_t name) {
        std::string bits = "aaaaaaaaaaaaaaaaaaa.example";
        for (std::size_t bit = 0; bit < 19; ++bit) bits[bit] = static_cast<char>(bits[bit] + (name >> bit & 1));
        return bits;
      },
  };
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    CAPTURE(kind);
    const Seed seed{random(), random()};
    std::vector<NameKey> keys;
    for (std::size_t name = 0; name < count; ++name) {
      const dns::Name parsed = name_of(kinds[kind](name));
      keys.push_back(key_of(parsed.wire().first(parsed.size() - 1), seed));
    }
    // Nine standard deviations: not in the lifetime of this test.
    CHECK(std::abs(unevenness(keys, [](const NameKey& key) { return key.place >> 52; })) < 9);
    CHECK(std::abs(unevenness(keys, [](const NameKey& key) { return key.tag; })) < 9);
    CHECK(std::abs(unevenness(keys, [](const NameKey& key) { return key.tag >> 36; })) < 9);
    CHECK(std::abs(unevenness(keys, [](const NameKey& key) { return key.kind() << 7 | (key.tag & 0x7f); })) < 9);
    CHECK(std::abs(unevenness(keys, [](const NameKey& key) { return key.place >> 58 << 6 | key.tag >> 42; })) < 9);
    std::vector<std::uint64_t> ends, beginnings, mixed;
    for (const NameKey& key : keys) {
      ends.push_back(key.tag & 0xffffffff);
      beginnings.push_back(key.tag >> 16);
      mixed.push_back(key.place >> 48 << 16 | (key.tag & 0xffff));
    }
    // 2^19 values of 32 bits make 32 equal pairs.
    for (const auto& values : {ends, beginnings, mixed}) CHECK(equal_pairs(values) < 100);
  }
}

TEST_CASE("a list is a set: order and repetition of lines do not matter, of rules neither") {
  std::uint64_t seed = 0;
  std::mt19937_64 random = seeded(seed);
  CAPTURE(seed);
  const TemporaryFolder folder;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> lines;
    const std::size_t count = random() % 2000;
    const ListFormat format = random() % 2 == 0 ? ListFormat::domains : ListFormat::adblock;
    static constexpr std::array<std::string_view, 8> rules{"",
                                                           "",
                                                           "$important",
                                                           "$badfilter",
                                                           "$dnsrewrite=192.0.2.1",
                                                           "$dnsrewrite=192.0.2.2",
                                                           "$dnsrewrite=REFUSED;;",
                                                           "$dnsrewrite=other.example"};
    for (std::size_t line = 0; line < count; ++line) {
      const std::string name = random_name(random, 5);
      if (format == ListFormat::domains)
        lines.push_back((random() % 4 == 0 ? "*." : "") + name);
      else
        lines.push_back((random() % 8 == 0 ? "@@" : "") + std::string(random() % 4 == 0 ? "|" : "||") + name + '^' +
                        std::string(rules[random() % rules.size()]));
    }
    const auto text_of = [&] {
      std::string text;
      for (const std::string& line : lines) text += line + "\n";
      return text;
    };
    const bool subdomains = random() % 2 != 0;
    REQUIRE(compile({{"list", folder.write("list", text_of()), format, subdomains}}, folder / "set").has_value());
    const std::string octets = content_of(folder / "set");
    const std::size_t repeated = lines.size();
    for (std::size_t line = 0; line < repeated; line += 1 + random() % 3) lines.push_back(lines[line]);
    std::shuffle(lines.begin(), lines.end(), random);
    REQUIRE(compile({{"list", folder.write("list", text_of()), format, subdomains}}, folder / "set").has_value());
    // The header alone tells of the file that was read: its fingerprint.
    CHECK(content_of(folder / "set").substr(sizeof(FileHeader)) == octets.substr(sizeof(FileHeader)));
  }
}

TEST_CASE("a look-up says what a map of names and ancestors says, and explain finds a line for exactly the same") {
  std::uint64_t seed = 0;
  std::mt19937_64 random = seeded(seed);
  CAPTURE(seed);
  const TemporaryFolder folder;
  for (int round = 0; round < 10; ++round) {
    const std::size_t list_count = 1 + random() % 5;
    std::vector<ListInput> inputs;
    std::vector<std::string> texts;
    std::map<std::string, std::vector<ListId>> named;
    std::map<std::string, std::vector<ListId>> below;
    for (std::size_t list = 0; list < list_count; ++list) {
      const bool subdomains = random() % 2 != 0;
      const ListId id{static_cast<std::uint16_t>(list)};
      std::string text;
      const auto put = [&](std::vector<ListId>& lists) {
        if (lists.empty() || lists.back() != id) lists.push_back(id);
      };
      for (std::size_t line = random() % 100; line > 0; --line) {
        const std::string name = random_name(random, 4);
        const bool is_wild = random() % 5 == 0;
        text += (is_wild ? "*." : "") + name + "\n";
        if (!is_wild) put(named[name]);
        if (is_wild || subdomains) put(below[name]);
      }
      inputs.push_back({"list", folder.write("list" + std::to_string(list), text), ListFormat::domains, subdomains});
      texts.push_back(text);
    }
    const auto set = compiled(inputs, folder / "set");
    for (int asked = 0; asked < 1000; ++asked) {
      const std::string name = random_name(random, 6);
      CAPTURE(name);
      std::vector<std::pair<int, std::vector<ListId>>> expected;
      const auto expect = [&](const std::map<std::string, std::vector<ListId>>& map, const std::string& key) {
        const auto found = map.find(key);
        if (found == map.end()) return;
        for (const auto& known : expected) {
          if (known.second == found->second) return;
        }
        expected.emplace_back(std::count(key.begin(), key.end(), '.') + 1, found->second);
      };
      expect(named, name);
      for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
        expect(below, name.substr(dot + 1));
      }
      const Listing listing = set->look_up(name_of(name));
      REQUIRE(listing.count == expected.size());
      std::vector<bool> is_listed(list_count);
      for (std::size_t at = 0; at < expected.size(); ++at) {
        CHECK(listing.coverings[at].labels == expected[at].first);
        const auto lists = set->lists_of(listing.coverings[at].set);
        CHECK(std::vector<ListId>(lists.begin(), lists.end()) == expected[at].second);
        for (const ListId list : lists) is_listed[list.value] = true;
      }
      for (std::size_t list = 0; list < list_count; ++list) {
        CHECK(find_lines(texts[list], ListFormat::domains, inputs[list].subdomains, name_of(name)).empty() !=
              is_listed[list]);
      }
    }
  }
}

TEST_CASE("every name of every real list is found with exactly its lists, and a million others are not") {
  const TemporaryFolder folder;
  const auto data = shared_data();
  std::vector<RealList> lists = unpack_lists(data, folder, {"hosts", "domains"});
  const bool is_real = !lists.empty();
  if (!is_real) {
    MESSAGE("no real lists in " << data.string() << ": tested with the shipped list alone");
    lists.push_back({DOLINE_SOURCE_DIR "/blocklists/device-telemetry.txt", "lists/domains/device-telemetry.txt"});
  }
  REQUIRE(lists.size() <= 64);
  std::vector<ListInput> inputs;
  Reference reference;
  std::vector<std::uint64_t> counts(lists.size());
  for (std::size_t at = 0; at < lists.size(); ++at) {
    inputs.push_back({lists[at].published, lists[at].file, {}, false});
    each_name(lists[at].file, lists[at].published.starts_with("lists/hosts/"), [&](const std::string& name) {
      std::uint64_t& known = reference[name];
      if ((known >> at & 1) == 0) ++counts[at];
      known |= std::uint64_t{1} << at;
    });
  }

  const auto report = compile(inputs, folder / "set");
  REQUIRE(report.has_value());
  CHECK(report->names == reference.size());
  CHECK(report->file_octets < report->names * 8 + 4096);
  const auto published = published_counts(data / "README.md");
  for (std::size_t at = 0; at < lists.size(); ++at) {
    const ListReport& list = report->lists[at];
    CAPTURE(list.name);
    CHECK(list.failure == "");
    CHECK(list.format == (list.name.starts_with("lists/hosts/") ? ListFormat::hosts : ListFormat::domains));
    CHECK(list.names == counts[at]);
    if (!is_real) continue;
    REQUIRE(published.contains(list.name));
    // GoodbyeAds ends with a line of prose, whose three last words the README counts as names.
    const std::uint64_t prose = list.name == "lists/hosts/goodbyeads.hosts.xz" ? 3 : 0;
    CHECK(list.names + prose == published.at(list.name));
  }

  auto set = ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  check_lists(**set, reference);
  check_unlisted(**set, reference, is_real ? 1'000'000 : 10'000);
}

TEST_CASE("every name of the real lists of the other formats, and what is below it, is found with exactly its lists") {
  const TemporaryFolder folder;
  const auto data = shared_data();
  std::vector<RealList> lists =
      unpack_lists(data, folder,
                   {"adblock", "allow", "cname", "dnsmasq", "encrypted-dns", "rpz",
                    "same-list-many-formats/hagezi-light-2023", "same-list-many-formats/urlhaus-2021-08-22"});
  if (lists.empty()) {
    MESSAGE("no real lists in " << data.string() << ": nothing of them is tested");
    return;
  }
  REQUIRE(lists.size() <= 64);
  std::vector<ListInput> inputs;
  for (const RealList& list : lists) inputs.push_back({list.published, list.file, {}, false});
  const auto report = compile(inputs, folder / "set");
  REQUIRE(report.has_value());

  struct Expected {
    std::uint64_t itself = 0;  // one bit a list
    std::uint64_t below = 0;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };
  std::unordered_map<std::string, Expected, Hash, std::equal_to<>> reference;
  std::uint64_t has_rules = 0;
  for (std::size_t at = 0; at < lists.size(); ++at) {
    const ListReport& list = report->lists[at];
    CAPTURE(list.name);
    if (!list.format) {
      // Markdown with stamps, and zones of BIND's own configuration
      CHECK((list.name.ends_with(".md") || list.name.ends_with(".md.xz") || list.name.ends_with("-bind-online.conf")));
      continue;
    }
    const std::uint64_t bit = std::uint64_t{1} << at;
    std::uint64_t names = 0;
    each_name_of(*list.format, lists[at].file, [&](const std::string& name, bool is_itself, bool is_below) {
      Expected& known = reference[name];
      if (((known.itself | known.below) & bit) == 0) ++names;
      if (is_itself) known.itself |= bit;
      if (is_below) known.below |= bit;
    });
    // Rules of a list (exceptions, answers of its own, patterns) have names too, and a pattern finds others.
    if (list.read.rules > 0) has_rules |= bit;
    CHECK(names <= list.names);
    CHECK(list.names <= names + list.read.rules);
  }

  const auto set = ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  std::uint64_t wrong = 0;
  const auto check_name = [&](const std::string& name) {
    std::uint64_t expected = 0;
    for (std::size_t at = 0; at < name.size(); at = std::min(name.find('.', at), name.size() - 1) + 1) {
      const auto known = reference.find(std::string_view(name).substr(at));
      if (known != reference.end()) expected |= at == 0 ? known->second.itself : known->second.below;
    }
    std::uint64_t found = 0;
    const Listing listing = (*set)->look_up(name_of(name));
    for (const Covering& covering : listing.all()) {
      for (const ListId list : (*set)->lists_of(covering.set)) found |= std::uint64_t{1} << list.value;
    }
    if ((found & ~has_rules) != (expected & ~has_rules) || (found & expected) != expected) {
      if (++wrong < 10) FAIL_CHECK(name << " is on " << expected << ", found on " << found);
    }
  };
  std::size_t turn = 0;
  for (const auto& [name, _] : reference) {
    check_name(name);
    if (turn++ % 8 == 0 && name.size() < 240) check_name("x1." + name);
    if (turn % 8 == 0) {
      std::string changed = name;
      changed[name.size() / 3] = changed[name.size() / 3] == 'q' ? 'z' : 'q';
      check_name(changed);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("real files are recognised as what their folder says") {
  const auto data = shared_data();
  std::error_code ignored;
  if (!std::filesystem::exists(data, ignored)) {
    MESSAGE("no real lists in " << data.string() << ": tested with two lines");
    CHECK(recognise("||ads.example^\n@@||good.example^\n") == ListFormat::adblock);
    return;
  }
  const TemporaryFolder folder;
  int files = 0;
  for (const ListFormat format : {ListFormat::adblock, ListFormat::dnsmasq, ListFormat::rpz, ListFormat::regex}) {
    for (const auto& entry : std::filesystem::directory_iterator(data / "lists" / to_string(format))) {
      const std::filesystem::path text = folder / "text";
      const std::string command = (entry.path().extension() == ".xz" ? "xz -dc '" : "cat '") + entry.path().string() +
                                  "' > '" + text.string() + "'";
      FILE* shell = ::popen(command.c_str(), "r");
      REQUIRE(shell != nullptr);
      REQUIRE(::pclose(shell) == 0);
      CAPTURE(entry.path().string());
      CHECK(recognise(content_of(text)) == format);
      ++files;
    }
  }
  CHECK(files >= 10);
}

TEST_CASE("one list in its several formats says the same") {
  const auto data = shared_data();
  const std::filesystem::path published = data / "lists/same-list-many-formats/hagezi-light-2023";
  std::error_code ignored;
  const TemporaryFolder folder;
  std::vector<ListInput> inputs;
  std::string names;
  if (std::filesystem::exists(published, ignored)) {
    for (const char* file :
         {"onlydomains.txt", "adblock.txt", "dnsmasq.conf", "unbound.conf", "rpz.zone", "wildcard.txt"}) {
      const std::filesystem::path text = folder / file;
      FILE* shell = ::popen(("xz -dc '" + (published / file).string() + ".xz' > '" + text.string() + "'").c_str(), "r");
      REQUIRE(shell != nullptr);
      REQUIRE(::pclose(shell) == 0);
      inputs.push_back({file, text, std::nullopt, true});
    }
    names = content_of(inputs[0].file);
  } else {
    MESSAGE("no real lists in " << data.string() << ": tested with one name");
    names = "ads.example\n";
    inputs = {{"domains", folder.write("domains", names), std::nullopt, true},
              {"adblock", folder.write("adblock", "||ads.example^\n"), std::nullopt, true},
              {"dnsmasq", folder.write("dnsmasq", "address=/ads.example/#\n"), std::nullopt, true},
              {"unbound", folder.write("unbound", "local-zone: \"ads.example\" always_nxdomain\n"), std::nullopt, true},
              {"rpz", folder.write("rpz", "$TTL 60\nads.example CNAME .\n*.ads.example CNAME .\n"), std::nullopt, true},
              {"wildcard", folder.write("wildcard", "*.ads.example\n"), std::nullopt, true}};
  }
  const auto report = compile(inputs, folder / "set");
  REQUIRE(report.has_value());
  for (const ListReport& list : report->lists) {
    CAPTURE(list.name);
    CHECK(list.failure == "");
    CHECK(list.read.rules == 0);
    CHECK(list.names == report->lists[0].names);
  }
  const auto set = ListSet::open(folder / "set", true);
  REQUIRE(set.has_value());
  std::size_t asked = 0;
  read_list(
      names, ListFormat::domains, true,
      [&](const Entry& entry) {
        // The wildcard covers what is below the name, the others the name too.
        const auto lists_of = [&](const dns::Name& name) {
          std::uint64_t lists = 0;
          const Listing listing = (*set)->look_up(name);
          for (const Covering& covering : listing.all())
            for (const ListId list : (*set)->lists_of(covering.set)) lists |= std::uint64_t{1} << list.value;
          return lists;
        };
        const auto below = dns::Name::parse("www." + entry.name.to_string());
        REQUIRE(below.has_value());
        if ((lists_of(entry.name) | 0x20) != 0x3f || lists_of(*below) != 0x3f) FAIL(entry.name.to_string());
        ++asked;
      },
      [](const LineProblem&) {});
  CHECK(asked == report->lists[0].names);
}
