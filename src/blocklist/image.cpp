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

// Gives equal sequences of numbers one number, counted from 0 in the order of their appearance.
class Interned {
 public:
  std::uint32_t number_of(std::u32string_view sequence) {
    const auto found = numbers_.find(sequence);
    return found != numbers_.end() ? found->second : add(sequence);
  }
  [[nodiscard]] const std::vector<const std::u32string*>& all() const { return all_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::u32string_view sequence) const {
      return XXH3_64bits(sequence.data(), sequence.size() * sizeof(char32_t));
    }
  };
  std::uint32_t add(std::u32string_view sequence) {
    const auto number = static_cast<std::uint32_t>(all_.size());
    const auto [place, is_new] = numbers_.emplace(sequence, number);
    check(is_new);
    all_.push_back(&place->first);
    return number;
  }

  std::unordered_map<std::u32string, std::uint32_t, Hash, std::equal_to<>> numbers_;  // its nodes stay where they are
  std::vector<const std::u32string*> all_;
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

// Sets of words, as they are interned: plain words and rules as file_format.h numbers them, ascending, so that the
// plain ones are last, each before the lists that take it back. A set of plain words alone is written as its lists.
using Words = std::u32string;

// What is said of names: each statement once, numbered by how often it is made, the most frequent first. A statement is
// two sets of words, that of the name before that of what is below, with a number between that no word has.
class Statements {
 public:
  static constexpr char32_t and_below = 0x7fffffff;

  explicit Statements(ImageInput& input);
  [[nodiscard]] std::uint32_t number_of(std::span<const Said> name) { return places_[found(name)]; }
  /// The lists that spoke of the name that number_of() was last asked of.
  [[nodiscard]] std::span<const ListId> lists() const { return lists_; }
  /// The words of each, by number.
  [[nodiscard]] const std::vector<const Words*>& all() const { return all_; }
  /// Of how many names those from this number on are made.
  [[nodiscard]] std::uint64_t names_from(std::size_t number) const {
    const auto first = frequencies_.begin() + static_cast<std::ptrdiff_t>(std::min(number, frequencies_.size()));
    return std::accumulate(first, frequencies_.end(), std::uint64_t{0});
  }

 private:
  std::uint32_t found(std::span<const Said> name);
  void take_plain(std::span<const Said> name);
  void take_more(std::span<const Said> name);

  ImageInput& input_;
  Interned interned_;
  Words words_;
  std::vector<std::uint32_t> of_one_ = std::vector<std::uint32_t>(std::size_t{1} << 16);  // by word, number + 1
  std::vector<Spoken> spoken_;
  std::vector<ListId> lists_;
  std::vector<std::uint32_t> places_;  // number by order of appearance
  std::vector<const Words*> all_;
  std::vector<std::uint32_t> frequencies_;
};

std::uint32_t Statements::found(std::span<const Said> name) {
  lists_.clear();
  if (name.back().list() == Gathering::more) {
    take_more(name);
    return interned_.number_of(words_);
  }
  for (const Said& said : name) lists_.push_back(said.list());
  if (name.size() > 1) {
    take_plain(name);
    return interned_.number_of(words_);
  }
  // Most names stand on one list.
  std::uint32_t& known = of_one_[name.front().word()];
  if (known == 0) {
    take_plain(name);
    known = interned_.number_of(words_) + 1;
  }
  return known - 1;
}

void Statements::take_plain(std::span<const Said> name) {
  words_.clear();
  for (const Said& said : name)
    if ((said.extents() & of_the_name) != 0) words_ += plain_word | said.list().value;
  words_ += and_below;
  for (const Said& said : name)
    if ((said.extents() & of_what_is_below) != 0) words_ += plain_word | said.list().value;
}

