#include "warden/nf_tables.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "warden/scratch_device.h"

namespace doline::warden {

namespace {

// Names of the kernel's interface that are younger than some of its headers.
constexpr std::uint32_t table_flag_owner = 2;      // NFT_TABLE_F_OWNER
constexpr std::uint16_t element_expressions = 11;  // NFTA_SET_ELEM_EXPRESSIONS

constexpr std::uint16_t nf_tables_type(int message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

NetlinkMessage message_for(int message, std::uint16_t flags) {
  NetlinkMessage result(nf_tables_type(message), flags);
  result.header<nfgenmsg>().nfgen_family = NFPROTO_INET;
  return result;
}

std::string text_of(const nlattr& attribute) {
  const auto octets = octets_of(attribute);
  const auto end = std::find(octets.begin(), octets.end(), 0);
  return {octets.begin(), end};
}

std::uint64_t packets_of(const nlattr& counter) {
  std::uint64_t packets = 0;
  each_attribute(counter, [&](const nlattr& field) {
    if (mnl_attr_get_type(&field) == NFTA_COUNTER_PACKETS) packets = big_endian(field);
  });
  return packets;
}

/// The counter among an element's expressions: one alone, or a list.
std::uint64_t packets_of_expression(const nlattr& expression) {
  std::uint64_t packets = 0;
  each_attribute(expression, [&](const nlattr& field) {
    if (mnl_attr_get_type(&field) == NFTA_EXPR_DATA) packets = packets_of(field);
  });
  return packets;
}

/// An element's key, and what its counter says.
struct Counted {
  std::span<const std::uint8_t> key;
  std::uint64_t packets = 0;
};

Counted read_element(const nlattr& element) {
  Counted counted;
  each_attribute(element, [&](const nlattr& field) {
    switch (mnl_attr_get_type(&field)) {
      case NFTA_SET_ELEM_KEY:
        each_attribute(field, [&](const nlattr& value) {
          if (mnl_attr_get_type(&value) == NFTA_DATA_VALUE) counted.key = octets_of(value);
        });
        break;
      case NFTA_SET_ELEM_EXPR:
        counted.packets = packets_of_expression(field);
        break;
      case element_expressions:
        each_attribute(field, [&](const nlattr& expression) { counted.packets = packets_of_expression(expression); });
        break;
      default:
        break;
    }
  });
  return counted;
}

// Fields of a concatenated key begin at multiples of four octets: MAC (6, padded to 8), address (4 or 16), protocol (1,
// padded), port (2, padded).
constexpr std::size_t mac_octets = 8, protocol_octets = 4, port_octets = 4;

device::MacAddress mac_of(std::span<const std::uint8_t> key) {
  device::MacAddress mac;
  std::copy_n(key.begin(), 6, mac.octets.begin());
  return mac;
}

std::uint16_t port_of(std::span<const std::uint8_t> key) {
  const auto port = key.last(port_octets);
  return static_cast<std::uint16_t>(port[0] << 8 | port[1]);
}

/// The address between the MAC and `behind` octets; nothing where it is none.
std::optional<IpAddress> address_of(std::span<const std::uint8_t> key, std::size_t behind) {
  if (key.size() != mac_octets + 4 + behind && key.size() != mac_octets + 16 + behind) return std::nullopt;
  return IpAddress::from_octets(key.subspan(mac_octets, key.size() - mac_octets - behind));
}

std::optional<redirect::Sighting> read_sighting(const nlattr& element) {
  const auto [key, packets] = read_element(element);
  const auto address = address_of(key, port_octets);
  if (!address) return std::nullopt;
  return redirect::Sighting{mac_of(key), {*address, port_of(key)}, packets};
}

std::optional<redirect::RefusedConnection> read_refusal(const nlattr& element) {
  const auto [key, packets] = read_element(element);
  const auto address = address_of(key, protocol_octets + port_octets);
  if (!address) return std::nullopt;
  const std::uint8_t protocol = key[key.size() - port_octets - protocol_octets];
  return redirect::RefusedConnection{mac_of(key), protocol, {*address, port_of(key)}, packets};
}

/// Of `doline redirect verify`: nobody of this house.
bool is_probe(const redirect::Sighting& sighting) {
  return sighting.resolver.address == scratch_resolver_v4 || sighting.resolver.address == scratch_resolver_v6();
}

/// The first `most`; how many were cut off.
template <class Value>
std::uint32_t cut(std::vector<Value>& values, std::size_t most) {
  const std::size_t left_out = values.size() - std::min(values.size(), most);
  values.resize(values.size() - left_out);
  return static_cast<std::uint32_t>(left_out);
}

}  // namespace

redirect::TableState NfTables::state_of(const char* table) {
  auto message = message_for(NFT_MSG_GETTABLE, 0);
  message.text(NFTA_TABLE_NAME, table);
  std::uint64_t flags = 0;
  const auto asked = netlink_.ask(message, [&](const nlmsghdr& reply) {
    each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == NFTA_TABLE_FLAGS) flags = big_endian(attribute);
    });
  });
  if (!asked) return redirect::TableState::absent;
  return (flags & table_flag_owner) != 0 ? redirect::TableState::owned : redirect::TableState::plain;
}

