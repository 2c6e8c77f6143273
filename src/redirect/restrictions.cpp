#include "redirect/restrictions.h"

#include <algorithm>

namespace doline::redirect {

namespace {

/// A frame never comes from such an address.
bool is_nobodys(const device::MacAddress& mac) {
  return mac.is_zero() || (mac.octets[0] & 1) != 0;
}

void add(const device::Device& device, std::vector<device::MacAddress>& macs) {
  for (const device::MacAddress& mac : device.macs)
    if (!is_nobodys(mac) && macs.size() < restricted_max) macs.push_back(mac);
}

/// Equal restrictions make equal rules, whatever the order of the roster.
void sort(std::vector<device::MacAddress>& macs) {
  std::sort(macs.begin(), macs.end());
  macs.erase(std::unique(macs.begin(), macs.end()), macs.end());
}

}  // namespace

GroupRestriction restriction_of(const device::Device& device, const device::Roster& roster,
                                std::span<const GroupRestriction> by_group) {
  device::GroupMask groups = device.groups;
  for (const IpAddress& address : device.addresses) groups |= roster.groups_of(device, address);
  GroupRestriction all;
  for (std::size_t group = 0; group < by_group.size(); ++group) {
    if ((groups >> group & 1) == 0) continue;
    const GroupRestriction& one = by_group[group];
    all.flows = std::max(all.flows, one.flows);
    if (one.encrypted && (!all.encrypted || *one.encrypted == Encrypted::reject)) all.encrypted = one.encrypted;
  }
  return all;
}

Restrictions restrictions_of(const device::Roster& roster, std::span<const GroupRestriction> by_group) {
  Restrictions all;
  for (const device::Device& device : roster.devices()) {
    const GroupRestriction one = restriction_of(device, roster, by_group);
    if (one.flows == Flows::only_resolved) add(device, all.only_resolved);
    if (one.flows == Flows::observe) add(device, all.observed);
    if (one.encrypted == Encrypted::leave) add(device, all.may_encrypt);
    if (one.encrypted == Encrypted::reject) add(device, all.must_not_encrypt);
  }
  for (auto* macs : {&all.only_resolved, &all.observed, &all.may_encrypt, &all.must_not_encrypt}) sort(*macs);
  return all;
}

std::vector<std::string> find_problems(const Restrictions& restrictions) {
  std::vector<std::string> problems;
  for (const auto* macs : {&restrictions.only_resolved, &restrictions.observed, &restrictions.may_encrypt,
                           &restrictions.must_not_encrypt}) {
    if (macs->size() > restricted_max)
      problems.push_back("more than " + std::to_string(restricted_max) + " restricted MAC addresses of one kind");
    if (std::any_of(macs->begin(), macs->end(), is_nobodys))
      problems.emplace_back("a restricted MAC address is no device's");
  }
  if (restrictions.doh_addresses.size() > doh_addresses_max)
    problems.push_back("more than " + std::to_string(doh_addresses_max) + " addresses of DoH servers");
  return problems;
}

std::string_view to_string(Flows flows) {
  switch (flows) {
    case Flows::any:
      return "any";
    case Flows::observe:
      return "observe";
    case Flows::only_resolved:
      return "only-resolved";
  }
  return "?";
}

}  // namespace doline::redirect
