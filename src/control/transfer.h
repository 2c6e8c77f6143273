// Transfers: zones fetched from their primaries over TCP, any number at once, on the control loop.
//
// Control thread only; nothing here blocks but writes to the local disk. The primaries are asked in their order, for
// what has changed where there is a copy, whole where that cannot be had. Octets and time are bounded; with a key
// nothing counts before the last message's signature has been verified. What the zone is worth is for the caller to
// judge.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "control/loop.h"
#include "transfer/incoming_zone.h"
#include "transfer/tsig.h"

namespace doline::control {

inline constexpr seconds transfer_patience{15 * 60};  ///< for all of it
inline constexpr seconds transfer_stall{30};          ///< without an octet

struct TransferOrder {
  dns::Name zone;
  std::vector<Endpoint> primaries;       ///< at least one
  std::optional<transfer::TsigKey> key;  ///< of all of them
  std::optional<std::uint32_t> have;     ///< serial of the copy at hand; nothing: the zone is wanted whole
  std::filesystem::path file;            ///< made anew; there is one afterwards only where the zone came whole
  seconds patience = transfer_patience;
  seconds stall = transfer_stall;
};

struct Transferred {
  transfer::IncomingZone::Kind kind{};
  dns::SoaNumbers soa;
  std::string soa_line;
  std::vector<transfer::LineChange> changes;  ///< of a difference
  std::uint64_t octets = 0;                   ///< of a whole zone: in the file; not yet forced onto the disk
  Endpoint primary;
};

class Transfers {
 public:
  /// The fault is a sentence's end, with the primary that said it: the last one that was asked.
  using Done = std::function<void(Result<Transferred, std::string>)>;

  Transfers(Loop& loop, const Clock& clock);
  /// What is under way is given up, without a call.
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// `done` is called once, on the loop, never from within this call. The number is for cancel().
  std::uint64_t fetch(TransferOrder order, Done done);
  /// Its `done` is not called; its file is removed. A number that is over is no mistake.
  void cancel(std::uint64_t number);

 private:
  struct Attempt;
  Loop& loop_;
  const Clock& clock_;
  std::map<std::uint64_t, std::unique_ptr<Attempt>> attempts_;
  std::uint64_t last_number_ = 0;
};

}  // namespace doline::control