void NfTables::each_counter(const char* table,
                            const std::function<void(const std::string& name, std::uint64_t packets)>& see) {
  auto message = message_for(NFT_MSG_GETOBJ, NLM_F_DUMP);
  message.text(NFTA_OBJ_TABLE, table);
  message.integer(NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
  // A table that is not there has counted nothing.
  static_cast<void>(netlink_.ask(message, [&](const nlmsghdr& reply) {
    std::string name;
    std::uint64_t packets = 0;
    each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == NFTA_OBJ_NAME) name = text_of(attribute);
      if (mnl_attr_get_type(&attribute) == NFTA_OBJ_DATA) packets = packets_of(attribute);
    });
    see(name, packets);
  }));
}

redirect::Counters NfTables::counters() {
  redirect::Counters counters;
  each_counter(redirect::rules_table, [&](const std::string& name, std::uint64_t packets) {
    if (name == "udp4") counters.udp4 = packets;
    if (name == "tcp4") counters.tcp4 = packets;
    if (name == "udp6") counters.udp6 = packets;
    if (name == "tcp6") counters.tcp6 = packets;
    if (name == "unserved") counters.unserved = packets;
  });
  each_counter(redirect::gate_table, [&](const std::string& name, std::uint64_t packets) {
    if (name == "encrypted") counters.encrypted = packets;
  });
  return counters;
}

redirect::GateCounts NfTables::gate_counts() {
  redirect::GateCounts counts;
  each_counter(redirect::gate_table, [&](const std::string& name, std::uint64_t packets) {
    if (name == "refused") counts.refused = packets;
    if (name == "would_refuse") counts.would_refuse = packets;
  });
  for (const char* set : {"allowed4", "allowed6"})
    each_element(redirect::gate_table, set, [&](const nlattr&) { ++counts.admitted; });
  return counts;
}

void NfTables::each_element(const char* table, const char* set, const std::function<void(const nlattr&)>& see) {
  auto message = message_for(NFT_MSG_GETSETELEM, NLM_F_DUMP);
  message.text(NFTA_SET_ELEM_LIST_TABLE, table);
  message.text(NFTA_SET_ELEM_LIST_SET, set);
  // A set that is not there has no elements.
  static_cast<void>(netlink_.ask(message, [&](const nlmsghdr& reply) {
    each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == NFTA_SET_ELEM_LIST_ELEMENTS) each_attribute(attribute, see);
    });
  }));
}

redirect::SeenReply NfTables::seen() {
  redirect::SeenReply seen;
  for (const char* set : {"seen4", "seen6"})
    each_element(redirect::seen_table, set, [&](const nlattr& element) {
      const auto sighting = read_sighting(element);
      if (sighting && !is_probe(*sighting)) seen.sightings.push_back(*sighting);
    });
  std::sort(seen.sightings.begin(), seen.sightings.end(),
            [](const redirect::Sighting& a, const redirect::Sighting& b) { return a.packets > b.packets; });
  seen.left_out = cut(seen.sightings, redirect::sightings_max);
  return seen;
}

redirect::RefusedReply NfTables::refused() {
  redirect::RefusedReply refused;
  std::map<device::MacAddress, redirect::RefusedDevice> devices;
  using Count = std::uint64_t redirect::RefusedDevice::*;
  for (const auto& [set, count] : {std::pair<const char*, Count>("refused_by", &redirect::RefusedDevice::refused),
                                   {"would_refuse_by", &redirect::RefusedDevice::would_refuse},
                                   {"encrypted_by", &redirect::RefusedDevice::encrypted}})
    each_element(redirect::gate_table, set, [&](const nlattr& element) {
      const auto [key, packets] = read_element(element);
      if (key.size() < 6) return;
      redirect::RefusedDevice& device = devices[mac_of(key)];
      device.mac = mac_of(key);
      device.*count = packets;
    });
  for (const auto& [mac, device] : devices) refused.devices.push_back(device);
  for (const char* set : {"unexplained4", "unexplained6"})
    each_element(redirect::gate_table, set, [&](const nlattr& element) {
      if (const auto refusal = read_refusal(element)) refused.connections.push_back(*refusal);
    });
  const auto tried = [](const redirect::RefusedDevice& one) { return one.refused + one.would_refuse + one.encrypted; };
  std::sort(refused.devices.begin(), refused.devices.end(),
            [&](const auto& one, const auto& other) { return tried(one) > tried(other); });
  std::sort(refused.connections.begin(), refused.connections.end(),
            [](const auto& one, const auto& other) { return one.packets > other.packets; });
  refused.left_out = cut(refused.devices, redirect::refusals_max) + cut(refused.connections, redirect::refusals_max);
  return refused;
}

}  // namespace doline::warden
