#include "blocklist/list_set.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "blocklist/file_format.h"

namespace doline::blocklist {
namespace {

// A suffix that may be listed, between the two steps of look_up().
struct Probe {
  std::uint64_t tag;
  std::uint32_t home;
  std::uint8_t labels;
};

constexpr std::size_t labels_max = 127;

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
  std::span<const RareStatement> rare;
  std::span<const Statement> statements;
  std::span<const std::uint32_t> set_bounds;
  std::span<const ListId> set_members;
  std::span<const ListSummary> lists;

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
  if (header.name_count > names_max || header.list_count > lists_max || header.home_blocks == 0) return false;
  std::uint64_t behind = sizeof(FileHeader);
  for (std::size_t at = 0; at < section_count; ++at) {
    const SectionEntry& entry = header.section[at];
    if (entry.kind != at + 1 || entry.offset % section_alignment != 0 || entry.offset < behind) return false;
    if (entry.offset > mapping_octets || entry.length > mapping_octets - entry.offset) return false;
    behind = entry.offset + entry.length;
  }
  blocks = as_array<Block>(section(Section::blocks));
  rare = as_array<RareStatement>(section(Section::rare));
  statements = as_array<Statement>(section(Section::statements));
  set_bounds = as_array<std::uint32_t>(section(Section::set_bounds));
  set_members = as_array<ListId>(section(Section::set_members));
  lists = as_array<ListSummary>(section(Section::lists));
  return blocks.size() == std::size_t{header.home_blocks} + spill_blocks_max && !set_bounds.empty() &&
         lists.size() == header.list_count;
}

bool ListSet::Layout::tables_are_sound() const {
  for (const Section kind : {Section::statements, Section::set_bounds, Section::set_members, Section::lists}) {
    if (!matches_checksum(kind)) return false;
  }
  const std::size_t set_count = set_bounds.size() - 1;
  const auto is_no_set = [&](const Statement& says) { return says.named >= set_count || says.below >= set_count; };
  if (std::any_of(statements.begin(), statements.end(), is_no_set)) return false;
  if (!std::is_sorted(set_bounds.begin(), set_bounds.end())) return false;
  if (set_bounds.back() > set_members.size()) return false;
  const auto is_no_list = [&](ListId list) { return list.value >= header.list_count; };
  return std::none_of(set_members.begin(), set_members.end(), is_no_list);
}

bool ListSet::Layout::is_undamaged() const {
  return matches_checksum(Section::blocks) && matches_checksum(Section::rare);
}

// Null only in a damaged file.
const Statement* ListSet::Layout::statement_of(std::uint32_t slot) const {
  std::uint32_t statement = blocks[slot / slots_per_block].code(slot % slots_per_block);
  if (statement == code_rare) {
    const auto found =
        std::lower_bound(rare.begin(), rare.end(), slot,
                         [](const RareStatement& left, std::uint32_t right) { return left.slot < right; });
    if (found == rare.end() || found->slot != slot) return nullptr;
    statement = found->statement;
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
  if (!layout.point_at_sections() || !layout.tables_are_sound()) return fail(ListSetFault::damaged);
  if (check_all && !layout.is_undamaged()) return fail(ListSetFault::damaged);
  return std::shared_ptr<const ListSet>(set);
}

// Two steps, so that the memory of all suffixes is under way at once: first where each suffix that may be listed would
// lie, then what lies there.
Listing ListSet::look_up(const dns::Name& lowered) const {
  Listing listing;
  const Layout& layout = *layout_;
  if (layout.header.name_count == 0) return listing;

  const Octets wire = lowered.wire();
  std::array<std::uint8_t, labels_max> starts;
  unsigned labels = 0;
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + std::size_t{1})
    starts[labels++] = static_cast<std::uint8_t>(at);

  std::array<Probe, labels_max> probes;
  std::size_t count = 0;
  for (unsigned depth = labels; depth > 0; --depth) {
    const Depths& depths = depth == labels ? layout.header.named : layout.header.below;
    if (!depths.has(depth)) continue;
    const std::size_t start = starts[labels - depth];
    const NameKey key = key_of(wire.subspan(start, wire.size() - 1 - start), layout.header.seed);
    const std::uint32_t home = home_of(key.place, layout.header.home_blocks);
    __builtin_prefetch(&layout.blocks[home]);
    __builtin_prefetch(&layout.blocks[home + 1]);  // one in three look-ups goes on there
    probes[count++] = {key.tag, home, static_cast<std::uint8_t>(depth)};
  }

  for (const Probe& probe : std::span(probes).first(count)) {
    const auto slot = find_slot(layout.blocks.data(), probe.home, probe.tag);
    if (!slot) continue;
    const Statement* statement = layout.statement_of(*slot);
    if (statement == nullptr) continue;
    const std::uint32_t set = probe.labels == labels ? statement->named : statement->below;
    const auto known = listing.all();
    if (set == 0 || std::any_of(known.begin(), known.end(), [&](const Covering& one) { return one.set == set; }))
      continue;
    listing.coverings[listing.count++] = {set, probe.labels};
    if (listing.count == coverings_max) break;
  }
  return listing;
}

std::span<const ListId> ListSet::lists_of(std::uint32_t set) const {
  const auto bounds = layout_->set_bounds;
  if (std::size_t{set} + 1 >= bounds.size()) return {};
  return layout_->set_members.subspan(bounds[set], bounds[set + 1] - bounds[set]);
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