// Where rules speak too.
void Statements::take_more(std::span<const Said> name) {
  spoken_.clear();
  for (const Said& said : name.first(name.size() - 1))
    spoken_.push_back({plain_word | said.list().value, said.extents()});
  for (const SaidMore& said : input_.gathering.more_of(name.back().key())) spoken_.push_back({said.rule, said.extents});
  input_.rules.settle(spoken_, input_.dropped);
  words_.clear();
  input_.rules.append_words(spoken_, of_the_name, words_);
  words_ += and_below;
  input_.rules.append_words(spoken_, of_what_is_below, words_);
  for (const char32_t word : words_)
    if (word != and_below) lists_.push_back(input_.rules.list_of(word));
  std::sort(lists_.begin(), lists_.end());
  lists_.erase(std::unique(lists_.begin(), lists_.end()), lists_.end());
}

Statements::Statements(ImageInput& input) : input_(input) {
  std::vector<std::uint32_t> frequency;
  each_name(input.gathering, [&](std::span<const Said> name) {
    const std::uint32_t at = found(name);
    if (at == frequency.size()) frequency.push_back(0);
    ++frequency[at];
  });
  std::vector<std::uint32_t> by_frequency(frequency.size());
  std::iota(by_frequency.begin(), by_frequency.end(), 0);
  std::stable_sort(by_frequency.begin(), by_frequency.end(),
                   [&](std::uint32_t left, std::uint32_t right) { return frequency[left] > frequency[right]; });
  places_.resize(frequency.size());
  for (const std::uint32_t at : by_frequency) {
    places_[at] = static_cast<std::uint32_t>(all_.size());
    all_.push_back(interned_.all()[at]);
    frequencies_.push_back(frequency[at]);
  }
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

template <class T>
Octets octets_of(std::span<const T> array) {
  return {reinterpret_cast<const std::uint8_t*>(array.data()), array.size_bytes()};
}

// The sections, one after the other, each described in the header's table.
class Sections {
 public:
  Sections(FileHeader& header, const OnOctets& on_octets) : header_(header), on_octets_(on_octets) {
    on_octets_(Octets(zeros).first(sizeof header));
  }
  void begin() {
    const std::uint64_t padding = (section_alignment - header_.file_octets % section_alignment) % section_alignment;
    on_octets_(Octets(zeros).first(padding));
    header_.file_octets += padding;
    header_.section[count_] = {count_ + 1, 0, header_.file_octets, 0, 0};
    XXH3_64bits_reset(&checksum_);
  }
  void append(Octets octets) {
    on_octets_(octets);
    header_.file_octets += octets.size();
    XXH3_64bits_update(&checksum_, octets.data(), octets.size());
  }
  void end() {
    SectionEntry& section = header_.section[count_++];
    section.length = header_.file_octets - section.offset;
    section.checksum = XXH3_64bits_digest(&checksum_);
  }
  template <class T>
  void add(const std::vector<T>& array) {
    begin();
    append(octets_of(std::span(array)));
    end();
  }

 private:
  static constexpr std::array<std::uint8_t, sizeof(FileHeader)> zeros{};
  FileHeader& header_;
  const OnOctets& on_octets_;
  std::uint32_t count_ = 0;
  XXH3_state_t checksum_;
};

// Fills blocks, codes and rare from front to back, and hands on the blocks that no later name can reach.
class Filling {
 public:
  Filling(const FileHeader& header, Sections& sections)
      : header_(header), codes_(code_octets(slots(header), header.code_bits)), sections_(sections) {
    sections_.begin();
  }
  static std::uint64_t slots(const FileHeader& header) {
    return (std::uint64_t{header.home_blocks} + spill_blocks_max) * slots_per_block;
  }
  /// Names come in the order of their homes. False: the seed is unlucky.
  bool put(const NameKey& key, std::uint32_t statement);
  void finish();

 private:
  void hand_on(std::uint32_t end);

  static constexpr std::uint32_t at_once = 4096;
  const FileHeader& header_;
  std::vector<Block> window_ = std::vector<Block>(at_once + 2 * (spill_blocks_max + 1));
  std::uint32_t first_ = 0;   // block of the window
  std::uint32_t block_ = 0;   // that takes the next name
  std::uint32_t filled_ = 0;  // of its slots
  std::vector<std::uint8_t> codes_;
  std::vector<RareStatement> rare_;
  Sections& sections_;
};

bool Filling::put(const NameKey& key, std::uint32_t statement) {
  // A name lies in its home block or, where that is full, behind the names before it.
  const std::uint32_t home = home_of(key.place, header_.home_blocks);
  while (home - first_ > at_once) hand_on(std::min(home, first_ + at_once));
  const std::uint32_t next = std::max(home, filled_ == slots_per_block ? block_ + 1 : block_);
  if (next - home > spill_blocks_max) return false;
  if (next != block_) filled_ = 0;
  block_ = next;
  for (std::uint32_t at = home; at < block_; ++at) window_[at - first_].send_on(key);
  // A look-up takes the first equal tag for its name: there must be none before it. Later names are checked against
  // this one in their turn, so no look-up of a listed name can end at another.
  if (find_slot(window_.data(), home - first_, key) != no_slot) return false;
  window_[block_ - first_].put(filled_, key.tag);
  const std::uint32_t slot = block_ * slots_per_block + filled_++;
  const std::uint32_t last = last_code(header_.code_bits);
  set_code(codes_, slot, header_.code_bits, std::min(statement, last));
  if (statement > last) rare_.push_back({slot, statement});
  return true;
}

// The blocks before `end`, of which there are at most at_once.
void Filling::hand_on(std::uint32_t end) {
  const auto passed = window_.begin() + (end - first_);
  sections_.append(octets_of(std::span<const Block>(window_.begin(), passed)));
  std::fill(std::move(passed, window_.end(), window_.begin()), window_.end(), Block{});
  first_ = end;
}

void Filling::finish() {
  const std::uint32_t end = header_.home_blocks + spill_blocks_max;
  while (first_ < end) hand_on(std::min(end, first_ + at_once));
  sections_.end();
  sections_.add(codes_);
  sections_.add(rare_);
}

// The sets behind the statements, and those of expressions and prefixes.
struct SetTable {
  std::vector<Statement> statements;  // by their number
  std::vector<std::uint32_t> bounds;
  std::vector<std::uint16_t> members;
  std::vector<std::uint32_t> word_bounds;
  std::vector<std::uint32_t> words;
  std::vector<std::uint8_t> patterns;
  std::vector<Prefix> prefixes;
};

void append_text(std::vector<std::uint8_t>& octets, std::uint32_t number, std::string_view text) {
  const TextHead head{number, static_cast<std::uint32_t>(text.size())};
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&head);
  octets.insert(octets.end(), begin, begin + sizeof head);
  octets.insert(octets.end(), text.begin(), text.end());
  octets.resize((octets.size() + 3) / 4 * 4);
}

