#include "blocklist/image.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/check.h"

namespace doline::blocklist {
namespace {

// Gives equal sequences of 16-bit numbers one number, counted from 0 in the order of their appearance.
class Interned {
 public:
  std::uint32_t number_of(std::u16string_view sequence) {
    // Most names stand on one list.
    if (sequence.size() == 1) {
      std::uint32_t& known = of_one_[static_cast<std::size_t>(sequence.front())];
      if (known == 0) known = add(sequence) + 1;
      return known - 1;
    }
    const auto found = numbers_.find(sequence);
    return found != numbers_.end() ? found->second : add(sequence);
  }
  [[nodiscard]] const std::vector<const std::u16string*>& all() const { return all_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::u16string_view sequence) const {
      return XXH3_64bits(sequence.data(), sequence.size() * sizeof(char16_t));
    }
  };
  std::uint32_t add(std::u16string_view sequence) {
    const auto number = static_cast<std::uint32_t>(all_.size());
    const auto [place, is_new] = numbers_.emplace(sequence, number);
    check(is_new);
    all_.push_back(&place->first);
    return number;
  }

  std::unordered_map<std::u16string, std::uint32_t, Hash, std::equal_to<>> numbers_;  // its nodes stay where they are
  std::vector<const std::u16string*> all_;
  std::vector<std::uint32_t> of_one_ = std::vector<std::uint32_t>(std::size_t{1} << 16);  // number + 1
};

// The table without its codes, which wait for the frequency of each statement.
struct Filling {
  std::vector<Block> blocks;
  std::vector<std::uint32_t> statement_of_name;  // in the order of slots
  Interned statements;
  std::vector<std::uint32_t> frequency;  // of each statement
  std::vector<std::uint32_t> names_of_list;
};

Result<Filling, ImageFault> fill(Gathering& gathering, std::uint64_t names, std::uint32_t home_blocks,
                                 std::size_t list_count) {
  Filling filling;
  filling.blocks.resize(std::size_t{home_blocks} + spill_blocks_max);
  filling.statement_of_name.reserve(names);
  filling.names_of_list.resize(list_count);
  std::uint32_t block = 0;  // that takes the next name
  std::u16string words;
  for (std::size_t part = 0; part < Gathering::part_count; ++part) {
    const std::span<const Said> said = gathering.take(part);
    for (std::size_t at = 0; at < said.size();) {
      const Said& name = said[at];
      for (words.clear(); at < said.size() && said[at].is_of_name(name); ++at) {
        words.push_back(said[at].word());
        ++filling.names_of_list[said[at].list().value];
      }
      const std::uint32_t statement = filling.statements.number_of(words);
      if (statement == filling.frequency.size()) filling.frequency.push_back(0);
      ++filling.frequency[statement];
      filling.statement_of_name.push_back(statement);

      // Names come in the order of their homes: a name lies in its home block or, where that is full, behind the names
      // before it.
      const std::uint32_t home = home_of(name.place, home_blocks);
      if (home > block) block = home;
      if (filling.blocks[block].filled() == slots_per_block) ++block;
      if (block - home > spill_blocks_max) return fail(ImageFault::unlucky_seed);
      filling.blocks[home].raise_spill(block - home);
      // A look-up takes the first equal tag for its name: there must be none before it. Later names are checked against
      // this one in their turn, so no look-up of a listed name can end at another.
      if (find_slot(filling.blocks.data(), home, name.tag())) return fail(ImageFault::unlucky_seed);
      filling.blocks[block].append(name.tag());
    }
  }
  check(filling.statement_of_name.size() == names);
  return filling;
}

// The sets of lists behind the statements.
struct SetTable {
  std::vector<Statement> statements;  // by their number when staged
  std::vector<std::uint32_t> bounds;
  std::vector<std::uint16_t> members;
};

Result<SetTable, ImageFault> make_sets(const Interned& statements) {
  SetTable table;
  Interned sets;
  check(sets.number_of({}) == 0);
  std::u16string named;
  std::u16string below;
  for (const std::u16string* words : statements.all()) {
    named.clear();
    below.clear();
    for (const char16_t word : *words) {
      if ((word & 1) != 0) named.push_back(static_cast<char16_t>(word >> 2));
      if ((word & 2) != 0) below.push_back(static_cast<char16_t>(word >> 2));
    }
    table.statements.push_back({sets.number_of(named), sets.number_of(below)});
  }
  table.bounds.push_back(0);
  for (const std::u16string* set : sets.all()) {
    table.members.insert(table.members.end(), set->begin(), set->end());
    if (table.members.size() > std::numeric_limits<std::uint32_t>::max()) return fail(ImageFault::too_large);
    table.bounds.push_back(static_cast<std::uint32_t>(table.members.size()));
  }
  return table;
}

template <class T>
Octets octets_of(const std::vector<T>& array) {
  return {reinterpret_cast<const std::uint8_t*>(array.data()), array.size() * sizeof(T)};
}

std::size_t aligned(std::size_t offset) {
  return (offset + section_alignment - 1) / section_alignment * section_alignment;
}

void append_section(std::vector<std::uint8_t>& octets, FileHeader& header, Section kind, Octets content) {
  octets.resize(aligned(octets.size()));
  header.section[static_cast<std::size_t>(kind) - 1] = {static_cast<std::uint32_t>(kind), 0, octets.size(),
                                                        content.size(), 0};
  octets.insert(octets.end(), content.begin(), content.end());
}

}  // namespace

