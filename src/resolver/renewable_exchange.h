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
  explicit RenewableExchange(std::unique_ptr<upstream::Exchange> first) { renew(std::move(first)); }

  void renew(std::unique_ptr<upstream::Exchange> next) {
    eras_.push_back({std::move(next), 0});
    std::erase_if(eras_, [&](const Era& era) { return &era != &eras_.back() && era.pending == 0; });
  }
  [[nodiscard]] const upstream::Exchange& newest() const { return *eras_.back().exchange; }

  /// An era that ended is destroyed by the next ask or renew, never while it calls back.
  void ask(const upstream::Request& request, Completion done) override {
    while (eras_.size() > 1 && eras_.front().pending == 0) eras_.pop_front();
    Era& era = eras_.back();
    ++era.pending;
    era.exchange->ask(request,
                      [&era, finish = std::move(done)](const Result<upstream::Reply, upstream::ExchangeFault>& result) {
                        finish(result);
                        --era.pending;  // only now: `finish` may ask or renew
                      });
  }

 private:
  struct Era {
    std::unique_ptr<upstream::Exchange> exchange;
    std::size_t pending = 0;
  };
  std::list<Era> eras_;  // addresses are stable
};

}  // namespace doline::resolver
