#include "doline/limits_command.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "blocklist/line_reader.h"
#include "blocklist/list_set.h"
#include "blocklist/pattern_set.h"
#include "config/reader.h"
#include "config/settings.h"
#include "control/announcement_listener.h"
#include "control/command_socket.h"
#include "control/device_book.h"
#include "control/download.h"
#include "control/list_keeper.h"
#include "control/lock_alarms.h"
#include "control/loop_watch.h"
#include "control/pointer_asker.h"
#include "device/destination.h"
#include "device/lease_file.h"
#include "device/roster.h"
#include "dns/message.h"
#include "dns/writer.h"
#include "doline/exit_status.h"
#include "flows/answer_book.h"
#include "flows/fair_share.h"
#include "flows/packet.h"
#include "listener/proxy_header.h"
#include "listener/tcp_listener.h"
#include "listener/udp_listener.h"
#include "policy/exemption.h"
#include "policy/lock.h"
#include "policy/rule.h"
#include "querylog/answers.h"
#include "querylog/log_writer.h"
#include "querylog/recent_answers.h"
#include "redirect/admission.h"
#include "redirect/options.h"
#include "redirect/origin.h"
#include "redirect/request.h"
#include "redirect/restrictions.h"
#include "resolver/antechamber.h"
#include "resolver/client_book.h"
#include "resolver/failure_memory.h"
#include "resolver/origin_desk.h"
#include "resolver/rate_limit.h"
#include "resolver/resolver.h"
#include "resolver/server_search.h"
#include "response/dns64.h"
#include "response/hosts_file.h"
#include "response/local_records.h"
#include "response/synthesize.h"
#include "transfer/incoming_zone.h"
#include "transfer/zone_source.h"
#include "upstream/exchange.h"
#include "upstream/question_table.h"
#include "upstream/server_sockets.h"