Result<Image, ImageFault> make_image(Gathering& gathering, std::uint64_t names, std::uint64_t seed,
                                     std::uint64_t fingerprint, std::size_t list_count, Depths named, Depths below) {
  const auto home_blocks = static_cast<std::uint32_t>(names * 100 / (slots_per_block * fill_percent) + 1);
  auto filling = fill(gathering, names, home_blocks, list_count);
  if (!filling) return fail(filling.error());
  const auto sets = make_sets(filling->statements);
  if (!sets) return fail(sets.error());

  // The most frequent statement gets number 0, and the first numbers are codes.
  std::vector<std::uint32_t> by_frequency(filling->frequency.size());
  std::iota(by_frequency.begin(), by_frequency.end(), 0);
  std::sort(by_frequency.begin(), by_frequency.end(), [&](std::uint32_t left, std::uint32_t right) {
    const std::uint32_t more = filling->frequency[left];
    const std::uint32_t less = filling->frequency[right];
    return more != less ? more > less : left < right;
  });
  std::vector<std::uint32_t> number_of(by_frequency.size());
  std::vector<Statement> statements;
  for (std::uint32_t number = 0; number < by_frequency.size(); ++number) {
    number_of[by_frequency[number]] = number;
    statements.push_back(sets->statements[by_frequency[number]]);
  }
  std::vector<RareStatement> rare;
  auto next_statement = filling->statement_of_name.cbegin();
  for (std::uint32_t at = 0; at < filling->blocks.size(); ++at) {
    Block& block = filling->blocks[at];
    for (std::uint32_t slot = 0; slot < block.filled(); ++slot) {
      const std::uint32_t number = number_of[*next_statement++];
      if (number >= code_rare) rare.push_back({at * slots_per_block + slot, number});
      block.set_code(slot, static_cast<std::uint8_t>(std::min<std::uint32_t>(number, code_rare)));
    }
  }
  std::vector<ListSummary> lists;
  for (const std::uint32_t count : filling->names_of_list) lists.push_back({count, 0});

  FileHeader header;
  header.seed = seed;
  header.fingerprint = fingerprint;
  header.name_count = names;
  header.home_blocks = home_blocks;
  header.list_count = static_cast<std::uint32_t>(list_count);
  header.named = named;
  header.below = below;

  Image image;
  image.names = names;
  image.names_of_list = std::move(filling->names_of_list);
  std::vector<std::uint8_t>& octets = image.octets;
  filling->statement_of_name = {};
  octets.reserve(sizeof header + section_count * section_alignment + octets_of(filling->blocks).size() +
                 octets_of(rare).size() + octets_of(statements).size() + octets_of(sets->bounds).size() +
                 octets_of(sets->members).size() + octets_of(lists).size());
  octets.resize(sizeof header);
  append_section(octets, header, Section::blocks, octets_of(filling->blocks));
  append_section(octets, header, Section::rare, octets_of(rare));
  append_section(octets, header, Section::statements, octets_of(statements));
  append_section(octets, header, Section::set_bounds, octets_of(sets->bounds));
  append_section(octets, header, Section::set_members, octets_of(sets->members));
  append_section(octets, header, Section::lists, octets_of(lists));
  header.file_octets = octets.size();
  std::memcpy(octets.data(), &header, sizeof header);
  seal(octets);
  return image;
}

void seal(std::vector<std::uint8_t>& octets) {
  FileHeader header;
  if (octets.size() < sizeof header) return;
  std::memcpy(&header, octets.data(), sizeof header);
  for (SectionEntry& section : header.section) {
    if (section.offset > octets.size() || section.length > octets.size() - section.offset) continue;
    section.checksum = checksum_of(Octets(octets).subspan(section.offset, section.length));
  }
  header.checksum = header_checksum(header);
  std::memcpy(octets.data(), &header, sizeof header);
}

}  // namespace doline::blocklist
