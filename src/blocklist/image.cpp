#include "blocklist/image.h"

#include <algorithm>
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

// Calls `on_name` with what is said of each name, in the order of the names' places.
template <class OnName>
void each_name(Gathering& gathering, OnName&& on_name) {
  for (std::size_t part = 0; part < Gathering::part_count; ++part) {
    const std::span<const Said> said = gathering.part(part);
    for (std::size_t begin = 0, end = 0; begin < said.size(); begin = end) {
      while (end < said.size() && said[end].is_of_name(said[begin])) ++end;
      on_name(said.subspan(begin, end - begin));
    }
  }
}

// What is said of names: each statement once, numbered by how often it is made, the most frequent first.
class Statements {
 public:
  explicit Statements(Gathering& gathering);
  [[nodiscard]] std::uint32_t number_of(std::span<const Said> name) { return places_[found(name)]; }
  /// The words of each, by number.
  [[nodiscard]] const std::vector<const std::u16string*>& all() const { return all_; }
  /// How many names the statements from this number on are made of.
  [[nodiscard]] std::uint64_t names_from(std::size_t number) const {
    return names_from_[std::min(number, all_.size())];
  }

 private:
  std::uint32_t found(std::span<const Said> name) {
    words_.clear();
    for (const Said& said : name) words_.push_back(said.word());
    return interned_.number_of(words_);
  }

  Interned interned_;
  std::u16string words_;
  std::vector<std::uint32_t> places_;  // number by order of appearance
  std::vector<const std::u16string*> all_;
  std::vector<std::uint64_t> names_from_;
};

Statements::Statements(Gathering& gathering) {
  std::vector<std::uint32_t> frequency;
  each_name(gathering, [&](std::span<const Said> name) {
    const std::uint32_t at = found(name);
    if (at == frequency.size()) frequency.push_back(0);
    ++frequency[at];
  });
  std::vector<std::uint32_t> by_frequency(frequency.size());
  std::iota(by_frequency.begin(), by_frequency.end(), 0);
  std::stable_sort(by_frequency.begin(), by_frequency.end(),
                   [&](std::uint32_t left, std::uint32_t right) { return frequency[left] > frequency[right]; });
  places_.resize(frequency.size());
  names_from_.resize(frequency.size() + 1);
  for (std::uint32_t number = 0; number < by_frequency.size(); ++number) {
    places_[by_frequency[number]] = number;
    all_.push_back(interned_.all()[by_frequency[number]]);
  }
  for (std::size_t number = frequency.size(); number > 0; --number)
    names_from_[number - 1] = names_from_[number] + frequency[by_frequency[number - 1]];
}

// As few octets as possible: a bit more for every slot, or eight octets for each name beyond the last code.
std::uint32_t code_bits_for(const Statements& statements, std::uint64_t slots) {
  std::uint32_t best = 0;
  const auto octets = [&](std::uint32_t bits) {
    return code_octets(slots, bits) + statements.names_from(last_code(bits) + std::size_t{1}) * sizeof(RareStatement);
  };
  for (std::uint32_t bits = 1; bits <= code_bits_max; ++bits)
    if (octets(bits) < octets(best)) best = bits;
  return best;
}

// Fills blocks, codes and rare from front to back.
class Filling {
 public:
  explicit Filling(Image& image) : image_(image) {}
  /// Names come in the order of their homes. False: the seed is unlucky.
  bool put(const NameKey& key, std::uint32_t statement);

 private:
  Image& image_;
  std::uint32_t block_ = 0;   // that takes the next name
  std::uint32_t filled_ = 0;  // of its slots
};