Result<SetTable, ImageFault> make_sets(const Statements& statements, ImageInput& input) {
  SetTable table;
  Interned sets;
  check(sets.number_of({}) == 0);
  for (const Words* words : statements.all()) {
    const std::u32string_view all(*words);
    const std::size_t end = all.find(Statements::and_below);
    table.statements.push_back({sets.number_of(all.substr(0, end)), sets.number_of(all.substr(end + 1))});
  }
  const auto number_of = [&](const std::vector<std::uint32_t>& said) {
    std::vector<Spoken> spoken;
    for (const std::uint32_t word : said) spoken.push_back({word, name_alone});
    input.rules.settle(spoken, input.dropped);
    Words words;
    input.rules.append_words(spoken, name_alone, words);
    return sets.number_of(words);
  };
  // Those that may overrule others first: a listing has room for so many sets and no more.
  const auto may_overrule = [&](const std::vector<std::uint32_t>& words) {
    return std::any_of(words.begin(), words.end(), [&](std::uint32_t word) {
      if ((word & plain_word) != 0) return false;
      const std::string& text = input.rules.texts[input.rules.rows[word].text];
      return text.starts_with("@@") || text.starts_with("$important");
    });
  };
  for (const bool overrules : {true, false})
    for (auto& [expression, words] : input.rules.patterns)
      if (may_overrule(words) == overrules)
        if (const std::uint32_t set = number_of(words); set != 0) append_text(table.patterns, set, expression);
  for (auto& [prefix, words] : input.rules.prefixes)
    if (const std::uint32_t set = number_of(words); set != 0)
      table.prefixes.push_back({prefix.address, prefix.length, set << 2 | prefix.set_and_kind});
  std::stable_sort(table.prefixes.begin(), table.prefixes.end(),
                   [](const Prefix& left, const Prefix& right) { return left.length > right.length; });

  table.bounds.push_back(0);
  table.word_bounds.push_back(0);
  for (const Words* set : sets.all()) {
    const std::size_t begin = table.members.size();
    bool is_plain = true;
    for (const char32_t word : *set) {
      const ListId list = input.rules.list_of(word);
      is_plain = is_plain && (word & plain_word) != 0 && !input.rules.is_of(list, ListFormat::rpz);
      table.members.push_back(list.value);
    }
    const auto first = table.members.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(first, table.members.end());
    table.members.erase(std::unique(first, table.members.end()), table.members.end());
    if (!is_plain) table.words.insert(table.words.end(), set->begin(), set->end());
    if (std::max(table.members.size(), table.words.size()) > std::numeric_limits<std::uint32_t>::max())
      return fail(ImageFault::too_large);
    table.bounds.push_back(static_cast<std::uint32_t>(table.members.size()));
    table.word_bounds.push_back(static_cast<std::uint32_t>(table.words.size()));
  }
  return table;
}

}  // namespace

