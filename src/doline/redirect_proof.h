// RedirectProof: that stray DNS is brought home, proven with packets, for `doline redirect verify`. Either a device
// that is there for a moment only asks a foreign resolver in every way (IPv4 and IPv6, UDP and TCP, each port), and the
// running Doline says whether it was asked; or the queries of a real device are awaited in the query log. And Doline's
// own queries: none that it sends upstream may come back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/time.h"
#include "querylog/log_reader.h"
#include "redirect/options.h"

namespace doline {

/// One way of asking, on one interface, and what became of it.
struct ProofWay {
  enum class Outcome : std::uint8_t {
    proven,        ///< it came to Doline, from whom and for whom it should, and its answer went back
    unanswered,    ///< it came, and no answer from the very address that was asked was seen
    not_seen,      ///< it did not come
    wrong_origin,  ///< it came, as if it were meant for somebody else
    no_route,      ///< this machine has no way out for the family: nothing can leave, so nothing is to be caught
  };
  std::string interface;  ///< empty: of a real device
  std::string family;     ///< `IPv4`, `IPv6`
  std::string transport;  ///< `UDP`, `TCP`
  std::uint16_t port = 53;  ///< 0: any
  Outcome outcome = Outcome::not_seen;
};
[[nodiscard]] const char* to_string(ProofWay::Outcome outcome);

struct Proof {
  std::vector<ProofWay> ways;
  std::vector<std::string> untried;  ///< what could not be tried, and why: a sentence each
  std::vector<std::string> loops;    ///< queries of Doline's own that came back
  std::size_t upstreams = 0;         ///< asked for a canary

  [[nodiscard]] bool has_failed() const;
};

/// With a scratch device on each interface. `control_socket`: of the running Doline.
[[nodiscard]] Proof prove_with_packets(const redirect::Options& options, const std::filesystem::path& control_socket);
/// With the queries of a real device: `filter` says whose. Waits up to `patience` for the four ways on whatever port,
/// and calls `progress` when one more was seen. The log's fault is a sentence of `untried`.
[[nodiscard]] Proof prove_by_device(const std::filesystem::path& database, const querylog::LogFilter& filter,
                                    seconds patience, const std::function<void(const ProofWay&)>& progress);
/// For people.
[[nodiscard]] std::string describe(const Proof& proof);

}  // namespace doline
