#include "policy/answer.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "dns/read_octets.h"
#include "policy/rebinding.h"

namespace doline::policy {

namespace {

using dns::RecordType;

/// SvcParams stand behind priority and target, which is not compressed.
void collect_hints(dns::Octets rdata, std::vector<IpAddress>& addresses) {
  constexpr std::uint16_t ipv4_hint = 4, ipv6_hint = 6;
  for (std::size_t at = dns::behind_name(rdata, 2); at + 4 <= rdata.size();) {
    const std::uint16_t key = dns::read16(rdata, at), octets = dns::read16(rdata, at + 2);
    at += 4;
    if (rdata.size() - at < octets) return;
    const std::size_t each = key == ipv4_hint ? 4 : 16;
    if (key == ipv4_hint || key == ipv6_hint)
      for (std::size_t begin = 0; begin + each <= octets; begin += each)
        addresses.push_back(IpAddress::from_octets(rdata.subspan(at + begin, each)));
    at += octets;
  }
}

/// `see(type, ttl_seconds, rdata)` for each record of the Answer section, which begins at `at`, as far as it can be
/// read.
template <class See>
void each_answer_from(std::size_t at, dns::Octets words, See see) {
  constexpr std::size_t head_octets = 10;
  for (int answers = dns::read16(words, 6); answers > 0; --answers) {
    at = dns::behind_name(words, at);
    if (at + head_octets > words.size()) return;
    const auto type = static_cast<RecordType>(dns::read16(words, at));
    const std::uint32_t ttl_seconds = std::uint32_t{dns::read16(words, at + 4)} << 16 | dns::read16(words, at + 6);
    const std::size_t octets = dns::read16(words, at + 8);
    at += head_octets;
    if (words.size() - at < octets) return;
    see(type, ttl_seconds, words.subspan(at, octets));
    at += octets;
  }
}

template <class See>
void each_answer(dns::Octets words, See see) {
  if (words.size() < dns::header_octets) return;
  std::size_t at = dns::header_octets;
  for (int questions = dns::read16(words, 4); questions > 0; --questions) at = dns::behind_name(words, at) + 4;
  each_answer_from(at, words, see);
}

/// True of every inward address, and of few others.
bool begins_like_inward(dns::Octets address) {
  constexpr auto with = [](std::initializer_list<int> octets) {
    std::array<std::uint64_t, 4> bits{};
    for (const int octet : octets) bits[static_cast<std::size_t>(octet) / 64] |= std::uint64_t{1} << octet % 64;
    return bits;
  };
  constexpr std::array<std::uint64_t, 4> v4 = with({0, 10, 127, 169, 172, 192}), v6 = with({0, 0x20, 0xfc, 0xfd, 0xfe});
  const std::uint8_t first = address[0];
  return ((address.size() == 4 ? v4 : v6)[first / 64] >> first % 64 & 1) != 0;
}

bool is_address(RecordType type, dns::Octets rdata) {
  return (type == RecordType::a && rdata.size() == 4) || (type == RecordType::aaaa && rdata.size() == 16);
}

}  // namespace

bool leads_on(RecordType type) {
  return type == RecordType::cname || type == RecordType::https || type == RecordType::svcb || type == RecordType::ptr;
}

Glance glance_at(dns::Octets words, std::size_t qname_octets) {
  Glance glance;
  each_answer_from(
      dns::header_octets + qname_octets + 4, words, [&](RecordType type, std::uint32_t, dns::Octets rdata) {
        glance.is_empty = false;
        if (is_address(type, rdata))
          glance.leads_inward =
              glance.leads_inward || (begins_like_inward(rdata) && is_inward(IpAddress::from_octets(rdata)));
        else
          glance.leads_on |= leads_on(type);
      });
  return glance;
}

void collect_addresses(dns::Octets words, std::vector<IpAddress>& addresses) {
  addresses.clear();
  each_answer(words, [&](RecordType type, std::uint32_t, dns::Octets rdata) {
    if (is_address(type, rdata))
      addresses.push_back(IpAddress::from_octets(rdata));
    else if ((type == RecordType::https || type == RecordType::svcb) && rdata.size() > 2)
      collect_hints(rdata, addresses);
  });
}

std::uint32_t longest_ttl(dns::Octets words) {
  std::uint32_t longest = 0;
  each_answer(words,
              [&](RecordType, std::uint32_t ttl_seconds, dns::Octets) { longest = std::max(longest, ttl_seconds); });
  return longest;
}

}  // namespace doline::policy
