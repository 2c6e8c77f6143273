// PlainExchange: asks by plain DNS: UDP from a random port that changes often (server_sockets.h) with a random ID
// and random case, then TCP where the answer does not fit or the datagrams cannot be believed.
//
// Lives on one worker's loop. What does not match (ID, question, case) or does not parse is ignored and the wait goes
// on; it neither answers nor ends an exchange, nor does it say anything about the server. Servers that do not answer
// are passed over for others, so that each has its turn, and asked again with growing pauses, beside the one that
// serves the client. A question whose time is up lands, and datagrams that answer it are taken for a while all the
// same.
#pragma once

#include <memory>
#include <vector>

#include "upstream/exchange.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::upstream {

class PlainExchange final : public Exchange {
 public:
  /// `bounds`: of all words that it brings.
  PlainExchange(asio::io_context& loop, const Options& options, const TtlBounds& bounds = {});
  ~PlainExchange() override;
  PlainExchange(const PlainExchange&) = delete;
  PlainExchange& operator=(const PlainExchange&) = delete;

  void land_on(Landing& landing) override;
  void ask(const Request& request, Ticket ticket, MonotonicTime now) override;
  void flush() override;
  void retire() override;
  [[nodiscard]] std::size_t in_flight() const override;
  /// In order of route, then of configuration.
  [[nodiscard]] std::vector<ServerHealth> health() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // handlers that wait on the loop hold it weakly
};

}  // namespace doline::upstream
