#include "warden/trial.h"

#include <doctest/doctest.h>

using namespace doline;
using warden::Trial;

namespace {

struct OwnLoop {
  OwnLoop() { REQUIRE(uv_loop_init(&uv) == 0); }
  OwnLoop(const OwnLoop&) = delete;
  OwnLoop& operator=(const OwnLoop&) = delete;
  ~OwnLoop() { CHECK(uv_loop_close(&uv) == 0); }
  void run() { uv_run(&uv, UV_RUN_DEFAULT); }
  uv_loop_t uv;
};

/// A loop with a trial on it, and how often its time was over.
struct Stage {
  ~Stage() {
    trial.close();
    loop.run();
  }
  OwnLoop loop;
  int expired = 0;
  Trial trial{&loop.uv, [this] { ++expired; }};
};

Trial::Former former_with(redirect::Mode mode) {
  Trial::Former former;
  former.options.emplace().mode = mode;
  return former;
}

}  // namespace

TEST_CASE("A trial that nobody confirms expires once, and is pending until it is dealt with") {
  Stage stage;
  CHECK(stage.trial.seconds_left() == 0);
  stage.trial.begin({}, seconds(0));
  CHECK(stage.trial.is_pending());
  CHECK(stage.trial.is_running());
  CHECK(stage.trial.seconds_left() == 1);
  stage.loop.run();
  CHECK(stage.expired == 1);
  CHECK(stage.trial.is_pending());
  CHECK_FALSE(stage.trial.is_running());
  CHECK_FALSE(stage.trial.former().options.has_value());
  stage.trial.end();
  CHECK_FALSE(stage.trial.is_pending());
}

TEST_CASE("One that is ended does not expire") {
  Stage stage;
  stage.trial.begin(former_with(redirect::Mode::nat), seconds(1));
  stage.trial.end();
  stage.loop.run();
  CHECK(stage.expired == 0);
}

TEST_CASE("Begun again the time is new and the former is the first one's") {
  Stage stage;
  stage.trial.begin(former_with(redirect::Mode::nat), seconds(1));
  stage.trial.begin(former_with(redirect::Mode::tproxy), seconds(3'600));
  CHECK(stage.trial.seconds_left() > 3'000);
  CHECK(stage.trial.former().options->mode == redirect::Mode::nat);
}
