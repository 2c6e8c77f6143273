#include "resolver/renewable_exchange.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

namespace doline::resolver {
namespace {

using Names = std::vector<std::string>;
using Outcome = Result<upstream::Reply, upstream::Failure>;

/// What became of the exchanges of a test, told by themselves.
struct Story {
  Names asked, flushed, retired, ended;
};

/// Keeps what it is asked until the test answers.
class PatientExchange final : public upstream::Exchange {
 public:
  PatientExchange(Story& story, std::string name) : story_(story), name_(std::move(name)) {}
  ~PatientExchange() override { story_.ended.push_back(name_); }
  void land_on(upstream::Landing& landing) override { landing_ = &landing; }
  void ask(const upstream::Request&, upstream::Ticket ticket, MonotonicTime) override {
    story_.asked.push_back(name_);
    tickets_.push_back(ticket);
  }
  void flush() override {
    story_.flushed.push_back(name_);
    if (ends_in_flush) answer(fail(upstream::Failure{upstream::ExchangeFault::unreachable}));
  }
  void retire() override { story_.retired.push_back(name_); }
  [[nodiscard]] std::size_t in_flight() const override { return tickets_.size(); }
  /// The oldest question.
  void answer(const Outcome& outcome) {
    const upstream::Ticket ticket = tickets_.front();
    tickets_.erase(tickets_.begin());
    landing_->land(ticket, outcome);
  }
  bool ends_in_flush = false;

 private:
  Story& story_;
  std::string name_;
  upstream::Landing* landing_ = nullptr;
  std::vector<upstream::Ticket> tickets_;
};

struct House final : upstream::Landing {
  Story story;
  std::vector<PatientExchange*> exchanges;  ///< some have ended
  RenewableExchange renewable{next("first")};
  std::vector<std::string> landed;
  std::function<void()> then = [] {};

  House() { renewable.land_on(*this); }
  std::unique_ptr<PatientExchange> next(const std::string& name) {
    auto made = std::make_unique<PatientExchange>(story, name);
    exchanges.push_back(made.get());
    return made;
  }
  void ask(upstream::Ticket ticket) { renewable.ask({}, ticket, {}); }
  void begin_landings() override {}
  void land(upstream::Ticket ticket, const Outcome& outcome) override {
    landed.push_back(std::to_string(ticket) + ": " +
                     std::string(outcome ? "words" : upstream::to_string(outcome.error().fault)));
    std::exchange(then, [] {})();
  }
};

TEST_CASE("new questions go to the newest exchange, and an older one lives until its last question is answered") {
  House house;
  house.ask(1);
  house.ask(2);
  house.renewable.renew(house.next("second"));
  house.ask(3);
  CHECK(house.story.asked == Names{"first", "first", "second"});
  CHECK(house.story.retired == Names{"first"});
  CHECK(house.renewable.in_flight() == 3);
  house.renewable.flush();
  CHECK(house.story.flushed == Names{"first", "second"});  // an older one may ask again, too
  CHECK(house.story.ended.empty());

  house.exchanges[0]->answer(fail(upstream::Failure{upstream::ExchangeFault::timeout}));
  house.renewable.flush();
  CHECK(house.story.ended.empty());
  house.exchanges[0]->answer(upstream::Reply{});
  CHECK(house.landed == Names{"1: " + std::string(upstream::to_string(upstream::ExchangeFault::timeout)), "2: words"});
  CHECK(house.story.ended.empty());  // it is calling us
  house.renewable.flush();
  CHECK(house.story.ended == Names{"first"});
  CHECK(house.renewable.in_flight() == 1);
  CHECK(&house.renewable.newest() == house.exchanges[1]);
}

TEST_CASE("an exchange without questions ends with the turn in which it is renewed") {
  House house;
  house.renewable.renew(house.next("second"));
  house.renewable.renew(house.next("third"));
  house.renewable.flush();
  CHECK(house.story.ended == Names{"first", "second"});
}

TEST_CASE("an exchange is never destroyed while it calls back, even if the callee asks or renews") {
  House house;
  house.ask(1);
  house.renewable.renew(house.next("second"));
  std::size_t ended_during_call = 1;
  house.then = [&] {
    house.ask(2);
    house.renewable.renew(house.next("third"));
    ended_during_call = house.story.ended.size();
  };
  SUBCASE("from the loop") {
    house.exchanges[0]->answer(upstream::Reply{});
  }
  SUBCASE("from flush()") {
    house.exchanges[0]->ends_in_flush = true;
  }
  house.renewable.flush();
  CHECK(house.landed.size() == 1);
  CHECK(ended_during_call == 0);
  CHECK(house.story.asked == Names{"first", "second"});
  CHECK(house.story.ended == Names{"first"});
  house.ask(3);
  CHECK(house.story.asked.back() == "third");
}

}  // namespace
}  // namespace doline::resolver
