#include "blocklist/list_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "blocklist/file_format.h"
#include "blocklist/list_file.h"
#include "blocklist/pattern_set.h"

namespace doline::blocklist {
namespace {

constexpr std::size_t labels_max = 127;

// A name that may be listed, between the two steps of look_up().
struct Probe {
  NameKey key;
  std::uint32_t home;
  std::uint8_t labels;
};

std::uint8_t label_count(Octets labels) {
  std::uint8_t count = 0;
  for (std::size_t at = 0; at < labels.size(); at += labels[at] + std::size_t{1}) ++count;
  return count;
}

template <class T>
std::span<const T> as_array(Octets octets) {
  return {reinterpret_cast<const T*>(octets.data()), octets.size() / sizeof(T)};
}

}  // namespace

struct ListSet::Layout {
  // The mapping; null for the set without lists.
  void* mapping = nullptr;
  std::size_t mapping_octets = 0;

  FileHeader header;
  std::span<const Block> blocks;
  Octets codes;
  std::span<const RareStatement> rare;
  std::span<const Statement> statements;
  std::span<const std::uint32_t> set_bounds;
  std::span<const ListId> set_members;
  std::span<const ListSummary> lists;
  std::span<const std::uint32_t> word_bounds;
  std::span<const std::uint32_t> words;
  // Prefixes of one kind and length, which is known by where its span begins; the longest first.
  std::vector<std::span<const Prefix>> answers, clients, servers;

  // Read from the mapping when it is opened: few.
  std::vector<ListRule> rules;
  std::unique_ptr<const PatternSet> patterns;
  std::vector<std::uint32_t> pattern_sets;

  ~Layout() {
    if (mapping != nullptr) ::munmap(mapping, mapping_octets);
  }

  [[nodiscard]] Octets octets() const { return {static_cast<const std::uint8_t*>(mapping), mapping_octets}; }
  [[nodiscard]] Octets section(Section kind) const {
    const SectionEntry& entry = header.section[static_cast<std::size_t>(kind) - 1];
    return octets().subspan(entry.offset, entry.length);
  }
  [[nodiscard]] bool matches_checksum(Section kind) const {
    return checksum_of(section(kind)) == header.section[static_cast<std::size_t>(kind) - 1].checksum;
  }

  std::optional<ListSetFault> read_header();
  bool point_at_sections();
  [[nodiscard]] bool tables_are_sound() const;
  [[nodiscard]] bool is_undamaged() const;
  bool read_rules();
  bool read_patterns();
  bool point_at_prefixes();

