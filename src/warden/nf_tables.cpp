#include "warden/nf_tables.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

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

/// Fields of a concatenated key begin at multiples of four octets: MAC (6, padded to 8), address (4 or 16), port (2,
/// padded).
std::optional<redirect::Sighting> read_key(std::span<const std::uint8_t> key) {
  constexpr std::size_t mac_octets = 8, port_octets = 4;
  if (key.size() != mac_octets + 4 + port_octets && key.size() != mac_octets + 16 + port_octets) return std::nullopt;
  redirect::Sighting sighting;
  std::copy_n(key.begin(), 6, sighting.device.octets.begin());
  sighting.resolver.address = IpAddress::from_octets(key.subspan(mac_octets, key.size() - mac_octets - port_octets));
  const auto port = key.last(port_octets);
  sighting.resolver.port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
  return sighting;
}

/// Of `doline redirect verify`: nobody of this house.
bool is_probe(const redirect::Sighting& sighting) {
  return sighting.resolver.address == scratch_resolver_v4 || sighting.resolver.address == scratch_resolver_v6();
}

std::optional<redirect::Sighting> read_element(const nlattr& element) {
  std::optional<redirect::Sighting> sighting;
  std::uint64_t packets = 0;
  each_attribute(element, [&](const nlattr& field) {
    switch (mnl_attr_get_type(&field)) {
      case NFTA_SET_ELEM_KEY:
        each_attribute(field, [&](const nlattr& value) {
          if (mnl_attr_get_type(&value) == NFTA_DATA_VALUE) sighting = read_key(octets_of(value));
        });
        break;
      case NFTA_SET_ELEM_EXPR:
        packets = packets_of_expression(field);
        break;
      case element_expressions:
        each_attribute(field, [&](const nlattr& expression) { packets = packets_of_expression(expression); });
        break;
      default:
        break;
    }
  });
  if (sighting) sighting->packets = packets;
  return sighting;
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
  for (const char* set : {"allowed4", "allowed6"}) counts.admitted += count_elements(redirect::gate_table, set);
  return counts;
}

std::size_t NfTables::count_elements(const char* table, const char* set) {
  auto message = message_for(NFT_MSG_GETSETELEM, NLM_F_DUMP);
  message.text(NFTA_SET_ELEM_LIST_TABLE, table);
  message.text(NFTA_SET_ELEM_LIST_SET, set);
  std::size_t count = 0;
  static_cast<void>(netlink_.ask(message, [&](const nlmsghdr& reply) {
    each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
      if (mnl_attr_get_type(&attribute) == NFTA_SET_ELEM_LIST_ELEMENTS)
        each_attribute(attribute, [&](const nlattr&) { ++count; });
    });
  }));
  return count;
}

redirect::SeenReply NfTables::seen() {
  redirect::SeenReply seen;
  for (const char* set : {"seen4", "seen6"}) {
    auto message = message_for(NFT_MSG_GETSETELEM, NLM_F_DUMP);
    message.text(NFTA_SET_ELEM_LIST_TABLE, redirect::seen_table);
    message.text(NFTA_SET_ELEM_LIST_SET, set);
    // A set that is not there has seen nobody.
    static_cast<void>(netlink_.ask(message, [&](const nlmsghdr& reply) {
      each_attribute(reply, sizeof(nfgenmsg), [&](const nlattr& attribute) {
        if (mnl_attr_get_type(&attribute) != NFTA_SET_ELEM_LIST_ELEMENTS) return;
        each_attribute(attribute, [&](const nlattr& element) {
          const auto sighting = read_element(element);
          if (sighting && !is_probe(*sighting)) seen.sightings.push_back(*sighting);
        });
      });
    }));
  }
  std::sort(seen.sightings.begin(), seen.sightings.end(),
            [](const redirect::Sighting& a, const redirect::Sighting& b) { return a.packets > b.packets; });
  if (seen.sightings.size() > redirect::sightings_max) {
    seen.left_out = static_cast<std::uint32_t>(seen.sightings.size() - redirect::sightings_max);
    seen.sightings.resize(redirect::sightings_max);
  }
  return seen;
}

}  // namespace doline::warden
