#include "control/status.h"

#include <doctest/doctest.h>

namespace doline::control {
namespace {

constexpr MonotonicTime start{std::chrono::hours(1)};
const Endpoint one{IpAddress::v4(192, 0, 2, 1), 53}, other{IpAddress::v4(192, 0, 2, 2), 53};

/// What two workers say of the same server.
std::vector<resolver::WorkerReport> two_say(upstream::ServerHealth first, upstream::ServerHealth second) {
  std::vector<resolver::WorkerReport> workers(2);
  workers[0].upstreams = {std::move(first)};
  workers[1].upstreams = {std::move(second)};
  return workers;
}

TEST_CASE("a route is silent where all its servers are down") {
  using Sentences = std::vector<std::string>;
  std::vector<resolver::WorkerReport> workers(1);
  workers[0].upstreams = {{.server = one, .route = "default", .is_up = false},
                          {.server = other, .route = "default"},
                          {.server = one, .route = "router", .is_up = false}};
  CHECK(find_silent_routes(workers) == Sentences{"No server of the upstream route 'router' answers."});
  workers[0].upstreams[1].is_up = false;
  CHECK(find_silent_routes(workers).size() == 2);
}

TEST_CASE("a server is up or down as the worker says that has heard, or waited in vain, last") {
  const upstream::ServerHealth never_asked{.server = one, .route = "default"},
      answered{.server = one, .route = "default", .known_at = start},
      down{.server = one, .route = "default", .is_up = false, .known_at = start + seconds(1)},
      answered_later{.server = one, .route = "default", .known_at = start + seconds(2)};
  for (const bool is_swapped : {false, true}) {
    const auto are_silent = [&](const upstream::ServerHealth& first, const upstream::ServerHealth& second) {
      return !find_silent_routes(is_swapped ? two_say(second, first) : two_say(first, second)).empty();
    };
    CHECK(are_silent(never_asked, down));
    CHECK(are_silent(answered, down));
    CHECK_FALSE(are_silent(answered_later, down));
    CHECK_FALSE(are_silent(never_asked, answered));
  }
}

}  // namespace
}  // namespace doline::control
