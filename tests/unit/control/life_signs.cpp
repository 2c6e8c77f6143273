#include "control/life_signs.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

using namespace doline;
using namespace doline::control;

namespace {

/// systemd's end of the conversation, in the abstract namespace.
struct Listener {
  Listener() {
    name = "doline-test-" + std::to_string(::getpid());
    descriptor = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    REQUIRE(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  ~Listener() {
    ::close(descriptor);
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }
  std::string next() const {
    char octets[512];
    const ssize_t count = ::recv(descriptor, octets, sizeof octets, MSG_DONTWAIT);
    return count > 0 ? std::string(octets, static_cast<std::size_t>(count)) : "";
  }
  int descriptor;
  std::string name;
};

}  // namespace

TEST_CASE("systemd hears READY with one line of status, RELOADING with its time, STOPPING, and signs of life") {
  Listener listener;
  ::setenv("WATCHDOG_USEC", "10000000", 1);
  const LifeSigns signs = LifeSigns::from_environment();
  CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
  REQUIRE(signs.alive_every().has_value());
  CHECK(signs.alive_every()->count() == 5'000);
  signs.ready("serving\nFDSTORE=1");
  CHECK(listener.next() == "READY=1\nSTATUS=serving");
  signs.reloading();
  CHECK(listener.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  signs.alive();
  CHECK(listener.next() == "WATCHDOG=1");
  signs.stopping();
  CHECK(listener.next() == "STOPPING=1");
}

TEST_CASE("a watchdog that is another process's, or no number, is not ours") {
  Listener listener;
  ::setenv("WATCHDOG_USEC", "10000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK_FALSE(LifeSigns::from_environment().alive_every().has_value());
  ::setenv("WATCHDOG_USEC", "soon", 1);
  CHECK_FALSE(LifeSigns::from_environment().alive_every().has_value());
}

TEST_CASE("without systemd nothing is said, and nothing breaks") {
  ::unsetenv("NOTIFY_SOCKET");
  const LifeSigns signs = LifeSigns::from_environment();
  signs.ready("serving");
  CHECK_FALSE(signs.alive_every().has_value());
}