  [[nodiscard]] std::uint32_t home(const NameKey& key) const { return home_of(key.place, header.home_blocks); }
  [[nodiscard]] const Statement* find(std::uint32_t home, NameKey key) const {
    const std::uint32_t slot = find_slot(blocks.data(), home, key);
    return slot != no_slot ? statement_of(slot) : nullptr;
  }
  /// `own`: the key of the name itself.
  void look_up_with_ancestors(Octets labels, const NameKey& own, Listing& listing) const;
  void look_up_patterns(const dns::Name& lowered, Listing& listing) const;
  static Listing look_up_addresses(const std::vector<std::span<const Prefix>>& prefixes,
                                   std::span<const IpAddress> addresses);
  [[nodiscard]] const Statement* statement_of(std::uint32_t slot) const;
};

std::optional<ListSetFault> ListSet::Layout::read_header() {
  if (mapping_octets < sizeof(FileHeader)) return ListSetFault::not_a_list_set;
  std::memcpy(&header, mapping, sizeof header);
  if (header.magic != file_magic) return ListSetFault::not_a_list_set;
  if (header.byte_order != byte_order_mark || header.version != file_version) return ListSetFault::other_version;
  if (header.checksum != header_checksum(header) || header.file_octets != mapping_octets) return ListSetFault::damaged;
  return std::nullopt;
}

// Everything that a look-up relies on for its memory safety and does not check itself is checked here.
bool ListSet::Layout::point_at_sections() {
  if (header.name_count > names_max || header.list_count > lists_max || header.home_blocks == 0 ||
      header.code_bits > code_bits_max) {
    return false;
  }
  std::uint64_t behind = sizeof(FileHeader);
  for (std::size_t at = 0; at < section_count; ++at) {
    const SectionEntry& entry = header.section[at];
    if (entry.kind != at + 1 || entry.offset % section_alignment != 0 || entry.offset < behind) return false;
    if (entry.offset > mapping_octets || entry.length > mapping_octets - entry.offset) return false;
    behind = entry.offset + entry.length;
  }
  blocks = as_array<Block>(section(Section::blocks));
  codes = section(Section::codes);
  rare = as_array<RareStatement>(section(Section::rare));
  statements = as_array<Statement>(section(Section::statements));
  set_bounds = as_array<std::uint32_t>(section(Section::set_bounds));
  set_members = as_array<ListId>(section(Section::set_members));
  lists = as_array<ListSummary>(section(Section::lists));
  word_bounds = as_array<std::uint32_t>(section(Section::rule_bounds));
  words = as_array<std::uint32_t>(section(Section::words));
  return blocks.size() == std::size_t{header.home_blocks} + spill_blocks_max &&
         codes.size() == code_octets(blocks.size() * slots_per_block, header.code_bits) && !set_bounds.empty() &&
         lists.size() == header.list_count;
}

bool ListSet::Layout::tables_are_sound() const {
  for (const Section kind :
       {Section::statements, Section::set_bounds, Section::set_members, Section::lists, Section::rules,
        Section::rule_bounds, Section::words, Section::patterns, Section::prefixes}) {
    if (!matches_checksum(kind)) return false;
  }
  const std::size_t set_count = set_bounds.size() - 1;
  const auto is_no_set = [&](const Statement& says) { return says.named >= set_count || says.below >= set_count; };
  if (std::any_of(statements.begin(), statements.end(), is_no_set)) return false;
  if (!std::is_sorted(set_bounds.begin(), set_bounds.end())) return false;
  if (set_bounds.back() > set_members.size()) return false;
  const auto is_no_list = [&](ListId list) { return list.value >= header.list_count; };
  return std::none_of(set_members.begin(), set_members.end(), is_no_list) && word_bounds.size() == set_bounds.size() &&
         std::is_sorted(word_bounds.begin(), word_bounds.end()) && word_bounds.back() <= words.size();
}

// Calls `take(number, text)` for the texts of a section. False: it is not as described, or `take` says so.
template <class Take>
bool each_text(Octets octets, Take take) {
  while (!octets.empty()) {
    TextHead head;
    if (octets.size() < sizeof head) return false;
    std::memcpy(&head, octets.data(), sizeof head);
    octets = octets.subspan(sizeof head);
    const std::size_t padded = (std::size_t{head.octets} + 3) / 4 * 4;
    if (padded > octets.size()) return false;
    if (!take(head.number, std::string_view(reinterpret_cast<const char*>(octets.data()), head.octets))) return false;
    octets = octets.subspan(padded);
  }
  return true;
}

bool ListSet::Layout::read_rules() {
  const bool are_read = each_text(section(Section::rules), [&](std::uint32_t list, std::string_view text) {
    auto rule = parse_rule(text);
    if (!rule || list >= header.list_count) return false;
    rule->list = {static_cast<std::uint16_t>(list)};
    rules.push_back(std::move(*rule));
    return true;
  });
  const auto is_sound = [&](std::uint32_t word) {
    const bool is_of_list = (word & (plain_word | taken_back_by)) != 0;
    return is_of_list ? (word & ~(plain_word | taken_back_by)) < header.list_count : word < rules.size();
  };
  // Who takes back stands behind a word.
  const auto begins_with_none = [&](std::uint32_t bound) {
    return bound < words.size() && (words[bound] & taken_back_by) != 0;
  };
  return are_read && std::all_of(words.begin(), words.end(), is_sound) &&
         std::none_of(word_bounds.begin(), word_bounds.end(), begins_with_none);
}

bool ListSet::Layout::read_patterns() {
  std::vector<std::string_view> expressions;
  const bool are_read = each_text(section(Section::patterns), [&](std::uint32_t set, std::string_view expression) {
    expressions.push_back(expression);
    pattern_sets.push_back(set);
    return std::size_t{set} + 1 < set_bounds.size();
  });
  if (are_read && !expressions.empty()) patterns = std::make_unique<PatternSet>(expressions);
  return are_read;
}

bool ListSet::Layout::point_at_prefixes() {
  const auto prefixes = as_array<Prefix>(section(Section::prefixes));
  for (std::size_t at = 0, end = 0; at < prefixes.size(); at = end) {
    const auto is_alike = [&](const Prefix& prefix) {
      return prefix.length == prefixes[at].length && prefix.kind() == prefixes[at].kind();
    };
    while (end < prefixes.size() && is_alike(prefixes[end])) {
      if (prefixes[end].length > 128 || prefixes[end].set() + std::size_t{1} >= set_bounds.size()) return false;
      ++end;
    }
    (prefixes[at].kind() == PrefixKind::client   ? clients
     : prefixes[at].kind() == PrefixKind::server ? servers
                                                 : answers)
        .push_back(prefixes.subspan(at, end - at));
  }
  return true;
}

bool ListSet::Layout::is_undamaged() const {
  return matches_checksum(Section::blocks) && matches_checksum(Section::codes) && matches_checksum(Section::rare);
}

// Null only in a damaged file.
const Statement* ListSet::Layout::statement_of(std::uint32_t slot) const {
  std::uint32_t statement = code_at(codes, slot, header.code_bits);
  if (statement == last_code(header.code_bits)) {
    const auto found =
        std::lower_bound(rare.begin(), rare.end(), slot,
                         [](const RareStatement& left, std::uint32_t right) { return left.slot < right; });
    if (found != rare.end() && found->slot == slot) statement = found->statement;
  }
  return statement < statements.size() ? &statements[statement] : nullptr;
}

std::string_view to_string(ListSetFault fault) {
  switch (fault) {
    case ListSetFault::missing:
      return "there is no such file";
    case ListSetFault::unreadable:
      return "the file cannot be read";
    case ListSetFault::not_a_list_set:
      return "not a compiled set of lists";
    case ListSetFault::other_version:
      return "compiled by another version or machine";
    case ListSetFault::damaged:
      return "damaged";
  }
  return "?";
}

ListSet::ListSet() : layout_(std::make_unique<Layout>()) {}
ListSet::~ListSet() = default;

std::shared_ptr<const ListSet> ListSet::none() {
  static const std::shared_ptr<const ListSet> empty(new ListSet);
  return empty;
}

Result<std::shared_ptr<const ListSet>, ListSetFault> ListSet::open(const std::filesystem::path& file, bool check_all) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fail(errno == ENOENT ? ListSetFault::missing : ListSetFault::unreadable);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail(ListSetFault::unreadable);
  }
  if (status.st_size < static_cast<off_t>(sizeof(FileHeader))) {
    ::close(descriptor);
    return fail(ListSetFault::not_a_list_set);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  if (mapping == MAP_FAILED) return fail(ListSetFault::unreadable);

  const std::shared_ptr<ListSet> set(new ListSet);
  Layout& layout = *set->layout_;
  layout.mapping = mapping;
  layout.mapping_octets = size;
  if (const auto fault = layout.read_header()) return fail(*fault);
  if (!layout.point_at_sections() || !layout.tables_are_sound() || !layout.read_rules() || !layout.read_patterns() ||
      !layout.point_at_prefixes())
    return fail(ListSetFault::damaged);
  if (check_all && !layout.is_undamaged()) return fail(ListSetFault::damaged);
  set->has_words_ = !layout.words.empty();
  set->lists_answers_ = !layout.answers.empty();
  set->lists_clients_ = !layout.clients.empty();
  set->lists_server_addresses_ = !layout.servers.empty();
  set->lists_servers_ = set->lists_server_addresses_ ||
                        std::any_of(layout.lists.begin(), layout.lists.end(),
                                    [](const ListSummary& list) { return (list.flags & ListSummary::servers) != 0; });
  set->lists_origins_ = std::any_of(layout.rules.begin(), layout.rules.end(), [](const ListRule& rule) {
    return rule.conditions && !(rule.conditions->origins.empty() && rule.conditions->not_origins.empty());
  });
  return std::shared_ptr<const ListSet>(set);
}

