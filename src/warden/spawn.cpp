#include "warden/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace doline::warden {

namespace {

constexpr int first_descriptor = 3;
/// Children's ends are moved up here first, so that none lies where another has to go.
constexpr int out_of_the_way = 256;

class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// Every signal as at the start of a program: the resolver blocks and ignores some.
class FreshSignals {
 public:
  FreshSignals() {
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  FreshSignals(const FreshSignals&) = delete;
  FreshSignals& operator=(const FreshSignals&) = delete;
  ~FreshSignals() { posix_spawnattr_destroy(&attributes_); }
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

void close_all(const std::vector<int>& descriptors) {
  for (const int descriptor : descriptors)
    if (descriptor >= 0) close(descriptor);
}

}  // namespace

Result<Spawned, std::string> spawn(const std::vector<std::string>& program, int workers) {
  std::vector<int> ours, theirs;
  auto give_up = [&](int error) {
    close_all(ours);
    close_all(theirs);
    return fail("the warden cannot be started: " + std::string(std::strerror(error)));
  };
  std::vector<std::string> words = program;
  FileActions actions;
  const int flows = workers + 1;  // behind control and origins
  for (int i = 0; i <= flows; ++i) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return give_up(errno);
    ours.push_back(ends[0]);
    const int moved = fcntl(ends[1], F_DUPFD_CLOEXEC, out_of_the_way);
    const int error = errno;
    close(ends[1]);
    if (moved < 0) return give_up(error);
    theirs.push_back(moved);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_adddup2(actions.get(), moved, first_descriptor + i);
    words.insert(words.end(), {i == flows ? "--flows" : "--fd", std::to_string(first_descriptor + i)});
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  FreshSignals signals;
  Spawned spawned;
  const int error =
      posix_spawn(&spawned.process, arguments[0], actions.get(), signals.get(), arguments.data(), environ);
  if (error != 0) return give_up(error);
  close_all(theirs);
  spawned.control = ours[0];
  spawned.origins.assign(ours.begin() + 1, ours.end() - 1);
  spawned.flows = ours.back();
  return spawned;
}

Result<Spawned, std::string> spawn(int workers, const Bounds& bounds) {
  std::vector<std::string> program{"/proc/self/exe", "warden", "--nat-port", std::to_string(bounds.nat_port)};
  for (const std::uint16_t port : bounds.ports) program.insert(program.end(), {"--port", std::to_string(port)});
  return spawn(program, workers);
}

}  // namespace doline::warden
