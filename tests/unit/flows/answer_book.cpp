#include "flows/answer_book.h"

#include <doctest/doctest.h>

#include "packets.h"

using namespace doline;
using namespace doline::flows;
using flows::samples::address;

namespace {

constexpr MonotonicTime noon{std::chrono::hours(12)};
const Holder camera = Holder::of(*device::MacAddress::parse("94:51:3d:13:9a:35"));
const Holder phone = Holder::of(*device::MacAddress::parse("02:d0:11:00:50:32"));

dns::Name name(std::string_view text) {
  return *dns::Name::parse(text);
}

IpAddress numbered(std::uint32_t number) {
  return IpAddress::v4(20, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                       static_cast<std::uint8_t>(number));
}

void give(AnswerBook& book, const Holder& holder, const char* qname, const IpAddress& given, seconds ttl = seconds(300),
          MonotonicTime at = noon) {
  book.give(holder, name(qname), std::span(&given, 1), ttl, at);
}

}  // namespace

TEST_CASE("an address is known by its name, to whom it was given, from then on until its time is over") {
  AnswerBook book;
  const IpAddress api = address("52.1.2.3");
  give(book, camera, "API.wyzecam.com", api);
  CHECK(book.find(camera, api, noon) == name("api.wyzecam.com"));
  CHECK(book.find(camera, api, noon + seconds(300) + answer_grace) == name("api.wyzecam.com"));
  CHECK_FALSE(book.find(camera, api, noon + seconds(301) + answer_grace));
  CHECK_FALSE(book.find(camera, api, noon - milliseconds(1)));
  CHECK_FALSE(book.find(phone, api, noon));
  CHECK_FALSE(book.find(camera, address("52.1.2.4"), noon));
}

TEST_CASE("an answer given again is kept for longer, under its newest name, and since the first time") {
  AnswerBook book;
  const IpAddress api = address("2001:db8::80");
  give(book, camera, "one.example", api, seconds(3'000));
  give(book, camera, "two.example", api, seconds(0), noon + seconds(100));
  CHECK(book.find(camera, api, noon + seconds(1)) == name("two.example"));
  CHECK(book.find(camera, api, noon + seconds(3'000) + answer_grace));
  CHECK(book.size() == 1);
  // Between two of its times it was not to be used.
  const MonotonicTime later = noon + std::chrono::hours(10);
  give(book, camera, "three.example", api, seconds(0), later);
  CHECK_FALSE(book.find(camera, api, later - seconds(1)));
  CHECK(book.find(camera, api, later + answer_ttl_least + answer_grace) == name("three.example"));
}

TEST_CASE("answers from before are added newest first, without what is over, and push nothing out") {
  AnswerBook book;
  const IpAddress api = address("52.1.2.3");
  const auto recall = [&](const char* qname, const IpAddress& given, MonotonicTime at, seconds ttl = seconds(300)) {
    return book.recall(camera, name(qname), std::span(&given, 1), ttl, at, noon);
  };
  CHECK(recall("new.example", api, noon - seconds(100)));
  CHECK(recall("old.example", api, noon - seconds(200), seconds(1'000)));
  CHECK(recall("over.example", address("52.1.2.4"), noon - std::chrono::hours(2)));
  CHECK(book.size() == 1);
  CHECK(book.find(camera, api, noon - seconds(150)) == name("new.example"));
  CHECK(book.find(camera, api, noon + seconds(800) + answer_grace) == name("new.example"));
  CHECK_FALSE(book.find(camera, api, noon - seconds(201)));
  for (std::uint32_t i = 0; i < answers_of_device_remembered; ++i)
    CHECK(recall("many.example", numbered(i), noon - seconds(300)));
  CHECK(book.size() == answers_of_device_remembered / 2);
  CHECK(book.find(camera, api, noon) == name("new.example"));
  CHECK(book.evicted() == 0);
}

TEST_CASE("an address that blocks is nobody's") {
  AnswerBook book;
  give(book, camera, "ads.example", address("0.0.0.0"));
  give(book, camera, "ads.example", address("::"));
  CHECK(book.size() == 0);
}

TEST_CASE("a device that looks up much pushes out its own answers, and that is told of it alone") {
  AnswerBook book;
  give(book, phone, "kept.example", address("52.1.2.3"));
  for (std::uint32_t number = 0; number < 3 * answers_of_device_remembered; ++number)
    give(book, camera, "much.example", numbered(number));
  CHECK(book.size() <= answers_of_device_remembered + 1);
  CHECK(book.evicted() > 0);
  CHECK(book.find(phone, address("52.1.2.3"), noon));
  CHECK(book.has_forgotten(camera, noon));
  CHECK_FALSE(book.has_forgotten(phone, noon));
  CHECK_FALSE(book.has_forgotten(camera, noon + seconds(301) + answer_grace));
}

TEST_CASE("however many devices ask, memory is bounded, and who was pushed out is not accused") {
  AnswerBook book;
  give(book, camera, "first.example", address("52.1.2.3"));
  for (std::uint32_t number = 0; number < holders_max; ++number)
    give(book, Holder::of(numbered(number)), "one.example", address("52.1.2.4"), seconds(300), noon + seconds(1));
  CHECK(book.size() <= holders_max);
  CHECK_FALSE(book.find(camera, address("52.1.2.3"), noon + seconds(1)));
  CHECK(book.has_forgotten(camera, noon + seconds(1)));

  AnswerBook full;
  for (std::uint32_t number = 0; number <= answers_remembered_max + 10; ++number)
    give(full, Holder::of(numbered(number % 40)), "full.example", numbered(number));
  CHECK(full.size() <= answers_remembered_max);
}

TEST_CASE("what is past its time goes when it is pruned, and no sooner") {
  AnswerBook book;
  give(book, camera, "short.example", address("52.1.2.3"), seconds(0));
  give(book, camera, "long.example", address("52.1.2.4"), seconds(3'600));
  book.prune(noon + answer_ttl_least + answer_grace);
  CHECK(book.size() == 2);
  book.prune(noon + answer_ttl_least + answer_grace + milliseconds(1));
  CHECK(book.size() == 1);
  CHECK(book.evicted() == 0);
  book.prune(noon + std::chrono::hours(3));
  CHECK(book.size() == 0);
}
