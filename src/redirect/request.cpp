#include "redirect/request.h"

#include <algorithm>
#include <type_traits>

#include "redirect/wire.h"

namespace doline::redirect {

namespace {

/// Both ends are one program; a number all the same, because during an upgrade they need not be.
constexpr std::uint8_t version = 4;

template <class Variant, class Body, std::size_t index = 0>
constexpr std::uint8_t kind_of() {
  if constexpr (std::is_same_v<std::variant_alternative_t<index, Variant>, Body>)
    return index;
  else
    return kind_of<Variant, Body, index + 1>();
}

void write_sentences(WireWriter& out, const std::vector<std::string>& sentences) {
  const std::span<const std::string> kept(sentences.data(), std::min(sentences.size(), sentences_max));
  out.list(kept,
           [&](const std::string& sentence) { out.text(std::string_view(sentence).substr(0, sentence_octets_max)); });
}

std::vector<std::string> read_sentences(WireReader& in) {
  return in.list<std::string>(sentences_max, [&] { return in.text(sentence_octets_max); });
}

void write(WireWriter& out, const Apply& apply) {
  const Options& options = apply.options;
  out.integer(static_cast<std::uint8_t>(options.mode));
  out.list(options.interfaces, [&](const std::string& name) { out.text(name); });
  out.list(options.ports, [&](std::uint16_t port) { out.integer(port); });
  out.list(options.exempt.macs, [&](const device::MacAddress& mac) { out.mac(mac); });
  out.list(options.exempt.clients, [&](const IpPrefix& prefix) { out.prefix(prefix); });
  out.list(options.exempt.destinations, [&](const IpPrefix& prefix) { out.prefix(prefix); });
  out.integer(static_cast<std::uint8_t>(options.encrypted));
  out.integer(static_cast<std::uint8_t>(options.on_failure));
  out.integer(options.kernel.mark);
  out.integer(options.kernel.table);
  out.integer(options.kernel.nflog_group);
  out.integer(options.nat_port);
  out.integer(static_cast<std::uint8_t>(options.watch));
  out.integer(apply.trial_seconds);
}

Apply read_apply(WireReader& in) {
  Apply apply;
  Options& options = apply.options;
  options.mode = in.enumerator(Mode::audit);
  options.interfaces = in.list<std::string>(interfaces_max, [&] { return in.text(interface_name_max); });
  options.ports = in.list<std::uint16_t>(ports_max, [&] { return in.integer<std::uint16_t>(); });
  options.exempt.macs = in.list<device::MacAddress>(exempt_max, [&] { return in.mac(); });
  options.exempt.clients = in.list<IpPrefix>(exempt_max, [&] { return in.prefix(); });
  options.exempt.destinations = in.list<IpPrefix>(exempt_max, [&] { return in.prefix(); });
  options.encrypted = in.enumerator(Encrypted::log);
  options.on_failure = in.enumerator(OnFailure::closed);
  options.kernel.mark = in.integer<std::uint16_t>();
  options.kernel.table = in.integer<std::uint32_t>();
  options.kernel.nflog_group = in.integer<std::uint16_t>();
  options.nat_port = in.integer<std::uint16_t>();
  options.watch = in.boolean();
  apply.trial_seconds = in.integer<std::uint16_t>();
  if (apply.trial_seconds > trial_max.count()) in.fail();
  return apply;
}

void write(WireWriter& out, const Restrict& restrict) {
  const Restrictions& all = restrict.restrictions;
  for (const auto* macs :
       {&all.only_resolved, &all.observed, &all.may_encrypt, &all.must_not_encrypt, &all.log_encrypted})
    out.list(*macs, [&](const device::MacAddress& mac) { out.mac(mac); });
  out.list(all.allowances, [&](const Allowance& allowance) {
    out.list(allowance.macs, [&](const device::MacAddress& mac) { out.mac(mac); });
    out.list(allowance.flows, [&](const AllowedFlow& flow) {
      out.prefix(flow.network);
      out.integer(flow.protocol);
      out.integer(flow.port);
    });
  });
  out.list(all.doh_networks, [&](const IpPrefix& network) { out.prefix(network); });
}

Restrict read_restrict(WireReader& in) {
  Restrict restrict;
  Restrictions& all = restrict.restrictions;
  for (auto* macs : {&all.only_resolved, &all.observed, &all.may_encrypt, &all.must_not_encrypt, &all.log_encrypted})
    *macs = in.list<device::MacAddress>(restricted_max, [&] { return in.mac(); });
  all.allowances = in.list<Allowance>(flow_locks_max, [&] {
    Allowance allowance;
    allowance.macs = in.list<device::MacAddress>(restricted_max, [&] { return in.mac(); });
    allowance.flows = in.list<AllowedFlow>(allowed_flows_max, [&] {
      AllowedFlow flow;
      flow.network = in.prefix();
      flow.protocol = in.integer<std::uint8_t>();
      flow.port = in.integer<std::uint16_t>();
      return flow;
    });
    return allowance;
  });
  all.doh_networks = in.list<IpPrefix>(doh_networks_max, [&] { return in.prefix(); });
  return restrict;
}

void write(WireWriter&, const Remove&) {}
void write(WireWriter& out, const Status& status) {
  out.integer(static_cast<std::uint8_t>(status.looks_anew));
}
void write(WireWriter&, const Verify&) {}
void write(WireWriter&, const Seen&) {}
void write(WireWriter& out, const Admit& admit) {
  write(out, std::span<const Admission>(admit.admissions));
}
void write(WireWriter&, const Refused&) {}
void write(WireWriter&, const Heartbeat&) {}
void write(WireWriter&, const Confirm&) {}

void write(WireWriter& out, const Done& done) {
  write_sentences(out, done.warnings);
}
void write(WireWriter& out, const Failed& failed) {
  write_sentences(out, failed.reasons);
}

void write(WireWriter& out, const StatusReply& status) {
  out.integer(static_cast<std::uint8_t>(status.state));
  out.integer(static_cast<std::uint8_t>(status.mode));
  out.integer(static_cast<std::uint8_t>(status.has_privilege));
  out.integer(status.applied_seconds_ago);
  out.integer(status.trial_seconds_left);
  out.integer(static_cast<std::uint8_t>(status.has_counters));
  const Counters& counters = status.counters;
  for (const std::uint64_t counter :
       {counters.udp4, counters.tcp4, counters.udp6, counters.tcp6, counters.unserved, counters.encrypted})
    out.integer(counter);
  const GateCounts& gate = status.gate;
  for (const std::uint64_t count :
       {gate.only_resolved, gate.observed, gate.admitted, gate.refused, gate.would_refuse, gate.turned_away})
    out.integer(count);
  out.text(std::string_view(status.reason).substr(0, sentence_octets_max));
  write_sentences(out, status.interference);
}

StatusReply read_status(WireReader& in) {
  StatusReply status;
  status.state = in.enumerator(State::lost);
  status.mode = in.enumerator(Mode::audit);
  status.has_privilege = in.boolean();
  status.applied_seconds_ago = in.integer<std::uint64_t>();
  status.trial_seconds_left = in.integer<std::uint32_t>();
  status.has_counters = in.boolean();
  Counters& counters = status.counters;
  for (std::uint64_t* counter :
       {&counters.udp4, &counters.tcp4, &counters.udp6, &counters.tcp6, &counters.unserved, &counters.encrypted})
    *counter = in.integer<std::uint64_t>();
  GateCounts& gate = status.gate;
  for (std::uint64_t* count :
       {&gate.only_resolved, &gate.observed, &gate.admitted, &gate.refused, &gate.would_refuse, &gate.turned_away})
    *count = in.integer<std::uint64_t>();
  status.reason = in.text(sentence_octets_max);
  status.interference = read_sentences(in);
  return status;
}

void write(WireWriter& out, const SeenReply& seen) {
  const std::size_t kept = std::min(seen.sightings.size(), sightings_max);
  out.list(std::span(seen.sightings.data(), kept), [&](const Sighting& sighting) {
    out.mac(sighting.device);
    out.endpoint(sighting.resolver);
    out.integer(sighting.packets);
  });
  out.integer(static_cast<std::uint32_t>(seen.left_out + (seen.sightings.size() - kept)));
}

SeenReply read_seen(WireReader& in) {
  SeenReply seen;
  seen.sightings = in.list<Sighting>(sightings_max, [&] {
    Sighting sighting;
    sighting.device = in.mac();
    sighting.resolver = in.endpoint();
    sighting.packets = in.integer<std::uint64_t>();
    return sighting;
  });
  seen.left_out = in.integer<std::uint32_t>();
  return seen;
}

void write(WireWriter& out, const RefusedReply& refused) {
  const std::size_t devices = std::min(refused.devices.size(), refusals_max);
  const std::size_t connections = std::min(refused.connections.size(), refusals_max);
  out.list(std::span(refused.devices.data(), devices), [&](const RefusedDevice& device) {
    out.mac(device.mac);
    for (const std::uint64_t count : {device.refused, device.would_refuse, device.encrypted}) out.integer(count);
  });
  out.list(std::span(refused.connections.data(), connections), [&](const RefusedConnection& connection) {
    out.mac(connection.mac);
    out.integer(connection.protocol);
    out.endpoint(connection.destination);
    out.integer(connection.packets);
  });
  out.integer(static_cast<std::uint32_t>(refused.left_out + (refused.devices.size() - devices) +
                                         (refused.connections.size() - connections)));
}

RefusedReply read_refused(WireReader& in) {
  RefusedReply refused;
  refused.devices = in.list<RefusedDevice>(refusals_max, [&] {
    RefusedDevice device;
    device.mac = in.mac();
    for (std::uint64_t* count : {&device.refused, &device.would_refuse, &device.encrypted})
      *count = in.integer<std::uint64_t>();
    return device;
  });
  refused.connections = in.list<RefusedConnection>(refusals_max, [&] {
    RefusedConnection connection;
    connection.mac = in.mac();
    connection.protocol = in.integer<std::uint8_t>();
    connection.destination = in.endpoint();
    connection.packets = in.integer<std::uint64_t>();
    return connection;
  });
  refused.left_out = in.integer<std::uint32_t>();
  return refused;
}

template <class Variant>
std::vector<std::uint8_t> write_message(const Numbered<Variant>& message) {
  WireWriter out;
  out.integer(version);
  out.integer(static_cast<std::uint8_t>(message.body.index()));
  out.integer(message.number);
  std::visit([&](const auto& body) { write(out, body); }, message.body);
  return out.take();
}

/// `read(kind, reader)` gives the body, or nothing for a kind that is not known.
template <class Variant, class Read>
Result<Numbered<Variant>, MessageFault> parse_message(std::span<const std::uint8_t> octets, Read read) {
  if (octets.size() > message_octets_max) return fail(MessageFault::too_long);
  WireReader in(octets);
  const auto its_version = in.integer<std::uint8_t>();
  const auto kind = in.integer<std::uint8_t>();
  Numbered<Variant> message;
  message.number = in.integer<std::uint32_t>();
  if (octets.size() >= 6 && its_version != version) return fail(MessageFault::unknown);
  if (octets.size() >= 6 && kind >= std::variant_size_v<Variant>) return fail(MessageFault::unknown);
  read(kind, in, message.body);
  if (!in.is_complete()) return fail(MessageFault::malformed);
  return message;
}

}  // namespace

std::vector<std::uint8_t> write_request(const Numbered<Request>& request) {
  return write_message(request);
}
std::vector<std::uint8_t> write_reply(const Numbered<Reply>& reply) {
  return write_message(reply);
}

Result<Numbered<Request>, MessageFault> parse_request(std::span<const std::uint8_t> octets) {
  return parse_message<Request>(octets, [](std::uint8_t kind, WireReader& in, Request& body) {
    switch (kind) {
      case kind_of<Request, Apply>():
        body = read_apply(in);
        break;
      case kind_of<Request, Remove>():
        body = Remove{};
        break;
      case kind_of<Request, Status>():
        body = Status{in.boolean()};
        break;
      case kind_of<Request, Verify>():
        body = Verify{};
        break;
      case kind_of<Request, Seen>():
        body = Seen{};
        break;
      case kind_of<Request, Heartbeat>():
        body = Heartbeat{};
        break;
      case kind_of<Request, Confirm>():
        body = Confirm{};
        break;
      case kind_of<Request, Restrict>():
        body = read_restrict(in);
        break;
      case kind_of<Request, Refused>():
        body = Refused{};
        break;
      case kind_of<Request, Admit>():
        body = Admit{read_admissions(in)};
        break;
      default:
        in.fail();
    }
  });
}

Result<Numbered<Reply>, MessageFault> parse_reply(std::span<const std::uint8_t> octets) {
  return parse_message<Reply>(octets, [](std::uint8_t kind, WireReader& in, Reply& body) {
    switch (kind) {
      case kind_of<Reply, Done>():
        body = Done{read_sentences(in)};
        break;
      case kind_of<Reply, Failed>():
        body = Failed{read_sentences(in)};
        break;
      case kind_of<Reply, StatusReply>():
        body = read_status(in);
        break;
      case kind_of<Reply, SeenReply>():
        body = read_seen(in);
        break;
      case kind_of<Reply, RefusedReply>():
        body = read_refused(in);
        break;
      default:
        in.fail();
    }
  });
}

std::string_view to_string(State state) {
  switch (state) {
    case State::absent:
      return "absent";
    case State::applied:
      return "applied";
    case State::suspended:
      return "suspended";
    case State::lost:
      return "lost";
  }
  return "?";
}

namespace {

std::string describe(const GateCounts& gate) {
  std::string text;
  const auto count = [](std::uint64_t value, const char* what) { return std::to_string(value) + what; };
  if (gate.only_resolved > 0)
    text += "only-resolved: " + count(gate.only_resolved, " MAC addresses; ") +
            count(gate.refused, " connections refused that no answer explains\n");
  if (gate.observed > 0)
    text += "observed: " + count(gate.observed, " MAC addresses; ") +
            count(gate.would_refuse, " connections that no answer explains\n");
  if (gate.only_resolved + gate.observed > 0)
    text += "given by answers: " + count(gate.admitted, " addresses that may be connected to now\n");
  if (gate.turned_away > 0) text += "answers that the kernel was not told of: " + count(gate.turned_away, "\n");
  return text;
}

}  // namespace

std::string describe(const RefusedConnection& connection) {
  const IpAddress& address = connection.destination.address;
  return describe(AllowedFlow{{address, address.is_v4() ? 32 : 128}, connection.protocol, connection.destination.port});
}

std::string describe(const StatusReply& status) {
  std::string text = "redirect: " + std::string(to_string(status.state));
  if (status.state != State::absent && status.mode == Mode::off)
    text += ", connections are watched and nothing is intercepted";
  else if (status.state != State::absent)
    text += ", mode " + std::string(to_string(status.mode));
  if (status.state == State::applied) text += ", since " + std::to_string(status.applied_seconds_ago) + " s";
  text += "\n";
  if (status.trial_seconds_left > 0)
    text += "on trial: what was before comes back in " + std::to_string(status.trial_seconds_left) +
            " s, unless `doline redirect confirm` says that these rules stay\n";
  if (!status.reason.empty()) text += "because: " + status.reason + "\n";
  if (!status.has_privilege) text += "without privilege: CAP_NET_ADMIN is missing, so nothing can be applied\n";
  if (status.state == State::applied) {
    const Counters& counters = status.counters;
    if (!status.has_counters)
      text += "caught: iptables counts that, in the chains DOLINE_LAN of `iptables-save -c` and `ip6tables-save -c`\n";
    else if (intercepts(status.mode))
      text += std::string("caught (") + (status.mode == Mode::nat ? "flows" : "packets") +
              "): " + std::to_string(counters.udp4) + " IPv4 UDP, " + std::to_string(counters.tcp4) + " IPv4 TCP, " +
              std::to_string(counters.udp6) + " IPv6 UDP, " + std::to_string(counters.tcp6) + " IPv6 TCP\n";
    if (counters.unserved > 0) text += "stray, with nobody listening: " + std::to_string(counters.unserved) + "\n";
    if (counters.encrypted > 0) text += "encrypted DNS refused: " + std::to_string(counters.encrypted) + "\n";
    text += describe(status.gate);
  }
  for (const std::string& sentence : status.interference) text += "interference: " + sentence + "\n";
  return text;
}

}  // namespace doline::redirect