NamePlace ListSet::seek(const dns::Name& lowered) const {
  const Layout& layout = *layout_;
  if (layout.header.name_count == 0) return {};
  const NameKey key = key_of(lowered.wire().first(lowered.size() - 1), layout.header.seed);
  __builtin_prefetch(&layout.blocks[layout.home(key)]);
  return {key.place, key.tag};
}

Listing ListSet::look_up(const dns::Name& lowered, const std::optional<NamePlace>& place) const {
  Listing listing;
  const Layout& layout = *layout_;
  if (layout.header.name_count != 0) {
    const Octets labels = lowered.wire().first(lowered.size() - 1);
    const NameKey key = place ? NameKey{place->place, place->tag} : key_of(labels, layout.header.seed);
    if (!layout.header.below.are_none()) {
      layout.look_up_with_ancestors(labels, key, listing);
    } else {
      const Statement* says = layout.find(layout.home(key), key);
      if (says != nullptr && says->named != 0) {
        listing.coverings[0] = {says->named, label_count(labels)};
        listing.count = 1;
      }
    }
  }
  if (layout.patterns) layout.look_up_patterns(lowered, listing);
  return listing;
}

void ListSet::Layout::look_up_patterns(const dns::Name& lowered, Listing& listing) const {
  for (const std::uint32_t number : patterns->match(lowered)) listing.add({pattern_sets[number], 0});
}

