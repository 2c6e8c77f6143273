// Foresight: step 2 of a query's path, taken for some queries ahead of the one that is served. What these will look up
// in lists and cache is then on its way from memory, which takes as long as all else that is done for a cached answer.
//
// One worker's loop only.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "blocklist/list_set.h"
#include "cache/cache.h"
#include "dns/message.h"

namespace doline::resolver {

class Foresight {
 public:
  struct Parsed {
    Result<dns::QueryView, dns::MessageFault> query = fail(dns::MessageFault::too_short);
    // Of a query that parsed:
    cache::Key key;                   ///< of its question, as it came; the route is not known yet
    blocklist::NamePlace name_place;  ///< of the key's name in the lists

   private:
    friend class Foresight;
    dns::Octets message;  // none: nobody's, or taken already
  };

  /// `cache` outlives this.
  explicit Foresight(const cache::Cache& cache) : cache_(cache) {}

  /// These will be taken, in this order and with the same octets; one or the other may be left out. Until the next
  /// call they stay where they are.
  void begin(std::span<const dns::Octets> messages, const blocklist::ListSet& lists) {
    for (Parsed& parsed : parsed_) parsed.message = {};
    coming_ = messages;
    for (std::size_t ahead = 0; ahead < messages_ahead; ++ahead) look_ahead(lists);
  }
  /// Lives until as many more have been taken as are kept.
  Parsed& take(dns::Octets message, const blocklist::ListSet& lists) {
    look_ahead(lists);
    for (std::size_t age = 0; age < parsed_.size(); ++age) {  // the oldest first: they are taken in order
      Parsed& parsed = parsed_[(next_ + age) % parsed_.size()];
      const bool is_of_it = parsed.message.data() == message.data() && parsed.message.size() == message.size();
      if (parsed.message.empty() || !is_of_it) continue;
      parsed.message = {};
      return parsed;
    }
    Parsed& parsed = parsed_[next_++ % parsed_.size()];
    parsed.message = {};
    parse(message, lists, parsed);
    return parsed;
  }

 private:
  void look_ahead(const blocklist::ListSet& lists) {
    if (coming_.empty()) return;
    Parsed& parsed = parsed_[next_++ % parsed_.size()];
    parsed.message = coming_.front();
    coming_ = coming_.subspan(1);
    parse(parsed.message, lists, parsed);
    cache_.prefetch_entry(parsed_[(next_ - 1 - entry_behind) % parsed_.size()].key.hash);
  }
  void parse(dns::Octets message, const blocklist::ListSet& lists, Parsed& parsed) const {
    // Where it stays, without a copy.
    std::destroy_at(&parsed.query);
    ::new (static_cast<void*>(&parsed.query)) Result<dns::QueryView, dns::MessageFault>(dns::QueryView::parse(message));
    if (!parsed.query) return;
    const dns::Question& question = parsed.query->question();
    cache::Key& key = parsed.key;
    key.question.qname.assign_lowered(question.qname);
    key.question.qtype = question.qtype;
    key.question.qclass = question.qclass;
    key.dnssec_ok = parsed.query->edns() && parsed.query->edns()->dnssec_ok;
    key.checking_disabled = parsed.query->checking_disabled();
    key.route = 0;
    key.hash = cache_.hash_of(key);
    parsed.name_place = lists.seek(key.question.qname);
    cache_.prefetch(key.hash);
  }

  static constexpr std::size_t messages_ahead = 3;
  static constexpr std::size_t entry_behind = 2;  // so many later a query's line of the index is near

  const cache::Cache& cache_;
  std::span<const dns::Octets> coming_;
  std::array<Parsed, messages_ahead + 1> parsed_;
  std::size_t next_ = 0;
};

}  // namespace doline::resolver
