#include "resolver/client_book.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "dns/read_octets.h"
#include "policy/walk.h"

namespace doline::resolver {

namespace {

constexpr std::chrono::minutes stranger_memory{1};
/// Whom the router leads here becomes our neighbour by our first response to it.
constexpr milliseconds neighbour_delay{10};
/// The first look after the kernel was told to find out; each later one takes as long as all before it.
constexpr milliseconds meeting_delay{2};

/// RFC 7871 §6: of a source prefix that is a whole address.
std::optional<IpAddress> lone_address(dns::Octets subnet) {
  if (subnet.size() == 8 && dns::read16(subnet, 0) == 1 && subnet[2] == 32)
    return IpAddress::from_octets(subnet.subspan(4));
  if (subnet.size() == 20 && dns::read16(subnet, 0) == 2 && subnet[2] == 128)
    return IpAddress::from_octets(subnet.subspan(4));
  return std::nullopt;
}

}  // namespace

ClientBook::ClientBook(bool keeps_records, std::function<std::optional<device::MacAddress>(const IpAddress&)> find_mac,
                       std::function<bool(const IpAddress&)> meet,
                       std::function<void(const IpAddress&)> report_stranger)
    : keeps_records_(keeps_records),
      find_mac_(std::move(find_mac)),
      meet_(std::move(meet)),
      report_stranger_(std::move(report_stranger)) {}

void ClientBook::install(const Snapshot& snapshot) {
  snapshot_ = &snapshot;
  clients_.assign(clients_known_max, {});
}

void ClientBook::begin(Client& client, const IpAddress& address) const {
  client.address = address;
  const auto holds_it = [&](const IpPrefix& prefix) { return prefix.contains(address); };
  client.may_ask = std::any_of(snapshot_->allow_clients.begin(), snapshot_->allow_clients.end(), holds_it);
  client.may_speak_for_others =
      std::any_of(snapshot_->trusted_routers.begin(), snapshot_->trusted_routers.end(), holds_it);
  describe_as(client, snapshot_->roster->identify(address));
  client.look_again = client.device->id.value == 0 ? MonotonicTime::min() : MonotonicTime::max();
  client.is_met_until = client.report_again = MonotonicTime::min();
}

const Client& ClientBook::identify_behind(const Client& router, const dns::Edns& edns) {
  const auto address = edns.client_subnet ? lone_address(*edns.client_subnet) : std::nullopt;
  const auto& id = edns.client_id;
  if (!address && !id) return router;
  behind_router_.address = address.value_or(router.address);
  behind_router_.may_ask = router.may_ask;
  const std::string_view text = id ? std::string_view(reinterpret_cast<const char*>(id->data()), id->size()) : "";
  auto mac = device::MacAddress::parse(text);
  if (id && id->size() == 6) std::copy(id->begin(), id->end(), mac.emplace().octets.begin());
  if (const auto decoded = device::MacAddress::parse_base64(text); decoded && snapshot_->roster->find(*decoded))
    mac = decoded;
  const device::Device* device = mac ? snapshot_->roster->find(*mac) : nullptr;
  if (device == nullptr && mac && !address) device = &snapshot_->roster->devices()[0];  // not the router itself
  if (device == nullptr) device = &snapshot_->roster->identify(behind_router_.address, mac ? "" : text);
  describe_as(behind_router_, *device);
  return behind_router_;
}

void ClientBook::describe_as(Client& client, const device::Device& device) const {
  client.device = &device;
  if (snapshot_->rate_tally)
    client.bucket = device.id.value == 0 ? RateTally::bucket_of(client.address) : policy::hash_of(device.name);
  client.groups = snapshot_->roster->groups_of(device, client.address);
  client.log = keeps_records_ ? snapshot_->roster->log_choice(device, client.groups) : device::LogChoice::none;
}

void ClientBook::look_at(Client& client, MonotonicTime now) {
  if (now >= looks_end_) {
    looks_left_ = strangers_looked_for_max;
    looks_end_ = now + seconds(1);
  }
  if (looks_left_ == 0) return;
  --looks_left_;
  const auto mac = find_mac_(client.address);
  const device::Device* known = mac ? snapshot_->roster->find(*mac) : nullptr;
  describe_as(client, known != nullptr ? *known : snapshot_->roster->devices()[0]);
  const bool is_news = now >= client.report_again;
  if (mac)
    client.is_met_until = MonotonicTime::min();
  else if (is_news && meet_(client.address))
    client.is_met_until = now + neighbour_patience;
  MonotonicTime::duration pause = is_news && !mac ? neighbour_delay : milliseconds(stranger_memory);
  if (now < client.is_met_until)
    pause = std::max<MonotonicTime::duration>(meeting_delay, now - (client.is_met_until - neighbour_patience));
  client.look_again = now + pause;
  if (!is_news) return;
  client.report_again = now + stranger_memory;
  report_stranger_(client.address);
}

}  // namespace doline::resolver
