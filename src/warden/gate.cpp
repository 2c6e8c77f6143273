#include "warden/gate.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <array>
#include <compare>

#include "redirect/plan.h"

namespace doline::warden {

namespace {

enum class Set : std::uint8_t { allowed4, allowed6, answered_doh4, answered_doh6, alive };

const char* name_of(Set set) {
  switch (set) {
    case Set::allowed4:
      return "allowed4";
    case Set::allowed6:
      return "allowed6";
    case Set::answered_doh4:
      return "answered_doh4";
    case Set::answered_doh6:
      return "answered_doh6";
    case Set::alive:
      return "alive";
  }
  return "";
}

/// A MAC address, padded to a multiple of four octets, and an IPv6 address.
constexpr std::size_t key_octets_max = 8 + 16;
/// Of an element's attributes, nests and padding included; and of all that stands before them.
constexpr std::size_t element_octets = 64, message_octets = 256;

}  // namespace

struct Gate::Element {
  Set set;
  std::uint8_t key_octets = 0;
  std::array<std::uint8_t, key_octets_max> key{};
  seconds timeout{0};

  void append(std::span<const std::uint8_t> octets, std::size_t padded_to) {
    std::copy(octets.begin(), octets.end(), key.begin() + key_octets);
    key_octets = static_cast<std::uint8_t>(key_octets + padded_to);
  }
  auto operator<=>(const Element&) const = default;
  [[nodiscard]] std::array<std::uint8_t, 1 + key_octets_max> whole_key() const {
    std::array<std::uint8_t, 1 + key_octets_max> whole{static_cast<std::uint8_t>(set)};
    std::copy(key.begin(), key.end(), whole.begin() + 1);
    return whole;
  }
  [[nodiscard]] bool has_key_of(const Element& other) const { return set == other.set && key == other.key; }
};

namespace {

enum class Change : std::uint8_t { add, remove };

NetlinkMessage message_for(Change change, std::span<const Gate::Element> elements) {
  const int type = NFNL_SUBSYS_NFTABLES << 8 | (change == Change::add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
  NetlinkMessage message(static_cast<std::uint16_t>(type), change == Change::add ? NLM_F_CREATE : 0,
                         message_octets + elements.size() * element_octets);
  message.header<nfgenmsg>().nfgen_family = NFPROTO_INET;
  message.text(NFTA_SET_ELEM_LIST_TABLE, redirect::gate_table);
  message.text(NFTA_SET_ELEM_LIST_SET, name_of(elements.front().set));
  message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
    for (const Gate::Element& element : elements)
      message.nest(NFTA_LIST_ELEM, [&] {
        message.nest(NFTA_SET_ELEM_KEY,
                     [&] { message.attribute(NFTA_DATA_VALUE, std::span(element.key).first(element.key_octets)); });
        const auto timeout_ms = static_cast<std::uint64_t>(milliseconds(element.timeout).count());
        if (change == Change::remove) return;
        message.integer(NFTA_SET_ELEM_TIMEOUT, htobe64(timeout_ms));
        // Without this an element that is there is renewed only where its timeout is another one.
        message.integer(NFTA_SET_ELEM_EXPIRATION, htobe64(timeout_ms));
      });
  });
  return message;
}

}  // namespace

void Gate::hold(const redirect::Restrictions& restrictions) {
  held_ = restrictions.only_resolved;
  held_.insert(held_.end(), restrictions.observed.begin(), restrictions.observed.end());
  std::sort(held_.begin(), held_.end());
}

bool Gate::collect(const redirect::Admission& admission, std::vector<Element>& elements) const {
  if (!std::all_of(admission.addresses.begin(), admission.addresses.end(), redirect::may_be_admitted)) return false;
  const seconds timeout = redirect::time_left(admission);
  if (timeout.count() <= 0) return false;
  if (admission.purpose == redirect::Purpose::doh) {
    for (const IpAddress& address : admission.addresses) {
      Element element{.set = address.is_v4() ? Set::answered_doh4 : Set::answered_doh6, .timeout = timeout};
      element.append(address.octets(), address.octets().size());
      elements.push_back(element);
    }
    return true;
  }
  bool is_anybodys = false;
  for (const device::MacAddress& mac : admission.devices) {
    if (!std::binary_search(held_.begin(), held_.end(), mac)) continue;  // it may connect anyway
    is_anybodys = true;
    for (const IpAddress& address : admission.addresses) {
      Element element{.set = address.is_v4() ? Set::allowed4 : Set::allowed6, .timeout = timeout};
      element.append(mac.octets, 8);
      element.append(address.octets(), address.octets().size());
      elements.push_back(element);
    }
  }
  return is_anybodys;
}

std::vector<redirect::AdmissionAnswer> Gate::admit(std::span<const redirect::Admission> admissions) {
  std::vector<redirect::AdmissionAnswer> answers;
  std::vector<Element> elements;
  for (const redirect::Admission& admission : admissions)
    answers.push_back({admission.ticket, collect(admission, elements)});
  const MonotonicTime now = SystemClock().now().monotonic;
  stay_as_long_as_before(elements, now);
  if (write(elements))
    remember(elements, now);
  else
    for (redirect::AdmissionAnswer& answer : answers) answer.is_admitted = false;
  turned_away_ += static_cast<std::uint64_t>(
      std::count_if(answers.begin(), answers.end(), [](const auto& answer) { return !answer.is_admitted; }));
  return answers;
}

void Gate::stay_as_long_as_before(std::vector<Element>& elements, MonotonicTime now) const {
  for (Element& element : elements)
    if (const auto found = stays_until_.find(element.whole_key()); found != stays_until_.end())
      element.timeout = std::max(element.timeout, std::chrono::ceil<seconds>(found->second - now));
}

/// Of a set that is full of what has not run out nothing new is remembered.
void Gate::remember(const std::vector<Element>& elements, MonotonicTime now) {
  if (stays_until_.size() + elements.size() > gate_remembered_max)
    std::erase_if(stays_until_, [&](const auto& one) { return one.second <= now; });
  for (const Element& element : elements) {
    if (stays_until_.size() >= gate_remembered_max) return;
    MonotonicTime& until = stays_until_[element.whole_key()];
    until = std::max(until, now + element.timeout);
  }
}

bool Gate::stay_alive() {
  std::vector<Element> elements;
  for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
    Element element{.set = Set::alive, .timeout = gate_opens_after};
    element.append(std::span(&family, 1), 1);
    elements.push_back(element);
  }
  return write(elements);
}

bool Gate::write(std::vector<Element>& elements) {
  if (elements.empty()) return true;
  // An element that stands there twice is there for the longest time: nobody's answer is cut short by another's.
  std::sort(elements.begin(), elements.end(), std::greater<>());
  elements.erase(std::unique(elements.begin(), elements.end(),
                             [](const Element& one, const Element& other) { return one.has_key_of(other); }),
                 elements.end());
  std::vector<NetlinkMessage> batch;
  for (auto first = elements.begin(); first != elements.end();) {
    const auto last = std::find_if(first, elements.end(), [&](const Element& one) { return one.set != first->set; });
    const std::span<const Element> of_set(first, last);
    if (renewal_ == Renewal::by_replacing) {
      batch.push_back(message_for(Change::add, of_set));
      batch.push_back(message_for(Change::remove, of_set));
    }
    batch.push_back(message_for(Change::add, of_set));
    first = last;
  }
  return netlink_.commit(batch).has_value();
}

}  // namespace doline::warden
