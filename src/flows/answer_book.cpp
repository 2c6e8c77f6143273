#include "flows/answer_book.h"

#include <algorithm>
#include <utility>

namespace doline::flows {

namespace {

std::string lowered_wire(const dns::Name& name) {
  const dns::Name lowered = name.lowered();
  return {reinterpret_cast<const char*>(lowered.wire().data()), lowered.size()};
}

MonotonicTime until_of(seconds ttl, MonotonicTime at) {
  return at + std::max(ttl, answer_ttl_least) + answer_grace;
}

}  // namespace

void AnswerBook::give(const Holder& holder, const dns::Name& name, std::span<const IpAddress> addresses, seconds ttl,
                      MonotonicTime at) {
  if (addresses.empty()) return;
  Shelf& shelf = shelf_of(holder, at);
  const std::string wire = lowered_wire(name);
  const MonotonicTime until = until_of(ttl, at);
  for (const IpAddress& address : addresses) {
    if (address.is_unspecified()) continue;  // a block: nobody connects there
    auto given = shelf.recent.find(address);
    if (given == shelf.recent.end()) {
      if (shelf.recent.size() >= answers_of_device_remembered / 2) {
        drop(shelf.older, shelf, at);
        std::swap(shelf.older, shelf.recent);
      }
      Given moved;
      if (const auto older = shelf.older.find(address); older != shelf.older.end()) {
        moved = std::move(older->second);
        shelf.older.erase(older);
      } else {
        moved.since = at;
        ++size_;
      }
      given = shelf.recent.emplace(address, std::move(moved)).first;
    }
    Given& entry = given->second;
    if (entry.until < at) entry.since = at;  // it was over
    entry.name = wire;
    entry.until = std::max(entry.until, until);
  }
  if (size_ > answers_remembered_max) make_room(at);
}

bool AnswerBook::recall(const Holder& holder, const dns::Name& name, std::span<const IpAddress> addresses, seconds ttl,
                        MonotonicTime at, MonotonicTime now) {
  if (size_ >= answers_remembered_max / 2) return false;
  const MonotonicTime until = until_of(ttl, at);
  if (until < now || (!shelves_.contains(holder) && shelves_.size() >= holders_max)) return true;
  Shelf& shelf = shelf_of(holder, now);
  const std::string wire = lowered_wire(name);
  for (const IpAddress& address : addresses) {
    if (address.is_unspecified() || shelf.older.contains(address)) continue;
    const auto known = shelf.recent.find(address);
    if (known != shelf.recent.end()) {
      Given& entry = known->second;
      if (until >= entry.since) entry.since = std::min(entry.since, at);
      entry.until = std::max(entry.until, until);
    } else if (shelf.recent.size() < answers_of_device_remembered / 2) {
      shelf.recent.emplace(address, Given{wire, at, until});
      ++size_;
    }
  }
  return true;
}

AnswerBook::Shelf& AnswerBook::shelf_of(const Holder& holder, MonotonicTime at) {
  if (const auto found = shelves_.find(holder); found != shelves_.end()) {
    found->second.used = at;
    return found->second;
  }
  if (shelves_.size() >= holders_max) {
    const auto oldest = std::min_element(shelves_.begin(), shelves_.end(), [](const auto& left, const auto& right) {
      return left.second.used < right.second.used;
    });
    drop(oldest->second.recent, oldest->second, at);
    drop(oldest->second.older, oldest->second, at);
    blind_until_ = std::max(blind_until_, oldest->second.forgotten_until);
    shelves_.erase(oldest);
  }
  Shelf& shelf = shelves_[holder];
  shelf.used = at;
  return shelf;
}

void AnswerBook::drop(Answers& answers, Shelf& shelf, MonotonicTime now) {
  for (const auto& [address, given] : answers) {
    if (given.until < now) continue;
    ++evicted_;
    shelf.forgotten_until = std::max(shelf.forgotten_until, given.until);
  }
  size_ -= answers.size();
  answers.clear();
}

/// Who has most loses first.
void AnswerBook::make_room(MonotonicTime now) {
  prune(now);
  while (size_ > answers_remembered_max) {
    auto& largest = std::max_element(shelves_.begin(), shelves_.end(), [](const auto& left, const auto& right) {
                      return left.second.size() < right.second.size();
                    })->second;
    drop(largest.older.empty() ? largest.recent : largest.older, largest, now);
  }
}

void AnswerBook::prune(MonotonicTime now) {
  for (auto shelf = shelves_.begin(); shelf != shelves_.end();) {
    for (Answers* answers : {&shelf->second.recent, &shelf->second.older})
      size_ -= std::erase_if(*answers, [now](const auto& entry) { return entry.second.until < now; });
    shelf = shelf->second.size() == 0 && shelf->second.forgotten_until < now ? shelves_.erase(shelf) : std::next(shelf);
  }
}

std::optional<dns::Name> AnswerBook::find(const Holder& holder, const IpAddress& address, MonotonicTime at) const {
  const auto shelf = shelves_.find(holder);
  if (shelf == shelves_.end()) return std::nullopt;
  for (const Answers* answers : {&shelf->second.recent, &shelf->second.older}) {
    const auto given = answers->find(address);
    if (given == answers->end()) continue;
    if (given->second.since > at || given->second.until < at) return std::nullopt;
    const std::string& wire = given->second.name;
    const auto name = dns::Name::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
    return name ? std::optional(*name) : std::nullopt;
  }
  return std::nullopt;
}

bool AnswerBook::has_forgotten(const Holder& holder, MonotonicTime at) const {
  if (at <= blind_until_) return true;
  const auto shelf = shelves_.find(holder);
  return shelf != shelves_.end() && at <= shelf->second.forgotten_until;
}

}  // namespace doline::flows
