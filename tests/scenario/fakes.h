// What stories and laws replace around a Resolver: the clock, the exchange with upstream and the outbox of records.
// Everything else that runs is the real thing; the fake upstream's octets pass upstream::accept() as a server's do.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "base/time.h"
#include "dns/message.h"
#include "dns/presentation.h"
#include "dns/writer.h"
#include "querylog/record.h"
#include "resolver/resolver.h"
#include "upstream/accept.h"
#include "upstream/exchange.h"

namespace doline::tests {

class OwnClock final : public Clock {
 public:
  [[nodiscard]] Moment now() const override { return now_; }
  void pass(microseconds time) {
    now_.monotonic += time;
    now_.wall += time;
  }
  /// As when somebody sets the clock of the machine: no time passes.
  void set(WallTime wall) { now_.wall = wall; }

 private:
  /// Monday, 5 January 2026, 12:00 UTC.
  Moment now_{MonotonicTime{std::chrono::hours(1'000)},
              WallTime{std::chrono::sys_days{std::chrono::year{2026} / 1 / 5} + std::chrono::hours(12)}};
};

/// A record of a fake answer and the section it stands in.
struct Said {
  dns::Section section = dns::Section::answer;
  dns::Record record;
};

/// A response as a server sends it; with OPT where `opt` is given.
inline std::vector<std::uint8_t> server_octets(const dns::Question& question, dns::ResponseCode code,
                                               bool authentic_data, const std::vector<Said>& records,
                                               const std::optional<dns::OptRecord>& opt = {}) {
  std::vector<std::uint8_t> octets(dns::message_octets_max);
  dns::MessageWriter writer(octets);
  writer.header(0x7777, {.recursion_desired = true, .authentic_data = authentic_data}, code);
  bool fits = writer.question(question);
  for (const Said& said : records)
    fits = fits && writer.record(said.section, said.record.owner, said.record.type, said.record.record_class,
                                 said.record.ttl, dns::Octets(said.record.rdata));
  check(fits && (!opt || writer.opt(*opt)));
  octets.resize(writer.size());
  return octets;
}

/// Keeps every question until it is told the answer.
class ToldExchange final : public upstream::Exchange {
 public:
  struct Asked {
    upstream::Request request;
    upstream::Ticket ticket;
  };

  void land_on(upstream::Landing& landing) override { landing_ = &landing; }
  void ask(const upstream::Request& request, upstream::Ticket ticket, MonotonicTime) override {
    asked_.push_back({request, ticket});
  }
  void flush() override {}
  [[nodiscard]] std::size_t in_flight() const override { return asked_.size(); }

  /// Open questions, in the order in which they were asked.
  [[nodiscard]] const std::vector<Asked>& asked() const { return asked_; }
  /// Questions that were answered or failed.
  [[nodiscard]] std::uint64_t ended() const { return ended_; }
  void fail(std::size_t which, upstream::ExchangeFault fault, const upstream::Complaint* complaint = nullptr) {
    land(which, doline::fail(upstream::Failure{fault, complaint}));
  }
  /// The answer to a question that has failed.
  void answer_late(const upstream::Request& request, dns::Octets octets, const Endpoint& server) {
    words_.resize(dns::message_octets_max);
    const auto accepted = upstream::accept(octets, request.question, {}, words_);
    check(accepted.has_value());
    landing_->begin_landings();
    landing_->land_late(request, {dns::Octets(words_).first(accepted->size), *accepted, server});
  }
  /// A server's octets, believed as far as accept() believes them. Its fault where another answer is waited for; then
  /// the question still waits.
  std::optional<upstream::AcceptFault> answer(std::size_t which, dns::Octets octets, const Endpoint& server) {
    words_.resize(dns::message_octets_max);
    const auto accepted = upstream::accept(octets, asked_[which].request.question, {}, words_);
    if (!accepted && accepted.error() != upstream::AcceptFault::malformed &&
        accepted.error() != upstream::AcceptFault::other_question &&
        accepted.error() != upstream::AcceptFault::truncated) {
      const upstream::Complaint complaint = upstream::read_complaint(octets, accepted.error(), server);
      fail(which, upstream::ExchangeFault::server_failed, &complaint);
      return std::nullopt;
    }
    if (!accepted) return accepted.error();
    land(which, upstream::Reply{dns::Octets(words_).first(accepted->size), *accepted, server});
    return std::nullopt;
  }

 private:
  void land(std::size_t which, const Result<upstream::Reply, upstream::Failure>& result) {
    ++ended_;
    const upstream::Ticket ticket = asked_[which].ticket;
    asked_.erase(asked_.begin() + static_cast<std::ptrdiff_t>(which));
    landing_->begin_landings();
    landing_->land(ticket, result);
  }
  upstream::Landing* landing_ = nullptr;
  std::vector<Asked> asked_;
  std::uint64_t ended_ = 0;
  std::vector<std::uint8_t> words_;
};

class KeptRecords final : public resolver::Outbox {
 public:
  /// As when the log writer does not keep up.
  bool is_full = false;

  bool record(const querylog::Record& record, dns::Octets response) override {
    if (is_full) return false;
    kept.emplace_back(record, std::vector<std::uint8_t>(response.begin(), response.end()));
    return true;
  }
  std::deque<std::pair<querylog::Record, std::vector<std::uint8_t>>> kept;
};

}  // namespace doline::tests