bool Filling::put(const NameKey& key, std::uint32_t statement) {
  // A name lies in its home block or, where that is full, behind the names before it.
  const std::uint32_t home = home_of(key.place, image_.header.home_blocks);
  const std::uint32_t next = std::max(home, filled_ == slots_per_block ? block_ + 1 : block_);
  if (next - home > spill_blocks_max) return false;
  if (next != block_) filled_ = 0;
  block_ = next;
  for (std::uint32_t at = home; at < block_; ++at) image_.blocks[at].send_on(key);
  // A look-up takes the first equal tag for its name: there must be none before it. Later names are checked against
  // this one in their turn, so no look-up of a listed name can end at another.
  if (find_slot(image_.blocks.data(), home, key) != no_slot) return false;
  image_.blocks[block_].put(filled_, key.tag);
  const std::uint32_t slot = block_ * slots_per_block + filled_++;
  const std::uint32_t last = last_code(image_.header.code_bits);
  set_code(image_.codes, slot, image_.header.code_bits, std::min(statement, last));
  if (statement > last) image_.rare.push_back({slot, statement});
  return true;
}

// The sets of lists behind the statements.
Result<void, ImageFault> add_sets(Image& image, const Statements& statements) {
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
    image.statements.push_back({sets.number_of(named), sets.number_of(below)});
  }
  image.set_bounds.push_back(0);
  for (const std::u16string* set : sets.all()) {
    image.set_members.insert(image.set_members.end(), set->begin(), set->end());
    if (image.set_members.size() > std::numeric_limits<std::uint32_t>::max()) return fail(ImageFault::too_large);
    image.set_bounds.push_back(static_cast<std::uint32_t>(image.set_members.size()));
  }
  return {};
}

template <class T>
Octets octets_of(const std::vector<T>& array) {
  return {reinterpret_cast<const std::uint8_t*>(array.data()), array.size() * sizeof(T)};
}

std::array<Octets, section_count> sections_of(const Image& image) {
  return {octets_of(image.blocks),     octets_of(image.codes),       octets_of(image.rare), octets_of(image.statements),
          octets_of(image.set_bounds), octets_of(image.set_members), octets_of(image.lists)};
}

// Describes the sections as they are now.
void seal(Image& image) {
  FileHeader& header = image.header;
  std::uint64_t offset = sizeof header;
  std::uint32_t kind = 0;
  for (const Octets section : sections_of(image)) {
    offset = (offset + section_alignment - 1) / section_alignment * section_alignment;
    header.section[kind] = {kind + 1, 0, offset, section.size(), checksum_of(section)};
    offset += section.size();
    ++kind;
  }
  header.file_octets = offset;
  header.checksum = header_checksum(header);
}

}  // namespace

std::vector<Octets> Image::pieces() const {
  static constexpr std::array<std::uint8_t, section_alignment> zeros{};
  std::vector<Octets> all{{reinterpret_cast<const std::uint8_t*>(&header), sizeof header}};
  std::uint64_t end = sizeof header;
  const auto sections = sections_of(*this);
  for (std::size_t at = 0; at < section_count; ++at) {
    all.push_back(Octets(zeros).first(header.section[at].offset - end));
    all.push_back(sections[at]);
    end = header.section[at].offset + sections[at].size();
  }
  return all;
}

Result<Image, ImageFault> make_image(Gathering gathering, std::uint64_t names, const Seed& seed,
                                     std::uint64_t fingerprint, std::size_t list_count, Depths below) {
  Image image;
  FileHeader& header = image.header;
  header.seed = seed;
  header.fingerprint = fingerprint;
  header.name_count = names;
  header.home_blocks = static_cast<std::uint32_t>(names * 100 / (slots_per_block * fill_percent) + 1);
  header.list_count = static_cast<std::uint32_t>(list_count);
  header.below = below;

  Statements statements(gathering);
  const std::uint64_t blocks = std::uint64_t{header.home_blocks} + spill_blocks_max;
  header.code_bits = code_bits_for(statements, blocks * slots_per_block);
  image.blocks.resize(blocks);
  image.codes.resize(code_octets(blocks * slots_per_block, header.code_bits));
  image.lists.resize(list_count);

  Filling filling(image);
  bool is_lucky = true;
  each_name(gathering, [&](std::span<const Said> name) {
    is_lucky = is_lucky && filling.put(name.front().key(), statements.number_of(name));
    for (const Said& said : name) ++image.lists[said.list().value].names;
  });
  gathering = {};
  if (!is_lucky) return fail(ImageFault::unlucky_seed);
  if (const auto added = add_sets(image, statements); !added) return fail(added.error());
  seal(image);
  return image;
}

}  // namespace doline::blocklist