Listing ListSet::Layout::look_up_addresses(const std::vector<std::span<const Prefix>>& prefixes,
                                           std::span<const IpAddress> addresses) {
  Listing listing;
  for (const std::span<const Prefix>& alike : prefixes)
    for (const IpAddress& address : addresses) {
      std::array<std::uint8_t, 16> wanted = address.mapped();
      const std::uint32_t length = alike.front().length;
      for (std::size_t at = 0; at < wanted.size(); ++at) {
        const std::size_t bits = length > at * 8 ? length - at * 8 : 0;
        if (bits < 8) wanted[at] = static_cast<std::uint8_t>(wanted[at] & ~(0xffU >> bits));
      }
      const auto found = std::lower_bound(alike.begin(), alike.end(), wanted,
                                          [](const Prefix& left, const auto& right) { return left.address < right; });
      if (found != alike.end() && found->address == wanted) listing.add({found->set(), 0});
    }
  return listing;
}

Listing ListSet::look_up_answer(std::span<const IpAddress> addresses) const {
  return Layout::look_up_addresses(layout_->answers, addresses);
}

Listing ListSet::look_up_client(const IpAddress& client) const {
  return Layout::look_up_addresses(layout_->clients, {&client, 1});
}

Listing ListSet::look_up_server(std::span<const IpAddress> addresses) const {
  return Layout::look_up_addresses(layout_->servers, addresses);
}

Listing ListSet::look_up_server(const dns::Name& lowered) const {
  Listing listing;
  const dns::Name trigger = to_server_trigger(lowered);
  Listing found;
  if (layout_->header.name_count != 0) {
    const Octets labels = trigger.wire().first(trigger.size() - 1);
    layout_->look_up_with_ancestors(labels, key_of(labels, layout_->header.seed), found);
  }
  for (const Covering& covering : found.all())
    if (covering.labels > 0) listing.add({covering.set, 0});  // the root covers what is asked for, not its servers
  return listing;
}