Result<Image, ImageFault> make_image(ImageInput input, const OnOctets& on_octets) {
  Statements statements(input);
  const auto sets = make_sets(statements, input);
  if (!sets) return fail(sets.error());
  std::vector<std::uint8_t> rules;
  for (const RuleTable::Row& row : input.rules.rows) append_text(rules, row.list.value, input.rules.texts[row.text]);

  Image image;
  image.lists.resize(input.dropped.size());
  for (std::size_t at = 0; at < image.lists.size(); ++at) {
    if (input.rules.is_of({static_cast<std::uint16_t>(at)}, ListFormat::rpz))
      image.lists[at].flags |= ListSummary::zone;
    for (const ListFormat format : {ListFormat::dnsmasq, ListFormat::unbound})
      if (input.rules.is_of({static_cast<std::uint16_t>(at)}, format)) image.lists[at].flags |= ListSummary::longest;
    if (at < input.rules.servers.size() && input.rules.servers[at]) image.lists[at].flags |= ListSummary::servers;
  }
  FileHeader& header = image.header;
  header.seed = input.seed;
  header.fingerprint = input.fingerprint;
  header.file_octets = sizeof header;
  header.name_count = input.names;
  header.home_blocks = static_cast<std::uint32_t>(input.names * 100 / (slots_per_block * fill_percent) + 1);
  header.list_count = static_cast<std::uint32_t>(input.dropped.size());
  header.below = input.below;
  header.code_bits = code_bits_for(statements, Filling::slots(header));

  Sections sections(header, on_octets);
  Filling filling(header, sections);
  bool is_lucky = true;
  each_name(input.gathering, [&](std::span<const Said> name) {
    is_lucky = is_lucky && filling.put(name.front().key(), statements.number_of(name));
    for (const ListId list : statements.lists()) ++image.lists[list.value].names;
  });
  if (!is_lucky) return fail(ImageFault::unlucky_seed);
  filling.finish();
  sections.add(sets->statements);
  sections.add(sets->bounds);
  sections.add(sets->members);
  sections.add(image.lists);
  sections.add(rules);
  sections.add(sets->word_bounds);
  sections.add(sets->words);
  sections.add(sets->patterns);
  sections.add(sets->prefixes);
  header.checksum = header_checksum(header);
  return image;
}

}  // namespace doline::blocklist
