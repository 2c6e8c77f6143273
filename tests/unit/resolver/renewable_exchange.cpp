#include "resolver/renewable_exchange.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

namespace doline::resolver {
namespace {

using Outcome = Result<upstream::Reply, upstream::ExchangeFault>;

/// What became of the exchanges of a test, told by themselves.
struct Story {
  std::vector<upstream::Exchange::Completion> questions;
  std::vector<std::string> asked, ended;
};

/// Keeps what it is asked until the test answers.
class PatientExchange final : public upstream::Exchange {
 public:
  PatientExchange(Story& story, std::string name) : story_(story), name_(std::move(name)) {}
  ~PatientExchange() override { story_.ended.push_back(name_); }
  void ask(const upstream::Request&, Completion done) override {
    story_.asked.push_back(name_);
    story_.questions.push_back(std::move(done));
  }

 private:
  Story& story_;
  std::string name_;
};

std::unique_ptr<upstream::Exchange> exchange(Story& story, const std::string& name) {
  return std::make_unique<PatientExchange>(story, name);
}

using Names = std::vector<std::string>;

TEST_CASE("new questions go to the newest exchange, and an older one lives until its last question is answered") {
  Story story;
  RenewableExchange renewable(exchange(story, "old"));
  int answered = 0;
  const auto count = [&](const Outcome&) { ++answered; };
  renewable.ask({}, count);
  renewable.ask({}, count);
  renewable.renew(exchange(story, "new"));
  renewable.ask({}, count);
  CHECK(story.asked == Names{"old", "old", "new"});
  CHECK(story.ended.empty());

  story.questions[0](fail(upstream::ExchangeFault::timeout));
  renewable.ask({}, count);
  CHECK(story.ended.empty());
  story.questions[1](fail(upstream::ExchangeFault::timeout));
  CHECK(answered == 2);
  CHECK(story.ended.empty());  // it is calling us
  renewable.ask({}, count);
  CHECK(story.ended == Names{"old"});
  CHECK(story.asked.back() == "new");
}

TEST_CASE("an exchange without questions ends when it is renewed") {
  Story story;
  RenewableExchange renewable(exchange(story, "first"));
  renewable.renew(exchange(story, "second"));
  CHECK(story.ended == Names{"first"});
  renewable.ask({}, [](const Outcome&) {});
  renewable.renew(exchange(story, "third"));
  renewable.renew(exchange(story, "fourth"));
  CHECK(story.ended == Names{"first", "third"});
  const auto* newest = dynamic_cast<const PatientExchange*>(&renewable.newest());
  CHECK(newest != nullptr);
}

TEST_CASE("the result reaches the one who asked, as it is") {
  Story story;
  RenewableExchange renewable(exchange(story, "only"));
  std::vector<std::string> results;
  for (const std::string name : {"a", "b"})
    renewable.ask({}, [&results, name](const Outcome& outcome) {
      results.push_back(name + ": " + std::string(outcome ? "words" : upstream::to_string(outcome.error())));
    });
  story.questions[1](fail(upstream::ExchangeFault::unreachable));
  story.questions[0](upstream::Reply{});
  CHECK(results == Names{"b: " + std::string(upstream::to_string(upstream::ExchangeFault::unreachable)), "a: words"});
}

TEST_CASE("an exchange is never destroyed while it calls back, even if the callee asks or renews") {
  Story story;
  RenewableExchange renewable(exchange(story, "old"));
  std::size_t ended_during_call = 1;
  renewable.ask({}, [&](const Outcome&) {
    renewable.ask({}, [](const Outcome&) {});
    renewable.renew(exchange(story, "newest"));
    ended_during_call = story.ended.size();
  });
  renewable.renew(exchange(story, "new"));
  const auto question = std::move(story.questions[0]);
  question(fail(upstream::ExchangeFault::timeout));
  CHECK(ended_during_call == 0);
  CHECK(story.asked == Names{"old", "new"});
  renewable.ask({}, [](const Outcome&) {});
  CHECK(story.ended == Names{"old"});
}

}  // namespace
}  // namespace doline::resolver
