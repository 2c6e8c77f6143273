#include "warden/program.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;
using warden::NftShell;
using warden::ProgramEnd;
using warden::run_program;

namespace {

/// A loop that must be empty in the end.
class Loop {
 public:
  Loop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  uv_loop_t* get() { return &loop_; }
  void run_until(const bool& is_over) {
    while (!is_over && uv_run(&loop_, UV_RUN_ONCE) != 0) {
    }
  }

 private:
  uv_loop_t loop_;
};

ProgramEnd run(std::vector<std::string> arguments, std::string input = {}, std::size_t output_octets_max = 1'000) {
  Loop loop;
  std::optional<ProgramEnd> ended;
  run_program(loop.get(), std::move(arguments), std::move(input), output_octets_max,
              [&](ProgramEnd end) { ended = std::move(end); });
  CHECK_FALSE(ended);  // never inside the call
  uv_run(loop.get(), UV_RUN_DEFAULT);
  REQUIRE(ended);
  return *ended;
}

std::string nft_path() {
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"})
    if (access(path, X_OK) == 0) return path;
  return {};
}

}  // namespace

TEST_CASE("A program's input, outputs and success come through") {
  const ProgramEnd end = run({"/bin/sh", "-c", "cat; echo 'no' >&2"}, "hello");
  CHECK(end.succeeded);
  CHECK(end.output == "hello");
  CHECK(end.complaint == "no\n");
  CHECK_FALSE(run({"/bin/sh", "-c", "exit 3"}).succeeded);
  CHECK(run({"/bin/sh", "-c", "kill -9 $$"}).complaint == "ended by signal 9");
}

TEST_CASE("A program that cannot be started fails like one that failed") {
  const ProgramEnd end = run({"/no/such/program"});
  CHECK_FALSE(end.succeeded);
  CHECK(end.complaint == "/no/such/program: no such file or directory");
}

