// What it does where rules do not vanish by themselves: tests/unit/warden/warden.cpp, without nft.
#include "warden/heir.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "small_home.h"
#include "warden/conntrack.h"

using namespace doline;
using namespace doline::tests;
using redirect::Mode;
using warden::Heir;

namespace {

/// A warden that is killed at the end of what it does.
void die_after(const std::function<void(Heir&)>& deeds) {
  const pid_t process = fork();
  REQUIRE(process >= 0);
  if (process == 0) {
    Heir heir;
    heir.begin({});
    deeds(heir);
    kill(getpid(), SIGKILL);
  }
  REQUIRE(waitpid(process, nullptr, 0) == process);
}

/// A device's query to a foreign resolver, of which the kernel keeps a flow.
class Flow {
 public:
  explicit Flow(const SmallHome& home) : device_(home.device_socket(AF_INET, SOCK_DGRAM)) {
    REQUIRE(shell("PATH=$PATH:/usr/sbin nft 'table inet t { chain f { type filter hook prerouting priority 0 ; ct "
                  "state new counter ; } ; }'")
                .status == 0);
    send_to(device_, foreign_v4);
    SocketAddress name;
    REQUIRE(getsockname(device_.get(), name.get(), &name.length) == 0);
    client_ = {*IpAddress::parse("192.168.50.31"), to_endpoint(name.get()).port};
  }
  bool becomes(bool known) {
    for (int tries = 0; tries < 400 && is_known() != known; ++tries) usleep(25'000);
    return is_known() == known;
  }

 private:
  bool is_known() {
    return conntrack_
        .origin_of({.ticket = 0, .protocol = redirect::Protocol::udp, .client = client_, .local = foreign_v4})
        .has_value();
  }

  Socket device_;
  Endpoint client_;
  warden::Conntrack conntrack_;
};

}  // namespace

TEST_CASE("Flows that a killed warden's rules led here are forgotten") {
  const auto home = SmallHome::build();
  if (!home) return;
  Flow flow(*home);
  REQUIRE(flow.becomes(true));
  die_after([](Heir& heir) { heir.know(small_home_options(Mode::nat)); });
  CHECK(flow.becomes(false));
}

TEST_CASE("What is to stay, what is gone already and what was never told of is left alone") {
  const auto home = SmallHome::build();
  if (!home) return;
  Flow flow(*home);
  REQUIRE(flow.becomes(true));
  redirect::Options closed = small_home_options(Mode::nat);
  closed.on_failure = redirect::OnFailure::closed;
  die_after([](Heir&) {});
  die_after([](Heir& heir) {
    heir.know(small_home_options(Mode::nat));
    heir.forget();
  });
  die_after([&](Heir& heir) {
    heir.know(small_home_options(Mode::nat));
    heir.know(closed);
  });
  sleep(1);
  CHECK(flow.becomes(true));
}
