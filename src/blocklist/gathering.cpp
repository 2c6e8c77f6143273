#include "blocklist/gathering.h"

#include <algorithm>

#include "base/check.h"

namespace doline::blocklist {
namespace {

// The bits of a place behind those that chose the part: one pass spreads a part over so many piles that each is a
// handful.
constexpr std::size_t pile_count = 2048;
std::size_t pile_of(const Said& said) {
  return said.place >> 45 & (pile_count - 1);
}

}  // namespace

void Gathering::grow(Part& part) {
  part.chunks.push_back(std::make_unique_for_overwrite<Said[]>(chunk_entries));
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
  std::array<std::size_t, pile_count> ends{};
  std::size_t count = 0;
  for_each([&](const Said& said) { ++ends[pile_of(said)], ++count; });
  std::size_t begin = 0;
  for (std::size_t& end : ends) {
    const std::size_t size = end;
    end = begin;  // filled up below
    begin += size;
  }
  sorted_.resize(count);
  for_each([&](const Said& said) { sorted_[ends[pile_of(said)]++] = said; });
  begin = 0;
  for (const std::size_t end : ends) {
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
      check(said.list().value < dropped.size());
      if (dropped[said.list().value]) continue;
      if (kept > 0 && sorted_[kept - 1].is_of_name(said)) {
        if (sorted_[kept - 1].list() == said.list()) {
          sorted_[kept - 1].tag_list_covers |= said.tag_list_covers;
          continue;
        }
      } else {
        ++names;
      }
      sorted_[kept++] = said;
    }
    std::size_t at = 0;
    part.chunks.resize((kept + chunk_entries - 1) / chunk_entries);
    part.used = 0;
    for (auto& chunk : part.chunks) {
      part.used = std::min(kept - at, chunk_entries);
      std::copy_n(sorted_.begin() + static_cast<std::ptrdiff_t>(at), part.used, chunk.get());
      at += part.used;
    }
    count_ += kept;
  }
  return names;
}

std::span<const Said> Gathering::take(std::size_t number) {
  Part& part = parts_[number];
  sorted_.clear();
  for (std::size_t chunk = 0; chunk < part.chunks.size(); ++chunk) {
    const std::size_t used = chunk + 1 == part.chunks.size() ? part.used : chunk_entries;
    sorted_.insert(sorted_.end(), part.chunks[chunk].get(), part.chunks[chunk].get() + used);
  }
  count_ -= sorted_.size();
  part = Part{};
  return sorted_;
}

}  // namespace doline::blocklist
