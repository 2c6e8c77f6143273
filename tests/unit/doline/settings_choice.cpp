#include "doline/settings_choice.h"

#include <stdlib.h>
#include <unistd.h>

#include <sstream>

#include "doline/exit_status.h"
#include "temporary_folder.h"

using namespace doline;
namespace fs = std::filesystem;

namespace {

/// A user with a state folder of his own, from an earlier trial.
struct User {
  User() {
    ::setenv("XDG_STATE_HOME", folder.path().c_str(), 1);
    fs::create_directories(own);
    std::ofstream(own / "doline.db") << "";
  }
  ~User() { ::unsetenv("XDG_STATE_HOME"); }

  tests::TemporaryFolder folder;
  fs::path own = folder / "doline";
};

config::Fixed usual(const fs::path& state) {
  config::Fixed fixed;
  fixed.state = state;
  fixed.control_socket = state / config::control_socket_name;
  fixed.query_log = config::Fixed::QueryLog{state / config::query_log_name};
  return fixed;
}

}  // namespace

TEST_CASE("the usual state folder is kept in by who may write it, and looked into by all where a Doline's may be") {
  const User user;
  // Nobody makes a folder within a file, not even root.
  const config::Fixed service = usual(user.folder.write("file", "") / "state");
  CHECK(find_state(service, user.own, StateUse::keep) == user.own);
  CHECK(find_state(service, {}, StateUse::keep) == service.state);
  CHECK(find_state(usual(user.folder / "new"), user.own, StateUse::keep) == user.folder / "new");

  CHECK(find_state(service, user.own, StateUse::look) == user.own);
  CHECK(find_state(service, user.folder / "never", StateUse::look) == service.state);
  for (const char* name : {"control.socket", "doline.db"}) {
    const fs::path there = user.folder / "there";
    fs::create_directories(there);
    std::ofstream(there / name) << "";
    CHECK(find_state(usual(there), user.own, StateUse::look) == there);
    fs::remove_all(there);
    CHECK(find_state(usual(there), user.own, StateUse::look) == user.own);
  }
}

TEST_CASE("a state folder that the configuration names is never another, whoever may write it") {
  const User user;
  user.folder.write("file", "");
  const fs::path named = user.folder / "file/state";
  const SettingsChoice choice{
      user.folder.write("doline.yml", "upstreams: {default: {servers: [192.0.2.53]}}\nstate: " + named.string() + "\n"),
      {},
      {}};
  std::ostringstream err;
  for (const auto& settings : {choose_settings(choice, err, StateUse::keep),
                               choose_settings(choice, err, StateUse::look), choose_places(choice, err)}) {
    REQUIRE(settings);
    CHECK(settings->fixed.state == named);
    CHECK(settings->fixed.query_log->path == named / "doline.db");
  }
  CHECK(err.str().empty());
}

TEST_CASE("a named state folder needs no configuration, and a named configuration has to be readable") {
  const User user;
  ::setenv("DOLINE_CONFIG", (user.folder / "none.yml").c_str(), 1);
  std::ostringstream err;
  const auto found = choose_places({{}, user.own, {}}, err);
  REQUIRE(found);
  CHECK(found->fixed.control_socket == user.own / "control.socket");
  CHECK(err.str().empty());
  CHECK(choose_places({}, err).error() == exit_no_input);
  ::unsetenv("DOLINE_CONFIG");
  const fs::path secret = user.folder.write("secret.yml", "upstreams: {default: {servers: [192.0.2.53]}}\n");
  fs::permissions(secret, fs::perms::none);
  if (::access(secret.c_str(), R_OK) == 0) return;  // root
  CHECK(choose_places({secret, {}, {}}, err).error() == exit_no_permission);
  CHECK(err.str().find("Permission denied") != std::string::npos);
}
