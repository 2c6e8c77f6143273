#include "response/local_records.h"

#include <algorithm>

#include "base/check.h"
#include "response/special_use.h"

namespace doline::response {

namespace {

using dns::Name;
using dns::RecordType;

std::string_view text_of(const Name& name) {
  return {reinterpret_cast<const char*>(name.wire().data()), name.size()};
}

}  // namespace

Name reverse_name(const IpAddress& address) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  const auto octets = address.octets();
  for (auto octet = octets.rbegin(); octet != octets.rend(); ++octet) {
    if (address.is_v4()) {
      text += std::to_string(*octet) + '.';
    } else {
      text += {digits[*octet & 15], '.', digits[*octet >> 4], '.'};
    }
  }
  const auto name = Name::parse(text + (address.is_v4() ? "in-addr.arpa" : "ip6.arpa"));
  check(name.has_value());
  return *name;
}

LocalRecord address_record(const IpAddress& address, std::uint32_t ttl_seconds) {
  const auto octets = address.octets();
  return {address.is_v4() ? RecordType::a : RecordType::aaaa, ttl_seconds, {octets.begin(), octets.end()}};
}

void LocalRecords::Builder::add(const Name& owner, bool is_wildcard, const LocalRecord& record) {
  Table& table = is_wildcard ? made_->wildcards_ : made_->names_;
  const auto [found, is_new] = table.try_emplace(std::string(text_of(owner)), Said{source_, {}});
  if (is_new) note_above(text_of(owner), is_wildcard);
  if (is_wildcard) made_->wildcard_labels_max_ = std::max(made_->wildcard_labels_max_, owner.label_count());
  std::vector<LocalRecord>& records = found->second.records;
  if (found->second.source == source_ && records.size() < local_records_max &&
      std::find(records.begin(), records.end(), record) == records.end())
    records.push_back(record);
}

/// What stands behind the `*.` of a wildcard is above the names that it stands for.
void LocalRecords::Builder::note_above(std::string_view wire, bool is_wildcard) {
  if (is_wildcard) made_->above_.emplace(wire);
  while (wire[0] != 0) {
    wire.remove_prefix(static_cast<unsigned char>(wire[0]) + 1u);
    made_->above_.emplace(wire);
  }
}

void LocalRecords::Builder::add_source(std::span<const LocalName> names) {
  ++source_;
  for (const LocalName& name : names)
    for (const LocalRecord& record : name.records) add(name.owner, name.is_wildcard, record);
  for (const LocalName& name : names) {
    if (name.is_wildcard) continue;
    const auto said = made_->names_.find(text_of(name.owner));
    if (said == made_->names_.end() || said->second.source != source_) continue;
    for (const LocalRecord& record : name.records) {
      if (record.type != RecordType::a && record.type != RecordType::aaaa) continue;
      const Name reverse = reverse_name(IpAddress::from_octets(record.rdata));
      if (made_->names_.contains(text_of(reverse))) continue;
      const auto target = name.owner.wire();
      add(reverse, false, {RecordType::ptr, record.ttl_seconds, {target.begin(), target.end()}});
    }
  }
}

std::shared_ptr<const LocalRecords> LocalRecords::Builder::build() {
  if (made_->names_.empty() && made_->wildcards_.empty()) return nullptr;
  return std::move(made_);
}

std::span<const LocalRecord> LocalRecords::find(const Name& lowered) const {
  const std::string_view wire = text_of(lowered);
  if (const auto found = names_.find(wire); found != names_.end()) return found->second.records;
  if (wildcards_.empty()) return {};
  // From the nearest name above to the farthest: the first that anything is said of decides.
  int labels = lowered.label_count();
  for (std::size_t at = 0; wire[at] != 0;) {
    at += static_cast<unsigned char>(wire[at]) + 1u;
    if (--labels > wildcard_labels_max_) continue;
    const std::string_view above = wire.substr(at);
    if (const auto found = wildcards_.find(above); found != wildcards_.end()) return found->second.records;
    if (names_.contains(above)) return {};
  }
  return {};
}

std::span<const LocalRecord> LocalRecords::find(const Name& lowered, RecordType type) const {
  const auto records = find(lowered);
  const bool is_of_zone = !records.empty() && is_asked_of_zones(type) && lowered.label_count() == 1;
  if (is_of_zone && std::none_of(records.begin(), records.end(), [&](const LocalRecord& r) { return r.type == type; }))
    return {};
  return records;
}

const LocalRecord* LocalRecords::find_cname(std::span<const LocalRecord> records) {
  const auto found = std::find_if(records.begin(), records.end(),
                                  [](const LocalRecord& record) { return record.type == RecordType::cname; });
  return found == records.end() ? nullptr : &*found;
}

bool LocalRecords::has_below(const Name& lowered) const {
  return above_.contains(text_of(lowered));
}

std::optional<LocalTarget> LocalRecords::find_target(std::span<const LocalRecord> records, RecordType type) const {
  if (type == RecordType::cname || type == RecordType::any) return std::nullopt;
  std::uint32_t ttl = UINT32_MAX;
  for (std::size_t steps = 0; steps < local_chain_max; ++steps) {
    const LocalRecord* cname = find_cname(records);
    if (cname == nullptr) return std::nullopt;
    const auto target = Name::from_wire(cname->rdata);
    check(target.has_value());
    ttl = std::min(ttl, cname->ttl_seconds);
    records = find(*target);
    if (records.empty()) return LocalTarget{*target, ttl};
  }
  return std::nullopt;
}

}  // namespace doline::response
