#include "warden/scratch_network.h"

#include <doctest/doctest.h>
#include <net/if.h>

#include "own_network.h"

using namespace doline;
using namespace doline::tests;
using warden::ScratchNetwork;

TEST_CASE("What is done inside is not seen outside, and gone with the network") {
  if (!own_network()) return;
  const std::string before = shell("PATH=$PATH:/usr/sbin; ip -o link; nft list ruleset").output;
  {
    const auto network = ScratchNetwork::make();
    REQUIRE(network);
    CHECK((shell("PATH=$PATH:/usr/sbin; ip -o link; nft list ruleset").output == before));
    const int status = network->inside(
        [] { return shell("PATH=$PATH:/usr/sbin; ip link add x0 type bridge && nft add table inet x").status; });
    CHECK(status == 0);
    CHECK(network->inside([] { return if_nametoindex("x0"); }) > 0);
    CHECK(if_nametoindex("x0") == 0);
  }
  CHECK((shell("PATH=$PATH:/usr/sbin; ip -o link; nft list ruleset").output == before));
}

TEST_CASE("Who may not make a network is told why") {
  if (geteuid() != 0) return;
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65'534) != 0) _exit(2);
    const auto network = ScratchNetwork::make();
    _exit(!network && network.error().find("no network namespace can be made") == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}
