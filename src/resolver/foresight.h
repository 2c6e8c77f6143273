// Foresight: step 2 of a query's path, taken for some queries ahead of the one that is served. What these will look up
// in lists and cache is then on its way from memory, which takes as long as all else that is done for a cached answer.
//
// One worker's loop only.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <new>

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

  /// From here on the octets that were looked at may be others.
  void forget() {
    for (Parsed& parsed : parsed_) parsed.message = {};
  }
  void look_at(dns::Octets message, const blocklist::ListSet& lists) {
    Parsed& parsed = parsed_[next_++ % parsed_.size()];
    parsed.message = message;
    parse(message, lists, parsed);
    cache_.prefetch_entry(parsed_[(next_ - 1 - entry_behind) % parsed_.size()].key.hash);
  }
  /// Lives until as many more have been looked at or taken as are kept.
  Parsed& take(dns::Octets message, const blocklist::ListSet& lists) {
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

  const cache::Cache& cache_;
  static constexpr std::size_t entry_behind = 2;  // so many later a query's line of the index is near
  std::array<Parsed, 4> parsed_;
  std::size_t next_ = 0;
};

}  // namespace doline::resolver
