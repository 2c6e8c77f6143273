#include "transfer/incoming_zone.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/ip_address.h"
#include "dns/presentation.h"
#include "dns/write_octets.h"
#include "dns/writer.h"

namespace doline::transfer {

namespace {

std::string to_absolute(const dns::Name& name) {
  std::string text = name.lowered().to_string();
  if (text != ".") text += '.';
  return text;
}

std::string name_at(dns::Octets rdata, std::size_t& at) {
  const auto name = dns::Name::from_wire(rdata.subspan(at));
  check(name.has_value());  // the record has been checked
  at += name->size();
  return to_absolute(*name);
}

std::string to_text(dns::RecordType type, dns::Octets rdata) {
  std::size_t at = 0;
  switch (type) {
    case dns::RecordType::a:
    case dns::RecordType::aaaa:
      return IpAddress::from_octets(rdata).to_string();
    case dns::RecordType::cname:
    case dns::RecordType::ns:
      return name_at(rdata, at);
    case dns::RecordType::soa: {
      const std::string server = name_at(rdata, at), mailbox = name_at(rdata, at);
      const dns::SoaNumbers soa = *dns::read_soa(rdata);
      return server + ' ' + mailbox + ' ' + std::to_string(soa.serial) + ' ' + std::to_string(soa.refresh) + ' ' +
             std::to_string(soa.retry) + ' ' + std::to_string(soa.expire) + " 0";
    }
    default:
      return dns::to_generic_rdata(rdata);
  }
}

/// RFC 1982.
bool is_newer(std::uint32_t serial, std::uint32_t than) {
  return static_cast<std::int32_t>(serial - than) > 0;
}

}  // namespace

std::vector<std::uint8_t> make_transfer_query(std::uint16_t id, const dns::Name& zone,
                                              std::optional<std::uint32_t> have) {
  std::vector<std::uint8_t> octets(1'024);
  dns::MessageWriter writer(octets);
  writer.header(id, {.response = false, .recursion_available = false}, dns::ResponseCode::noerror);
  bool is_written = writer.question({zone, have ? dns::RecordType::ixfr : dns::RecordType::axfr});
  if (have) {
    // Of our SOA record only the serial is of meaning (RFC 1995 §3).
    std::array<std::uint8_t, 22> soa{};
    dns::put32(soa.data() + 2, *have);
    is_written = is_written && writer.record(dns::Section::authority, zone, dns::RecordType::soa, dns::RecordClass::in,
                                             0, dns::Octets(soa));
  }
  check(is_written);
  octets.resize(writer.size());
  return octets;
}

std::string to_line(const dns::Record& record) {
  return to_absolute(record.owner) + ' ' + dns::to_string(record.type) + ' ' + to_text(record.type, record.rdata) +
         '\n';
}

Result<bool, IncomingZone::Fault> IncomingZone::take(const dns::TransferMessage& message) {
  if (message.code != dns::ResponseCode::noerror)
    return fail(Fault{"it answers " + dns::to_string(message.code), have_.has_value()});
  if (message.question && message.question->qname != zone_)
    return fail(Fault{"it answers for " + message.question->qname.to_string(), false});
  if (message.answers.empty()) return fail(Fault{"its answer is empty", have_.has_value()});
  for (const dns::Record& record : message.answers)
    if (auto fault = take_record(record, expect_ == Expect::first && message.answers.size() == 1))
      return fail(*std::move(fault));
  return expect_ == Expect::nothing;
}

std::optional<IncomingZone::Fault> IncomingZone::take_record(const dns::Record& record, bool is_alone) {
  if (expect_ == Expect::nothing) return Fault{"records follow the zone's end", false};
  if (record.record_class != dns::RecordClass::in || !record.owner.is_within(zone_))
    return Fault{"its answer holds what is not of the zone: " + record.owner.to_string(), false};
  ++records_;
  if (record.type == dns::RecordType::soa) return take_soa(record, is_alone);
  switch (expect_) {
    case Expect::first:
    case Expect::nothing:
      return Fault{"its answer does not begin with the zone's SOA record", false};
    case Expect::second:
      kind_ = Kind::whole;
      expect_ = Expect::records;
      text_ = soa_line_;
      [[fallthrough]];
    case Expect::records:
      text_ += to_line(record);
      return std::nullopt;
    case Expect::removals:
    case Expect::additions:
      changes_.push_back({expect_ == Expect::additions, to_line(record)});
      change_octets_ += sizeof(LineChange) + changes_.back().line.size();
      if (change_octets_ > difference_octets_max) return Fault{"the difference is too large", true};
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<IncomingZone::Fault> IncomingZone::take_soa(const dns::Record& record, bool is_alone) {
  const auto soa = dns::read_soa(record.rdata);
  if (!soa || record.owner != zone_) return Fault{"its SOA record is not the zone's", false};
  switch (expect_) {
    case Expect::first:
      soa_ = *soa;
      soa_line_ = to_line(record);
      if (have_ && is_alone && !is_newer(soa->serial, *have_)) {  // RFC 1995 §2
        kind_ = Kind::unchanged;
        expect_ = Expect::nothing;
        if (soa->serial != *have_)
          return Fault{"it has serial " + std::to_string(soa->serial) + ", older than ours, " + std::to_string(*have_),
                       false};
        return std::nullopt;
      }
      expect_ = Expect::second;
      return std::nullopt;
    case Expect::second:
      if (have_ && soa->serial == *have_ && soa->serial != soa_.serial) {
        kind_ = Kind::difference;
        expect_ = Expect::removals;
        return std::nullopt;
      }
      if (*soa != soa_) return Fault{"its SOA records contradict each other", have_.has_value()};
      kind_ = Kind::whole;  // and empty
      text_ = soa_line_;
      expect_ = Expect::nothing;
      return std::nullopt;
    case Expect::records:
      if (*soa != soa_) return Fault{"the zone has changed while it came", false};
      expect_ = Expect::nothing;
      return std::nullopt;
    case Expect::removals:
      step_ = soa->serial;
      expect_ = Expect::additions;
      return std::nullopt;
    case Expect::additions:
      if (soa->serial != step_) return Fault{"the parts of its difference do not fit together", true};
      expect_ = step_ == soa_.serial ? Expect::nothing : Expect::removals;
      return std::nullopt;
    case Expect::nothing:
      break;
  }
  return Fault{"records follow the zone's end", false};
}

std::optional<std::string> apply_changes(std::string_view copy, std::string_view soa_line,
                                         const std::vector<LineChange>& changes) {
  struct Fate {
    bool was_removed_first;  // by the first change that speaks of it: then the copy must have it
    bool stays;
    bool is_in_copy = false;
  };
  std::unordered_map<std::string_view, Fate> fates;
  for (const LineChange& change : changes) {
    const auto [place, is_new] = fates.try_emplace(change.line, Fate{!change.is_added, change.is_added});
    if (is_new) continue;
    if (place->second.stays == change.is_added) return std::nullopt;
    place->second.stays = change.is_added;
  }
  std::string text(soa_line);
  bool is_first = true;
  while (!copy.empty()) {
    const std::string_view line = copy.substr(0, std::min(copy.find('\n'), copy.size() - 1) + 1);
    copy.remove_prefix(line.size());
    if (std::exchange(is_first, false)) continue;  // the old SOA record
    const auto fate = fates.find(line);
    if (fate == fates.end()) {
      text += line;
      continue;
    }
    fate->second.is_in_copy = true;
    if (fate->second.stays) text += line;
  }
  for (const auto& [line, fate] : fates)
    if (fate.is_in_copy != fate.was_removed_first) return std::nullopt;
  for (const LineChange& change : changes)
    if (Fate& fate = fates.find(change.line)->second; fate.stays && !std::exchange(fate.is_in_copy, true))
      text += change.line;
  return text;
}

}  // namespace doline::transfer