// Two steps, so that the memory of all names is under way at once: first where each would lie, then what lies there.
void ListSet::Layout::look_up_with_ancestors(Octets labels, const NameKey& own, Listing& listing) const {
  std::array<Probe, labels_max + 1> probes;
  std::size_t count = 0;
  const std::uint8_t depth = label_count(labels);
  const auto add = [&](const NameKey& key, std::uint8_t covered) {
    probes[count] = {key, home(key), covered};
    __builtin_prefetch(&blocks[probes[count++].home]);
  };
  add(own, depth);
  for (std::uint8_t covered = depth; covered > 0;) {
    labels = labels.subspan(labels[0] + std::size_t{1});
    if (header.below.has(--covered)) add(key_of(labels, header.seed), covered);  // 0, the root: every name
  }

  for (const Probe& probe : std::span(probes).first(count)) {
    const Statement* says = find(probe.home, probe.key);
    if (says == nullptr) continue;
    const std::uint32_t set = probe.labels == depth ? says->named : says->below;
    listing.add({set, probe.labels});
  }
}

bool ListSet::is_named_by(std::span<const ListId> lists, std::uint32_t set, bool& is_excepted) const {
  const auto is_theirs = [&](ListId list) { return std::binary_search(lists.begin(), lists.end(), list); };
  const auto words = words_of(set);
  if (words.empty()) {
    const auto members = lists_of(set);
    return std::any_of(members.begin(), members.end(), is_theirs);
  }
  bool is_named = false;
  each_word(set, [&](std::uint32_t number, auto) {
    const Word said = word(number);
    if (!is_theirs(said.list) || (said.rule != nullptr && said.rule->effect == ListRule::Effect::pass)) return;
    if (said.rule == nullptr || (!said.rule->conditions && !said.rule->is_exception))
      is_named = true;
    else if (!said.rule->conditions)
      is_excepted = true;
  });
  return is_named;
}

bool ListSet::is_named_by(std::span<const ListId> lists, const dns::Name& lowered) const {
  bool is_named = false, is_excepted = false;
  const Listing listing = look_up(lowered);
  for (const Covering& covering : listing.all()) is_named = is_named_by(lists, covering.set, is_excepted) || is_named;
  return is_named && !is_excepted;
}

std::vector<IpPrefix> ListSet::networks_of(std::span<const ListId> lists) const {
  std::vector<IpPrefix> networks;
  for (const std::span<const Prefix>& alike : layout_->answers)
    for (const Prefix& prefix : alike) {
      bool is_excepted = false;
      if (!is_named_by(lists, prefix.set(), is_excepted) || is_excepted) continue;
      const IpAddress address = IpAddress::from_octets(prefix.address);
      const int length = static_cast<int>(prefix.length);
      if (!address.is_v4() || length >= 96) networks.emplace_back(address, address.is_v4() ? length - 96 : length);
    }
  return networks;
}

std::span<const ListId> ListSet::lists_of(std::uint32_t set) const {
  const auto bounds = layout_->set_bounds;
  if (std::size_t{set} + 1 >= bounds.size()) return {};
  return layout_->set_members.subspan(bounds[set], bounds[set + 1] - bounds[set]);
}

std::span<const std::uint32_t> ListSet::words_of(std::uint32_t set) const {
  const auto bounds = layout_->word_bounds;
  if (std::size_t{set} + 1 >= bounds.size()) return {};
  return layout_->words.subspan(bounds[set], bounds[set + 1] - bounds[set]);
}

Word ListSet::word(std::uint32_t number) const {
  if ((number & plain_word) != 0) return {ListId{static_cast<std::uint16_t>(number)}, nullptr};
  const ListRule& rule = layout_->rules[number];
  return {rule.list, &rule};
}

bool ListSet::is_zone(ListId list) const {
  return list.value < layout_->lists.size() && (layout_->lists[list.value].flags & ListSummary::zone) != 0;
}

bool ListSet::goes_by_longest(ListId list) const {
  return list.value < layout_->lists.size() && (layout_->lists[list.value].flags & ListSummary::longest) != 0;
}

std::uint64_t ListSet::name_count() const {
  return layout_->header.name_count;
}
std::size_t ListSet::list_count() const {
  return layout_->header.list_count;
}
std::uint64_t ListSet::fingerprint() const {
  return layout_->header.fingerprint;
}

std::uint64_t ListSet::name_count(ListId list) const {
  return list.value < layout_->lists.size() ? layout_->lists[list.value].names : 0;
}

}  // namespace doline::blocklist
