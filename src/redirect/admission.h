// Admission: the question by which an address becomes reachable: these devices were told these addresses, may the
// kernel let them connect there? And the same channel's other use: these addresses belong to a known DoH name.
//
// Each worker has a SOCK_SEQPACKET descriptor to the warden, beside that of redirect/origin.h and with the same rules:
// non-blocking; one packet with up to admissions_per_message questions gets one packet with as many answers, once the
// kernel has said that it knows; no more than admissions_in_flight_max unanswered. End of file is a warden that died.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "device/mac_address.h"
#include "redirect/wire.h"

namespace doline::redirect {

inline constexpr std::size_t admissions_per_message = 64;
/// Of all questions of a message: what one transaction of the kernel is asked for.
inline constexpr std::size_t admitted_per_message = 512;
inline constexpr std::size_t admissions_in_flight_max = 1'024;

/// An address stays reachable for its TTL, for no less than this, and for a while after it: devices connect late.
inline constexpr seconds admission_min{60};
inline constexpr seconds admission_grace{600};
inline constexpr seconds admission_max{7 * 86'400};

enum class Purpose : std::uint8_t {
  connect,  ///< these devices may connect to these addresses
  doh,      ///< these addresses answer DoH; no devices
};

struct Admission {
  std::uint32_t ticket = 0;  ///< the asker's; comes back as it was
  Purpose purpose = Purpose::connect;
  std::uint32_t ttl_seconds = 0;
  std::uint32_t age_seconds = 0;  ///< so long ago that was said; what is over, grace included, is not admitted
  std::vector<device::MacAddress> devices;
  std::vector<IpAddress> addresses;
  bool operator==(const Admission&) const = default;

  /// Elements of the kernel's sets that it is about.
  [[nodiscard]] std::size_t size() const {
    return addresses.size() * (purpose == Purpose::connect ? devices.size() : 1);
  }
};

struct AdmissionAnswer {
  std::uint32_t ticket = 0;
  bool is_admitted = false;
  auto operator<=>(const AdmissionAnswer&) const = default;
};

/// From now on; not above 0: it is over.
[[nodiscard]] seconds time_left(const Admission& admission);

/// Could a device of the LAN reach such an address through a gateway? Neither multicast nor of this very link or host.
[[nodiscard]] bool may_be_admitted(const IpAddress& address);

/// On the wire, with others: as one list. Reads no more than one message may hold, and fails past it.
void write(WireWriter& out, std::span<const Admission> admissions);
[[nodiscard]] std::vector<Admission> read_admissions(WireReader& in);

/// How many of these, from the first on, one message may hold. At least one, where there is one of a size that fits.
[[nodiscard]] std::size_t count_that_fit(std::span<const Admission> admissions);
/// As many as count_that_fit() allows; more break an invariant.
[[nodiscard]] std::vector<std::uint8_t> write_admissions(std::span<const Admission> admissions);
[[nodiscard]] Result<std::vector<Admission>, MessageFault> parse_admissions(std::span<const std::uint8_t> octets);
[[nodiscard]] std::vector<std::uint8_t> write_admission_answers(std::span<const AdmissionAnswer> answers);
[[nodiscard]] Result<std::vector<AdmissionAnswer>, MessageFault> parse_admission_answers(
    std::span<const std::uint8_t> octets);

}  // namespace doline::redirect
