// RenewableExchange: lets `upstreams:` change while exchanges are in flight. New questions go to the newest exchange;
// an older one lives until its last question is answered. One worker's loop only.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include "upstream/exchange.h"

namespace doline::resolver {

class RenewableExchange final : public upstream::Exchange {
 public:
  explicit RenewableExchange(std::unique_ptr<upstream::Exchange> first) { eras_.push_back(std::move(first)); }

  void land_on(upstream::Landing& landing) override {
    landing_ = &landing;
    newest().land_on(landing);
  }
  /// After land_on().
  void renew(std::unique_ptr<upstream::Exchange> next) {
    newest().retire();
    next->land_on(*landing_);
    eras_.push_back(std::move(next));
  }
  [[nodiscard]] upstream::Exchange& newest() { return *eras_.back(); }

  void ask(const upstream::Request& request, upstream::Ticket ticket, MonotonicTime now) override {
    newest().ask(request, ticket, now);
  }
  /// An era that ended is destroyed here, where none of its questions is landing.
  void flush() override {
    for (const auto& era : eras_) era->flush();
    while (eras_.size() > 1 && eras_.front()->in_flight() == 0) eras_.pop_front();
  }
  [[nodiscard]] std::size_t in_flight() const override {
    std::size_t count = 0;
    for (const auto& era : eras_) count += era->in_flight();
    return count;
  }

 private:
  upstream::Landing* landing_ = nullptr;
  std::list<std::unique_ptr<upstream::Exchange>> eras_;  // the oldest first; what lands during flush() may renew
};

}  // namespace doline::resolver
