#include "resolver/server_search.h"

#include <algorithm>

#include "base/check.h"
#include "policy/answer.h"

namespace doline::resolver {

using dns::RecordType;

struct ServerSearch::Look {
  cache::Cache& cache;
  std::uint16_t route;
  MonotonicTime now;
  const std::function<bool(const cache::Key&)>& has_failed;
  ServerSearch& search;

  /// Nothing: it is missing, or cannot be had.
  [[nodiscard]] std::optional<dns::ResponseView> find(const dns::Name& name, RecordType type) const {
    cache::Key key;
    key.question = {name, type};
    key.route = route;
    key.hash = cache.hash_of(key);
    const auto hit = cache.find(key, now);
    if (!hit || hit->is_stale) {
      if (has_failed(key))
        search.is_unknown_ = true;
      else
        search.missing_.push_back(key);
      return std::nullopt;
    }
    const auto view = dns::ResponseView::parse(hit->words);
    check(view.has_value());  // accept() made it
    return *view;
  }
};

void ServerSearch::search(cache::Cache& cache, const Order& order, MonotonicTime now,
                          const std::function<bool(const cache::Key&)>& has_failed) {
  found_.names.clear();
  found_.addresses.clear();
  missing_.clear();
  zones_.clear();
  is_unknown_ = false;
  const auto answer = dns::ResponseView::parse(order.words);
  check(answer.has_value());  // accept() made it
  const Look look{cache, order.route, now, has_failed, *this};

  search_zone(look, answer->question().qname.lowered());
  int zones = 1;
  for (const dns::RecordView& record : *answer) {
    if (record.section != dns::Section::answer || record.type != RecordType::cname) continue;
    if (++zones > server_zones_max) break;
    search_zone(look, answer->rdata_name(record, 0).lowered());
  }
  std::sort(found_.names.begin(), found_.names.end());
  found_.names.erase(std::unique(found_.names.begin(), found_.names.end()), found_.names.end());
  if (!order.wants_addresses || !missing_.empty()) return;
  const std::size_t asked = std::min(found_.names.size(), server_addresses_max);
  for (std::size_t at = 0; at < asked; ++at) search_addresses(look, found_.names[at]);
  std::sort(found_.addresses.begin(), found_.addresses.end());
}

/// From the name upwards: the denial of NS records names the zone's apex by its SOA record.
void ServerSearch::search_zone(const Look& look, dns::Name name) {
  for (int step = 0; step < server_steps_max && !name.is_root(); ++step) {
    if (std::find(zones_.begin(), zones_.end(), name) != zones_.end()) return;
    const auto view = look.find(name, RecordType::ns);
    if (!view) return;
    zones_.push_back(name);
    bool is_zone = false;
    dns::Name above = name.ancestor(1);
    for (const dns::RecordView& record : *view) {
      if (record.section == dns::Section::answer && record.type == RecordType::ns && view->owner(record) == name) {
        is_zone = true;
        if (found_.names.size() < server_names_max) found_.names.push_back(view->rdata_name(record, 0).lowered());
      } else if (record.section == dns::Section::authority && record.type == RecordType::soa) {
        const dns::Name apex = view->owner(record).lowered();
        if (apex != name && name.is_within(apex)) above = apex;
      }
    }
    if (is_zone) return;
    name = above;
  }
  is_unknown_ = true;
}

void ServerSearch::search_addresses(const Look& look, const dns::Name& server) {
  for (const RecordType type : {RecordType::a, RecordType::aaaa})
    if (const auto view = look.find(server, type)) {
      policy::collect_addresses(view->octets(), scratch_);
      found_.addresses.insert(found_.addresses.end(), scratch_.begin(), scratch_.end());
    }
}

}  // namespace doline::resolver
