// Request, Reply: all that resolver and warden say to each other about rules. A closed set of typed values; no request
// carries text that becomes a command. One message is one packet of a SOCK_SEQPACKET socket; a reply carries its
// request's number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "redirect/admission.h"
#include "redirect/options.h"
#include "redirect/restrictions.h"

namespace doline::redirect {

/// More than any message needs, and less than a packet of the socket may hold.
inline constexpr std::size_t message_octets_max = 200 * 1024;
inline constexpr std::size_t sentences_max = 64;  ///< in one reply
inline constexpr std::size_t sentence_octets_max = 1'024;
inline constexpr std::size_t sightings_max = 1'024;  ///< in one reply
inline constexpr std::size_t refusals_max = 1'024;   ///< in one reply, of devices as of connections

/// The resolver says this so often; `silence_max` without a word, and the warden takes the rules away until it hears
/// one again.
inline constexpr milliseconds heartbeat_period{1'000};
inline constexpr milliseconds silence_max{3'000};
/// The longest that rules may be on trial.
inline constexpr seconds trial_max{3'600};

// ── what the resolver asks ──
struct Apply {  ///< Rules for these options in place of whatever rules there are. → Done, Failed
  Options options;
  std::uint16_t trial_seconds = 0;  ///< what was before comes back then, unless Confirm came; 0: they stay
  bool operator==(const Apply&) const = default;
};
struct Remove {  ///< No rules, no memory of who asked whom. → Done, Failed
  bool operator==(const Remove&) const = default;
};
struct Status {             ///< → StatusReply
  bool looks_anew = false;  ///< at the interference too, by running nft; otherwise it is as old as the last look
  bool operator==(const Status&) const = default;
};
struct Verify {  ///< Is everything as it was applied? → Done (as warnings: interference), Failed
  bool operator==(const Verify&) const = default;
};
struct Seen {  ///< Who asked which foreign resolver, as the kernel counted. → SeenReply
  bool operator==(const Seen&) const = default;
};
struct Restrict {  ///< From now on these, with whatever rules there are and will be. → Done, Failed
  Restrictions restrictions;
  bool operator==(const Restrict&) const = default;
};
struct Admit {  ///< As a worker would ask: of answers that were given before the gate held these devices. → Done,
                ///< Failed
  std::vector<Admission> admissions;  ///< as many as fit: count_that_fit()
  bool operator==(const Admit&) const = default;
};
struct Refused {  ///< Whom the gate refused, and what. → RefusedReply
  bool operator==(const Refused&) const = default;
};
struct Heartbeat {  ///< No reply.
  bool operator==(const Heartbeat&) const = default;
};
struct Confirm {  ///< The rules on trial stay. → Done, Failed
  bool operator==(const Confirm&) const = default;
};
using Request = std::variant<Apply, Remove, Status, Verify, Seen, Heartbeat, Confirm, Restrict, Refused, Admit>;

// ── what the warden answers ──
struct Done {
  std::vector<std::string> warnings;  ///< sentences for the operator
  bool operator==(const Done&) const = default;
};
struct Failed {
  std::vector<std::string> reasons;
  bool operator==(const Failed&) const = default;
};

/// `suspended`: the resolver went silent, the rules are away until it is heard. `lost`: somebody took them away.
enum class State : std::uint8_t { absent, applied, suspended, lost };

/// Packets brought home, by family and protocol (`nat`: flows), as the rules counted them since they were made.
struct Counters {
  std::uint64_t udp4 = 0, tcp4 = 0, udp6 = 0, tcp6 = 0;
  std::uint64_t unserved = 0;   ///< stray, but nobody listened: passed on (on_failure: open) or refused
  std::uint64_t encrypted = 0;  ///< DoT, DoQ, DoH refused
  auto operator<=>(const Counters&) const = default;
};

/// The gate: who is restricted, and what became of it since its table was made.
struct GateCounts {
  std::uint64_t only_resolved = 0, observed = 0;  ///< MAC addresses
  std::uint64_t admitted = 0;                     ///< pairs of MAC and address that may connect now
  std::uint64_t refused = 0;                      ///< connections, by their first packets
  std::uint64_t would_refuse = 0;                 ///< the same of those that are observed
  std::uint64_t turned_away = 0;                  ///< admissions that were not asked for rightly, or found no room
  auto operator<=>(const GateCounts&) const = default;
};

struct StatusReply {
  State state = State::absent;
  Mode mode = Mode::off;
  bool has_privilege = false;  ///< CAP_NET_ADMIN: without it nothing can be applied
  std::uint64_t applied_seconds_ago = 0;
  std::uint32_t trial_seconds_left = 0;  ///< 0: the rules are not on trial
  bool has_counters = true;              ///< iptables keeps its own
  Counters counters;
  GateCounts gate;
  std::string reason;                     ///< of suspended or lost
  std::vector<std::string> interference;  ///< what else on this machine touches DNS
  bool operator==(const StatusReply&) const = default;
};

/// One row of the kernel's memory.
struct Sighting {
  device::MacAddress device;
  Endpoint resolver;
  std::uint64_t packets = 0;
  auto operator<=>(const Sighting&) const = default;
};
struct SeenReply {
  std::vector<Sighting> sightings;  ///< the most asked first
  std::uint32_t left_out = 0;       ///< past sightings_max
  bool operator==(const SeenReply&) const = default;
};

/// First packets of connections, as the gate counted them of a device since its table was made, or since a week of
/// none.
struct RefusedDevice {
  device::MacAddress mac;
  std::uint64_t refused = 0, would_refuse = 0, encrypted = 0;
  auto operator<=>(const RefusedDevice&) const = default;
};
/// What an only-resolved or observed device wanted to connect to in the last hour, and no answer nor lock explained.
struct RefusedConnection {
  device::MacAddress mac;
  std::uint8_t protocol = 0;
  Endpoint destination;
  std::uint64_t packets = 0;
  auto operator<=>(const RefusedConnection&) const = default;
};
/// As describe(AllowedFlow) says of one that would have allowed it.
[[nodiscard]] std::string describe(const RefusedConnection& connection);
struct RefusedReply {
  std::vector<RefusedDevice> devices;          ///< those that tried most first
  std::vector<RefusedConnection> connections;  ///< what was tried most first
  std::uint32_t left_out = 0;                  ///< of both, past refusals_max of each
  bool operator==(const RefusedReply&) const = default;
};
using Reply = std::variant<Done, Failed, StatusReply, SeenReply, RefusedReply>;

template <class Body>
struct Numbered {
  std::uint32_t number = 0;
  Body body;
  bool operator==(const Numbered&) const = default;
};

// Lists longer than their limits and texts longer than theirs are cut when written. Round trip otherwise:
// parse(write(m)) = m.
[[nodiscard]] std::vector<std::uint8_t> write_request(const Numbered<Request>& request);
[[nodiscard]] Result<Numbered<Request>, MessageFault> parse_request(std::span<const std::uint8_t> octets);
[[nodiscard]] std::vector<std::uint8_t> write_reply(const Numbered<Reply>& reply);
[[nodiscard]] Result<Numbered<Reply>, MessageFault> parse_reply(std::span<const std::uint8_t> octets);

/// What `doline redirect status` prints.
[[nodiscard]] std::string describe(const StatusReply& status);
[[nodiscard]] std::string_view to_string(State state);

}  // namespace doline::redirect
