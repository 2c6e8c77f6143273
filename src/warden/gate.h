// Gate: the sets of the table `doline_gate`, written by netlink: the addresses that answers have given to restricted
// devices, those of DoH names, and the sign that the warden lives. Each write is one transaction, and is in force when
// it returns; it takes microseconds. The rules that use the sets are redirect/gate_rules.h's.
//
// Checks what it is asked for: only of devices that are restricted, only addresses beyond the gateway, only for so
// long.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/time.h"
#include "device/mac_address.h"
#include "redirect/admission.h"
#include "redirect/gate_rules.h"
#include "redirect/restrictions.h"
#include "warden/netlink.h"

namespace doline::warden {

/// The gate of a warden that is silent for so long opens (on_failure: open); it says so often that it lives.
inline constexpr seconds gate_opens_after{10};
inline constexpr seconds gate_renewed_every{2};

/// Elements of which it is known how long they stay, so that a shorter answer does not cut a longer one: all that the
/// kernel's sets hold (redirect/gate_rules.h).
inline constexpr std::size_t gate_remembered_max = 2 * (redirect::gate_allowed_max + redirect::gate_answered_doh_max);

/// Does giving an element again renew its timeout (Linux 6.12), or must it be taken out first?
enum class Renewal : std::uint8_t { by_adding, by_replacing };

class Gate {
 public:
  explicit Gate(Renewal renewal) : renewal_(renewal), netlink_(NETLINK_NETFILTER) {}

  /// Whose admissions are taken from now on.
  void hold(const redirect::Restrictions& restrictions);
  /// An answer for each, in order. An address that this has admitted before stays for the longer of the two times. What
  /// the kernel does not take, where there is no such table or a set is full, is not admitted.
  [[nodiscard]] std::vector<redirect::AdmissionAnswer> admit(std::span<const redirect::Admission> admissions);
  /// Holds the gate for gate_opens_after. False: the kernel says no, as it does without the table.
  bool stay_alive();
  /// Admissions that were turned away since this was made.
  [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }

  struct Element;

 private:
  [[nodiscard]] bool collect(const redirect::Admission& admission, std::vector<Element>& elements) const;
  [[nodiscard]] bool write(std::vector<Element>& elements);
  void stay_as_long_as_before(std::vector<Element>& elements, MonotonicTime now) const;
  void remember(const std::vector<Element>& elements, MonotonicTime now);

  Renewal renewal_;
  Netlink netlink_;
  std::vector<device::MacAddress> held_;                               // sorted
  std::map<std::array<std::uint8_t, 25>, MonotonicTime> stays_until_;  // by set and key
  std::uint64_t turned_away_ = 0;
};

}  // namespace doline::warden
