// RunningWarden: a warden in a process of its own, in this test's network, and this test in the resolver's place.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <vector>

#include "warden/client.h"
#include "warden/spawn.h"
#include "warden/warden.h"

namespace doline::tests {

class RunningWarden {
 public:
  explicit RunningWarden(const warden::Bounds& bounds = {}) {
    std::vector<int> ours, theirs;
    for (int channel = 0; channel < 4; ++channel) {
      int ends[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
      ours.push_back(ends[0]);
      theirs.push_back(ends[1]);
    }
    process_ = fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (const int end : ours) close(end);
      _exit(warden::run({.talk = {theirs[0], theirs[1]}, .admissions = {theirs[2]}, .flows = theirs[3]}, bounds));
    }
    for (const int end : theirs) close(end);
    origin_ = ours[1];
    admission_ = ours[2];
    flows_ = ours[3];
    // Not the client's to wait for: wait_for_end() does.
    client_ = std::make_unique<warden::Client>(
        warden::Spawned{.process = -1, .control = ours[0], .origins = {origin_}, .admissions = {admission_}});
  }
  RunningWarden(const RunningWarden&) = delete;
  RunningWarden& operator=(const RunningWarden&) = delete;
  ~RunningWarden() {
    client_.reset();
    close(origin_);
    close(flows_);
    close(admission_);
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }

  warden::Client& client() { return *client_; }
  /// Nothing where the warden died or hangs.
  std::optional<redirect::Reply> ask(const redirect::Request& request) {
    return client_->ask_and_wait(request, milliseconds(20'000));
  }
  bool is_done(const redirect::Request& request) {
    const auto reply = ask(request);
    if (!reply) return false;
    if (const auto* failed = std::get_if<redirect::Failed>(&*reply))
      for (const std::string& reason : failed->reasons) MESSAGE("the warden says: " << reason);
    return std::holds_alternative<redirect::Done>(*reply);
  }
  redirect::StatusReply status(bool looks_anew = false) {
    const auto reply = ask(redirect::Status{looks_anew});
    REQUIRE(reply);
    REQUIRE(std::holds_alternative<redirect::StatusReply>(*reply));
    return std::get<redirect::StatusReply>(*reply);
  }
  [[nodiscard]] pid_t process() const { return process_; }
  [[nodiscard]] int origin() const { return origin_; }
  [[nodiscard]] int flows() const { return flows_; }
  [[nodiscard]] int admission() const { return admission_; }
  /// As if the resolver had been killed: the kernel closes its ends.
  void die_as_resolver() { client_.reset(); }
  /// Waits for the process's end; its exit status, or -1 where a signal ended it.
  int wait_for_end() {
    int status = 0;
    if (waitpid(process_, &status, 0) != process_) return ended_with_;
    return ended_with_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t process_ = -1;
  int origin_ = -1, admission_ = -1, flows_ = -1;
  int ended_with_ = -2;
  std::unique_ptr<warden::Client> client_;
};

}  // namespace doline::tests
