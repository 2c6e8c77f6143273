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

namespace {

int strictness(Encrypted encrypted) {
  return encrypted == Encrypted::reject ? 2 : encrypted == Encrypted::log ? 1 : 0;
}

const FlowLock* lock_of(const device::Device& device, std::span<const FlowLock> locks) {
  const auto found =
      std::find_if(locks.begin(), locks.end(), [&](const FlowLock& lock) { return lock.device == device.name; });
  return found == locks.end() ? nullptr : &*found;
}

}  // namespace

GroupRestriction restriction_of(const device::Device& device, const device::Roster& roster,
                                std::span<const GroupRestriction> by_group, std::span<const FlowLock> locks) {
  device::GroupMask groups = device.groups;
  for (const IpAddress& address : device.addresses) groups |= roster.groups_of(device, address);
  GroupRestriction all;
  if (const FlowLock* lock = lock_of(device, locks)) all.flows = lock->flows;
  for (std::size_t group = 0; group < by_group.size(); ++group) {
    if ((groups >> group & 1) == 0) continue;
    const GroupRestriction& one = by_group[group];
    all.flows = std::max(all.flows, one.flows);
    if (one.encrypted && (!all.encrypted || strictness(*one.encrypted) > strictness(*all.encrypted)))
      all.encrypted = one.encrypted;
  }
  return all;
}

Restrictions restrictions_of(const device::Roster& roster, std::span<const GroupRestriction> by_group,
                             std::span<const FlowLock> locks) {
  Restrictions all;
  std::size_t allowed_macs = 0;
  for (const device::Device& device : roster.devices()) {
    const GroupRestriction one = restriction_of(device, roster, by_group, locks);
    if (const FlowLock* lock = lock_of(device, locks); lock != nullptr && !lock->allowed.empty()) {
      Allowance allowance;
      add(device, allowance.macs);
      sort(allowance.macs);
      allowance.flows = lock->allowed;
      allowed_macs += allowance.macs.size();
      if (!allowance.macs.empty() && allowed_macs <= restricted_max && all.allowances.size() < flow_locks_max)
        all.allowances.push_back(std::move(allowance));
    }
    if (one.flows == Flows::only_resolved) add(device, all.only_resolved);
    if (one.flows == Flows::observe) add(device, all.observed);
    if (one.encrypted == Encrypted::leave || one.encrypted == Encrypted::log) add(device, all.may_encrypt);
    if (one.encrypted == Encrypted::log) add(device, all.log_encrypted);
    if (one.encrypted == Encrypted::reject) add(device, all.must_not_encrypt);
  }
  for (auto* macs : {&all.only_resolved, &all.observed, &all.may_encrypt, &all.must_not_encrypt, &all.log_encrypted})
    sort(*macs);
  std::sort(all.allowances.begin(), all.allowances.end(),
            [](const Allowance& one, const Allowance& other) { return one.macs < other.macs; });
  return all;
}

std::vector<std::string> find_problems(const Restrictions& restrictions) {
  std::vector<std::string> problems;
  for (const auto* macs : {&restrictions.only_resolved, &restrictions.observed, &restrictions.may_encrypt,
                           &restrictions.must_not_encrypt, &restrictions.log_encrypted}) {
    if (macs->size() > restricted_max)
      problems.push_back("more than " + std::to_string(restricted_max) + " restricted MAC addresses of one kind");
    if (std::any_of(macs->begin(), macs->end(), is_nobodys))
      problems.emplace_back("a restricted MAC address is no device's");
  }
  std::size_t flows = 0, allowed_macs = 0;
  for (const Allowance& allowance : restrictions.allowances) {
    flows += allowance.flows.size();
    allowed_macs += allowance.macs.size();
    if (allowance.macs.empty() || std::any_of(allowance.macs.begin(), allowance.macs.end(), is_nobodys))
      problems.emplace_back("a locked MAC address is no device's");
  }
  if (restrictions.allowances.size() > flow_locks_max || allowed_macs > restricted_max || flows > allowed_flows_max)
    problems.push_back("locks of more than " + std::to_string(flow_locks_max) + " devices, or with more than " +
                       std::to_string(allowed_flows_max) + " connections in all");
  if (restrictions.doh_networks.size() > doh_networks_max)
    problems.push_back("more than " + std::to_string(doh_networks_max) + " addresses and networks of DoH servers");
  // The kernel's sets take none twice.
  const auto& networks = restrictions.doh_networks;
  if (std::adjacent_find(networks.begin(), networks.end(), [](const IpPrefix& one, const IpPrefix& next) {
        return next <= one || one.contains(next.address());
      }) != networks.end())
    problems.emplace_back("networks of DoH servers overlap or are in disorder");
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

std::string protocol_name(std::uint8_t protocol) {
  constexpr std::uint8_t tcp = 6, udp = 17;
  if (protocol == 0) return "any protocol";
  return protocol == tcp ? "tcp" : protocol == udp ? "udp" : std::to_string(protocol);
}

std::string describe(const AllowedFlow& flow) {
  const bool is_whole = flow.network.length() == (flow.network.address().is_v4() ? 32 : 128);
  std::string text = protocol_name(flow.protocol);
  if (flow.network.length() == 0)
    text += std::string(" to anywhere (") + (flow.network.address().is_v4() ? "IPv4)" : "IPv6)");
  else
    text += " " + (is_whole ? flow.network.address().to_string() : flow.network.to_string());
  return flow.port == 0 ? text : text + " port " + std::to_string(flow.port);
}

}  // namespace doline::redirect