TEST_CASE("Output beyond the limit is cut, and the program ends all the same") {
  const ProgramEnd end = run({"/bin/sh", "-c", "head -c 300000 /dev/zero"}, {}, 100'000);
  CHECK(end.succeeded);
  CHECK(end.output.size() == 100'000);
}

TEST_CASE("Input that nobody reads harms nobody") {
  signal(SIGPIPE, SIG_IGN);
  CHECK(run({"/bin/true"}, std::string(1'000'000, 'x')).succeeded);
}

TEST_CASE("What a program has started and left with its pipes is not waited for") {
  Loop loop;
  std::vector<ProgramEnd> ends;
  for (const char* ending : {"wait", "exit 0"})
    run_program(loop.get(), {"/bin/sh", "-c", std::string("sleep 30 & echo $!; ") + ending}, {}, 1'000,
                [&](ProgramEnd end) { ends.push_back(std::move(end)); });
  uv_run(loop.get(), UV_RUN_DEFAULT);
  REQUIRE(ends.size() == 2);
  for (const ProgramEnd& end : ends) {
    const pid_t child = std::atoi(end.output.c_str());
    REQUIRE(child > 0);
    CHECK(shell("grep -q sleeping /proc/" + std::to_string(child) + "/status").status == 0);
    kill(child, SIGKILL);
  }
  CHECK(ends[0].succeeded != ends[1].succeeded);
}

TEST_CASE("Programs see an environment of ours alone") {
  CHECK(run({"/usr/bin/env"}).output == "HOME=/dev/null\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
}

TEST_CASE("nft says nothing of what succeeds and quotes what fails, each transaction by itself") {
  if (nft_path().empty() || !own_network()) return;
  Loop loop;
  NftShell nft(loop.get(), nft_path(), [] { FAIL("nobody killed it"); });
  std::vector<std::string> complaints;
  bool is_over = false;
  const auto note = [&](std::string complaint) {
    complaints.push_back(std::move(complaint));
    is_over = complaints.size() == 5;
  };
  nft.run("table inet doline { flags owner ; set s { type mark ; } ; }", note);
  nft.run("add element inet doline s { no-such-mark }", note);
  nft.run("add element inet doline s { 1 } ; add element inet doline no_such_set { 1 }", note);
  nft.run("this is no sentence", note);
  nft.run("add element inet doline s { 2 }", note);
  CHECK(complaints.empty());
  loop.run_until(is_over);
  REQUIRE(complaints.size() == 5);
  CHECK(complaints[0].empty());
  CHECK(complaints[1].find("no-such-mark") != std::string::npos);
  CHECK(complaints[2].find("No such file or directory") != std::string::npos);
  CHECK(complaints[3].find("this is no sentence") != std::string::npos);
  CHECK(complaints[4].empty());
  // All or nothing: the element of the third is not there.
  const std::string listed = shell(nft_path() + " list set inet doline s").output;
  CHECK(listed.find("elements = { 0x00000002 }") != std::string::npos);
  CHECK(nft.is_running());
  nft.end();
  CHECK_FALSE(nft.is_running());
}

TEST_CASE("Of many statements that fail alike the complaint is told once, and of a long script what is meant") {
  if (nft_path().empty() || !own_network()) return;
  Loop loop;
  NftShell owner(loop.get(), nft_path(), [] { FAIL("nobody killed it"); });
  NftShell other(loop.get(), nft_path(), [] { FAIL("nobody killed it"); });
  bool is_over = false;
  std::string complaint;
  const auto note = [&](std::string said) {
    complaint = std::move(said);
    is_over = true;
  };
  owner.run("table inet doline { flags owner ; }", note);
  loop.run_until(is_over);
  REQUIRE(complaint.empty());
  // More is said than is kept of it.
  std::string script;
  for (int i = 0; i < 100; ++i)
    script += "add set inet doline a_set_with_a_long_name_" + std::to_string(i) + " { type mark ; } ; ";
  for (const char* last : {"", "this is no sentence"}) {
    is_over = false;
    other.run(script + last, note);
    loop.run_until(is_over);
    CAPTURE(complaint);
    CHECK(complaint.size() < 1'000);
    CHECK(complaint.find(*last == '\0' ? "Operation not permitted" : "no sentence") != std::string::npos);
    CHECK(complaint.find("Error:") == complaint.rfind("Error:"));
  }
  owner.end();
  other.end();
}

TEST_CASE("nft that dies fails what it was asked, tells its owner, and is started anew when asked again") {
  if (nft_path().empty() || !own_network()) return;
  Loop loop;
  int deaths = 0;
  NftShell nft(loop.get(), nft_path(), [&] { ++deaths; });
  bool is_over = false;
  std::string complaint = "none yet";
  nft.run("table inet doline { flags owner ; }", [&](std::string said) {
    complaint = std::move(said);
    is_over = true;
  });
  loop.run_until(is_over);
  REQUIRE(complaint.empty());
  const std::string id = std::to_string(getpid());
  const pid_t child = std::atoi(shell("cat /proc/" + id + "/task/" + id + "/children").output.c_str());
  REQUIRE(child > 0);
  is_over = false;
  nft.run("add table inet other", [&](std::string said) {
    complaint = std::move(said);
    is_over = true;
  });
  kill(child, SIGKILL);
  loop.run_until(is_over);
  while (deaths == 0 && uv_run(loop.get(), UV_RUN_ONCE) != 0) {
  }
  CHECK(deaths == 1);
  CHECK_FALSE(nft.is_running());

  is_over = false;
  nft.run("table inet doline { flags owner ; }", [&](std::string said) {
    complaint = std::move(said);
    is_over = true;
  });
  loop.run_until(is_over);
  CHECK(complaint.empty());
  CHECK(deaths == 1);
  nft.end();
}

TEST_CASE("Asked anew in the very moment of its end, nft's owner is told of that end all the same") {
  if (nft_path().empty() || !own_network()) return;
  struct Scene {
    Loop loop;
    int deaths = 0;
    bool is_over = false;
    std::string complaint = "none yet";
    NftShell nft{loop.get(), nft_path(), [this] { ++deaths; }};
    uv_check_t check{};
    void ask() {
      is_over = false;
      nft.run("table inet doline { flags owner ; }", [this](std::string said) {
        complaint = std::move(said);
        is_over = true;
      });
    }
  } scene;
  scene.ask();
  scene.loop.run_until(scene.is_over);
  REQUIRE(scene.complaint.empty());
  const std::string id = std::to_string(getpid());
  const pid_t child = std::atoi(shell("cat /proc/" + id + "/task/" + id + "/children").output.c_str());
  REQUIRE(child > 0);
  // After the end was heard of, before its handles are closed.
  uv_check_init(scene.loop.get(), &scene.check);
  scene.check.data = &scene;
  uv_check_start(&scene.check, [](uv_check_t* check) {
    auto& seen = *static_cast<Scene*>(check->data);
    if (seen.nft.is_running()) return;
    uv_check_stop(check);
    seen.ask();
  });
  scene.is_over = false;
  kill(child, SIGKILL);
  scene.loop.run_until(scene.is_over);
  CHECK(scene.complaint.empty());
  CHECK(scene.deaths == 1);
  CHECK(scene.nft.is_running());
  uv_close(reinterpret_cast<uv_handle_t*>(&scene.check), nullptr);
  scene.nft.end();
}

TEST_CASE("An nft that cannot be started says so") {
  Loop loop;
  NftShell nft(loop.get(), "/no/such/nft", [] {});
  std::string complaint;
  nft.run("list tables", [&](std::string said) { complaint = std::move(said); });
  CHECK(complaint.empty());
  uv_run(loop.get(), UV_RUN_DEFAULT);
  CHECK(complaint.find("/no/such/nft") != std::string::npos);
}
