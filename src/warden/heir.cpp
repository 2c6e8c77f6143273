#include "warden/heir.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <vector>

#include "base/time.h"
#include "redirect/host_facts.h"
#include "redirect/plan.h"
#include "redirect/request.h"
#include "warden/conntrack.h"
#include "warden/leftovers.h"
#include "warden/nf_tables.h"
#include "warden/say.h"

namespace doline::warden {

namespace {

/// The kernel drops a table once its nft has ended, which takes milliseconds; one that stays is a successor's.
constexpr milliseconds pause{10};
constexpr int tries_max = 100;

bool vanish_by_themselves(const redirect::HostFacts& facts) {
  return !facts.nft.empty() && facts.has_owner_tables();
}

/// Until the warden's end of the channel closes, however it ends. What counts is what was said last.
std::optional<redirect::Options> read_to_the_end(int descriptor) {
  std::vector<std::uint8_t> room(redirect::message_octets_max);
  std::optional<redirect::Options> last;
  for (;;) {
    const ssize_t size = recv(descriptor, room.data(), room.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return last;
    const auto said = redirect::parse_request({room.data(), static_cast<std::size_t>(size)});
    const auto* apply = said ? std::get_if<redirect::Apply>(&said->body) : nullptr;
    last = apply != nullptr ? std::optional(apply->options) : std::nullopt;
  }
}

void clear_up(const redirect::Options& options) {
  if (vanish_by_themselves(redirect::gather_host_facts())) {
    NfTables tables;
    for (int tries = 0; tries < tries_max && tables.state_of(redirect::rules_table) != redirect::TableState::absent;
         ++tries)
      std::this_thread::sleep_for(pause);
    // Without conntrack there are no flows that remember anything.
    static_cast<void>(Conntrack().forget(options.ports));
    return;
  }
  say("the warden has died: its rules are taken away");
  for (const std::string& complaint : remove_leftovers(options, Memory::keep)) say(complaint);
}

[[noreturn]] void live(int descriptor, const Channels& channels) {
  // The warden's ends must close when it dies.
  for (const auto* ends : {&channels.talk, &channels.admissions})
    for (const int end : *ends) close(end);
  if (channels.flows >= 0) close(channels.flows);
  // Told to whom the warden is told too; it ends when the warden has.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(signal, SIG_IGN);
  prctl(PR_SET_NAME, "doline-heir", 0, 0, 0);
  if (const auto options = read_to_the_end(descriptor)) clear_up(*options);
  _exit(0);
}

void send_to(int descriptor, const redirect::Request& request) {
  if (descriptor < 0) return;
  const auto octets = redirect::write_request({0, request});
  static_cast<void>(send(descriptor, octets.data(), octets.size(), MSG_NOSIGNAL));
}

}  // namespace

Heir::~Heir() {
  if (descriptor_ >= 0) close(descriptor_);
}

void Heir::begin(const Channels& channels) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  const pid_t process = fork();
  if (process == 0) {
    close(ends[0]);
    live(ends[1], channels);
  }
  close(ends[1]);
  descriptor_ = ends[0];
}

void Heir::know(const redirect::Options& options) {
  if (options.on_failure == redirect::OnFailure::closed || !redirect::intercepts(options.mode)) return forget();
  send_to(descriptor_, redirect::Apply{options, 0});
}

void Heir::forget() {
  send_to(descriptor_, redirect::Remove{});
}

}  // namespace doline::warden
