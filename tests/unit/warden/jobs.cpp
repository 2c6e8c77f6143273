#include "warden/jobs.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace doline;
using warden::Jobs;

TEST_CASE("Jobs are done one at a time and in order, whenever the one before says that it is done") {
  Jobs jobs;
  std::string told;
  std::vector<Jobs::Finish> finishes;
  for (const char name : {'a', 'b', 'c'})
    jobs.add([&, name](Jobs::Finish finish) {
      told += name;
      finishes.push_back(std::move(finish));
    });
  CHECK(told == "a");
  CHECK(jobs.is_busy());
  finishes[0]();
  CHECK(told == "ab");
  finishes[1]();
  CHECK(told == "abc");
  CHECK(jobs.is_busy());
  finishes[2]();
  CHECK_FALSE(jobs.is_busy());
}

TEST_CASE("A job that is done at once leaves room for the next, and one may add another") {
  Jobs jobs;
  std::string told;
  jobs.add([&](const Jobs::Finish& finish) {
    jobs.add([&](const Jobs::Finish& inner) {
      told += "second";
      inner();
    });
    told += "first ";
    finish();
  });
  CHECK(told == "first second");
  CHECK_FALSE(jobs.is_busy());
}

TEST_CASE("Those that wait are counted to the limit, and cleared without the one under way") {
  Jobs jobs;
  Jobs::Finish finish;
  int begun = 0;
  jobs.add([&](Jobs::Finish its) { finish = std::move(its); });
  for (std::size_t waiting = 0; waiting < warden::jobs_max; ++waiting) {
    CHECK_FALSE(jobs.are_full());
    jobs.add([&](const Jobs::Finish&) { ++begun; });
  }
  CHECK(jobs.are_full());
  jobs.clear();
  CHECK_FALSE(jobs.are_full());
  CHECK(jobs.is_busy());
  finish();
  CHECK(begun == 0);
}

TEST_CASE("What is called later is called once, not inside the call, and the loop waits for it") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  int called = 0;
  warden::after(&loop, 0, [&] { ++called; });
  CHECK(called == 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(called == 1);
  CHECK(uv_loop_close(&loop) == 0);
}
