#include "blocklist/gathering.h"

#include <sys/mman.h>

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace doline::blocklist {
namespace {

// The bits of a place behind those that chose the part: one pass spreads a part over so many piles that each is a
// handful.
constexpr std::size_t pile_count = 8192;
std::size_t pile_of(const Said& said) {
  return said.place >> 43 & (pile_count - 1);
}

}  // namespace

void Gathering::grow(Part& part) {
  if (free_.empty()) {
    slabs_.emplace_back(static_cast<Said*>(::operator new(slab_octets, std::align_val_t{slab_octets})));
    Said* slab = slabs_.back().get();
    ::madvise(slab, slab_octets, MADV_HUGEPAGE);  // where there are none, small pages serve
    // The first chunk is the last in line, so that a slab is used from its beginning.
    for (std::size_t end = slab_octets / sizeof(Said); end > 0; end -= chunk_entries)
      free_.push_back(slab + end - chunk_entries);
  }
  part.chunks.push_back(free_.back());
  free_.pop_back();
  part.used = 0;
}

// Fills sorted_ with the part's entries in ascending order.
void Gathering::collect_sorted(Part& part) {
  const auto for_each = [&part](auto&& visit) {
    for (std::size_t chunk = 0; chunk < part.chunks.size(); ++chunk) {
      const std::size_t used = chunk + 1 == part.chunks.size() ? part.used : chunk_entries;
      for (std::size_t at = 0; at < used; ++at) visit(part.chunks[chunk][at]);
    }
  };
  std::array<std::uint32_t, pile_count> ends{};
  std::size_t count = 0;
  for_each([&](const Said& said) { ++ends[pile_of(said)], ++count; });
  std::uint32_t begin = 0;
  for (std::uint32_t& end : ends) {
    const std::uint32_t size = end;
    end = begin;  // filled up below
    begin += size;
  }
  sorted_.resize(count);
  for_each([&](const Said& said) { sorted_[ends[pile_of(said)]++] = said; });
  begin = 0;
  for (const std::uint32_t end : ends) {
    std::sort(sorted_.begin() + static_cast<std::ptrdiff_t>(begin), sorted_.begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
}

std::uint64_t Gathering::merge(const std::vector<bool>& dropped) {
  std::uint64_t names = 0;
  count_ = 0;
  for (Part& part : parts_) {
    collect_sorted(part);
    std::size_t kept = 0;
    for (const Said& said : sorted_) {
      const ListId list = said.list();
      check(list == more || list.value < dropped.size());
      if (list != more && dropped[list.value]) continue;
      if (kept > 0 && sorted_[kept - 1].is_of_name(said)) {
        if (sorted_[kept - 1].list() == said.list()) {
          sorted_[kept - 1].tag_list_extents |= said.tag_list_extents;
          continue;
        }
      } else {
        ++names;
      }
      sorted_[kept++] = said;
    }
    std::size_t at = 0;
    const std::size_t needed = (kept + chunk_entries - 1) / chunk_entries;
    free_.insert(free_.end(), part.chunks.begin() + static_cast<std::ptrdiff_t>(needed), part.chunks.end());
    part.chunks.resize(needed);
    part.used = 0;
    for (Said* chunk : part.chunks) {
      part.used = std::min(kept - at, chunk_entries);
      std::copy_n(sorted_.begin() + static_cast<std::ptrdiff_t>(at), part.used, chunk);
      at += part.used;
    }
    count_ += kept;
  }
  return names;
}

std::span<const Said> Gathering::part(std::size_t number) {
  const Part& part = parts_[number];
  sorted_.clear();
  for (std::size_t chunk = 0; chunk < part.chunks.size(); ++chunk) {
    const std::size_t used = chunk + 1 == part.chunks.size() ? part.used : chunk_entries;
    sorted_.insert(sorted_.end(), part.chunks[chunk], part.chunks[chunk] + used);
  }
  return sorted_;
}

void Gathering::sort_more() {
  const auto order = [](const SaidMore& said) { return std::tuple(said.key.place, said.key.tag, said.rule); };
  std::sort(more_.begin(), more_.end(),
            [&](const SaidMore& left, const SaidMore& right) { return order(left) < order(right); });
  std::size_t kept = 0;
  for (const SaidMore& said : more_) {
    if (kept > 0 && order(more_[kept - 1]) == order(said)) {
      more_[kept - 1].extents |= said.extents;
      continue;
    }
    more_[kept++] = said;
    add(Said(said.key, more, name_and_below));
  }
  more_.resize(kept);
}

std::span<const SaidMore> Gathering::more_of(const NameKey& key) const {
  const auto order = [](const NameKey& one) { return std::pair(one.place, one.tag); };
  const auto first =
      std::lower_bound(more_.begin(), more_.end(), key,
                       [&](const SaidMore& said, const NameKey& wanted) { return order(said.key) < order(wanted); });
  auto end = first;
  while (end != more_.end() && order(end->key) == order(key)) ++end;
  return {first, end};
}

}  // namespace doline::blocklist