namespace doline {

namespace {

struct Limit {
  std::string_view room, name;
  std::uint64_t value;
  std::string_view unit, meaning;
};

template <class Duration>
constexpr std::uint64_t in_milliseconds(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(duration).count());
}

constexpr Limit limits[] = {
    {"dns", "message_octets_max", dns::message_octets_max, "octets", "a message"},
    {"dns", "pointers_max", dns::pointers_max, "", "compression pointers followed in one name"},
    {"dns", "edns_options_max", dns::edns_options_max, "", "EDNS options of a query"},
    {"device", "devices_max", device::devices_max, "", "devices known"},
    {"device", "groups_max", device::groups_max, "", "groups"},
    {"device", "addresses_per_mac_max", device::addresses_per_mac_max, "", "addresses remembered of one MAC"},
    {"device", "leases_max", device::leases_max, "", "leases read of one file"},
    {"device", "mapped_ports_max", device::mapped_ports_max, "", "ports that stand for a resolver"},
    {"blocklist", "lists_max", blocklist::lists_max, "", "lists"},
    {"blocklist", "names_max", blocklist::names_max, "", "listed names in all"},
    {"blocklist", "line_octets_max", blocklist::line_octets_max, "octets", "a line of a list"},
    {"blocklist", "coverings_max", blocklist::coverings_max, "", "listed ancestors of one name told apart"},
    {"blocklist", "patterns_max", blocklist::patterns_max, "", "regular expressions in all lists"},
    {"blocklist", "pattern_octets_max", blocklist::pattern_octets_max, "octets", "a regular expression"},
    {"policy", "rules_max", policy::rules_max, "", "rules"},
    {"policy", "exemptions_max", policy::exemptions_max, "", "pauses and allowed names at a time"},
    {"policy", "locks_max", policy::locks_max, "", "devices locked"},
    {"policy", "lock_names_max", policy::lock_names_max, "", "names of each kind that a lock lets pass"},
    {"policy", "delay_ms_max", policy::delay_ms_max, "ms", "a rule's delay"},
    {"response", "local_records_max", response::local_records_max, "", "records of one local name"},
    {"response", "hosts_names_max", response::hosts_names_max, "", "names read of one hosts file"},
    {"response", "dns64_prefixes_max", response::dns64_prefixes_max, "", "prefixes of dns64"},
    {"response", "udp_octets_max", response::udp_octets_max, "octets", "a response over UDP"},
    {"listener", "datagram_octets_max", listener::datagram_octets_max, "octets", "a query over UDP"},
    {"listener", "stream_query_octets_max", listener::stream_query_octets_max, "octets", "a query over TCP"},
    {"listener", "unsent_octets_max", listener::unsent_octets_max, "octets",
     "responses that TCP clients do not read, a worker"},
    {"listener", "connections_max", listener::TcpLimits().connections_max, "", "TCP connections, a worker"},
    {"listener", "connections_of_client_share", listener::TcpLimits().connections_of_client_share, "",
     "of these a client keeps when there is no room"},
    {"listener", "proxy_header_octets_max", listener::proxy_header_octets_max, "octets",
     "a PROXY header, with what is attached to it"},
    {"upstream", "exchanges_max", upstream::exchanges_max, "", "questions to upstreams in flight, a worker"},
    {"upstream", "late_exchanges_max", upstream::late_exchanges_max, "",
     "of these, failed for want of time and listened for, a worker"},
    {"upstream", "servers_max", upstream::servers_max, "", "servers of one route"},
    {"upstream", "repetitions_max", upstream::repetitions_max, "",
     "datagrams and streams for one question to servers that it was put to before"},
    {"upstream", "questions_per_socket_max", upstream::questions_per_socket_max, "", "asked from one port"},
    {"upstream", "socket_time", in_milliseconds(upstream::socket_time), "ms", "for which a port is asked from"},
    {"upstream", "sockets_per_server_max", upstream::sockets_per_server_max, "", "ports open to one server, a worker"},
    {"upstream", "cname_max", upstream::cname_max, "", "links of a CNAME chain"},
    {"resolver", "held_back_max", resolver::held_back_max, "",
     "responses that rules delay or that wait for admission, a worker"},
    {"resolver", "admission_patience", in_milliseconds(resolver::admission_patience), "ms",
     "a response for a restricted device waits for the kernel"},
    {"resolver", "rate_buckets", resolver::rate_buckets, "", "clients whose rate is counted apart"},
    {"redirect", "interfaces_max", redirect::interfaces_max, "", "interfaces of the LAN"},
    {"redirect", "ports_max", redirect::ports_max, "", "ports intercepted"},
    {"redirect", "exempt_max", redirect::exempt_max, "", "exemptions of each kind"},
    {"redirect", "silence_max", in_milliseconds(redirect::silence_max), "ms",
     "without a heartbeat until interception is suspended"},
    {"redirect", "trial_max", in_milliseconds(redirect::trial_max), "ms", "rules wait for `doline redirect confirm`"},
    {"control", "canaries_max", control::canaries_max, "", "upstream servers looked at for loops"},
    {"redirect", "origins_in_flight_max", redirect::origins_in_flight_max, "",
     "original destinations asked for at once, a worker (nat)"},
    {"flows", "answers_remembered_max", flows::answers_remembered_max, "", "answers remembered to explain connections"},
    {"flows", "answers_of_device_remembered", flows::answers_of_device_remembered, "", "of these, of one device"},
    {"flows", "answer_grace", in_milliseconds(flows::answer_grace), "ms",
     "an answer explains connections past its TTL"},
    {"flows", "connections_at_once", flows::connections_at_once, "",
     "connections kept of a device that was quiet; more are left out"},
    {"flows", "connections_a_second", flows::connections_a_second, "", "of one that is not"},
    {"flows", "questions_per_packet_max", flows::questions_per_packet_max, "", "questions read of one packet (audit)"},
    {"querylog", "recent_answers_max", querylog::recent_answers_max, "", "records read back at a start"},
    {"querylog", "flows_held_max", querylog::flows_held_max, "", "connections that wait to be judged"},
    {"querylog", "flows_counted_max", querylog::flows_counted_max, "", "connections whose octets are awaited"},
    {"querylog", "flows_pending_max", querylog::flows_pending_max, "",
     "connections that wait for a database that cannot be written"},
    {"redirect", "restricted_max", redirect::restricted_max, "", "MAC addresses of restricted devices, of each kind"},
    {"redirect", "flow_locks_max", redirect::flow_locks_max, "", "devices whose connections are locked"},
    {"redirect", "allowed_flows_max", redirect::allowed_flows_max, "", "connections that all locks together allow"},
    {"redirect", "refusals_max", redirect::refusals_max, "", "devices, and connections, told as refused"},
    {"redirect", "doh_networks_max", redirect::doh_networks_max, "", "addresses and networks of known DoH servers"},
    {"redirect", "admissions_in_flight_max", redirect::admissions_in_flight_max, "",
     "answers for restricted devices that the kernel is being told of, a worker"},
    {"querylog", "pending_max", querylog::pending_max, "", "records that wait for a database that cannot be written"},
    {"querylog", "answers_max", querylog::answers_max, "", "answer records kept of one response"},
    {"querylog", "answer_octets_max", querylog::answer_octets_max, "octets", "kept of one response's answers"},
    {"resolver", "waiting_max", resolver::waiting_max, "", "queries that wait for an upstream, a worker"},
    {"resolver", "waiting_per_client_max", resolver::waiting_per_client_max, "", "of these, of one client"},
    {"resolver", "server_names_max", resolver::server_names_max, "", "name servers of an answer that are judged (RPZ)"},
    {"resolver", "server_addresses_max", resolver::server_addresses_max, "", "of these, whose addresses are asked for"},
    {"resolver", "server_zones_max", resolver::server_zones_max, "",
     "names of an answer whose name servers are judged"},
    {"resolver", "server_steps_max", resolver::server_steps_max, "", "questions for NS records on the way to a zone"},
    {"resolver", "server_waits_max", resolver::server_waits_max, "", "waits of one query for name servers"},
    {"resolver", "server_words_octets_max", resolver::server_words_octets_max, "octets",
     "answers that wait for name servers, a worker"},
    {"resolver", "server_patience", in_milliseconds(resolver::server_patience), "ms",
     "after which an answer is given without its name servers"},
    {"resolver", "clients_known_max", resolver::clients_known_max, "", "clients whose device is remembered, a worker"},
    {"resolver", "failure_memory", in_milliseconds(resolver::failure_memory), "ms",
     "until a failed question is asked again"},
    {"resolver", "failures_max", resolver::failures_max, "", "failed questions remembered, a worker"},
    {"resolver", "origin_patience", in_milliseconds(resolver::origin_patience), "ms",
     "waited for an original destination (nat)"},
    {"config", "file_octets_max", config::file_octets_max, "octets", "a configuration"},
    {"config", "listen_max", config::listen_max, "", "addresses listened on"},
    {"config", "routes_max", config::routes_max, "", "upstream routes"},
    {"config", "forward_zones_max", config::forward_zones_max, "", "zones that go elsewhere"},
    {"config", "workers_max", config::workers_max, "", "workers"},
    {"control", "booked_devices_max", control::booked_devices_max, "", "devices joined, learned or locked"},
    {"control", "booked_macs_max", control::booked_macs_max, "", "MACs of one of them"},
    {"control", "lock_flows_max", control::lock_flows_max, "", "connections that one lock allows"},
    {"control", "lock_alarms_max", control::lock_alarms_max, "", "names, and connections, told of one locked device"},
    {"control", "announcements_a_second_max", control::announcements_a_second_max, "",
     "multicast DNS messages looked at in a second"},
    {"control", "pointers_in_flight_max", control::pointers_in_flight_max, "", "PTR questions at once"},
    {"control", "download_octets_max", control::download_octets_max, "octets", "a list that is fetched"},
    {"control", "download_patience", in_milliseconds(control::download_patience), "ms", "a list may take to fetch"},
    {"transfer", "transfer_octets_max", transfer::transfer_octets_max, "octets", "a zone as it is transferred"},
    {"transfer", "difference_octets_max", transfer::difference_octets_max, "octets",
     "a difference (IXFR); past it the zone is fetched whole"},
    {"transfer", "primaries_max", transfer::primaries_max, "", "primaries of a zone"},
    {"control", "notifications_a_second_max", control::notifications_a_second_max, "",
     "NOTIFY queries that are answered"},
    {"control", "list_downloads_max", control::list_downloads_max, "", "lists fetched at once"},
    {"control", "command_octets_max", control::command_octets_max, "octets", "a request at the control socket"},
    {"control", "command_connections_max", control::command_connections_max, "", "connections to the control socket"},
};

}  // namespace

int run_limits(const LimitsArguments& arguments, std::ostream& out) {
  for (const Limit& limit : limits) {
    if (arguments.json) {
      const nlohmann::ordered_json object = {{"room", limit.room},
                                             {"name", limit.name},
                                             {"value", limit.value},
                                             {"unit", limit.unit},
                                             {"meaning", limit.meaning}};
      out << object.dump() << '\n';
    } else {
      out << std::left << std::setw(10) << limit.room << ' ' << std::right << std::setw(10) << limit.value << ' '
          << std::left << std::setw(7) << limit.unit << limit.meaning << '\n';
    }
  }
  return exit_ok;
}

}  // namespace doline
