#include "control/transfer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "base/check.h"
#include "dns/read_octets.h"

namespace doline::control {

namespace {

constexpr std::size_t piece_octets = 64 * 1024;  // read at once; other work of the loop comes between

}  // namespace

/// One order, at whichever primary it has come to.
struct Transfers::Attempt {
  Attempt(Transfers& all, std::uint64_t its_number, TransferOrder its_order, Done its_done)
      : transfers(all), number(its_number), order(std::move(its_order)), done(std::move(its_done)), have(order.have) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() {
    hang_up();
    if (file >= 0) drop_file();
  }

  void begin();
  void hang_up();
  void drop_file();
  void act(int events);
  void go_on(const std::string& why, bool may_come_whole);
  void end(Result<Transferred, std::string> result);
  bool write_query();
  bool read_octets();
  /// False: the attempt is over, one way or the other; *this may be gone.
  bool take_messages();
  std::optional<std::string> take_message(dns::Octets message, bool& may_come_whole);
  std::optional<std::string> write_text(const std::string& text);
  void await_octets();

  Transfers& transfers;
  const std::uint64_t number;
  const TransferOrder order;
  const Done done;
  std::optional<std::uint32_t> have;  // what is asked of this primary
  std::size_t primary = 0;
  int socket = -1, file = -1;
  Watch readiness, stall, deadline;
  std::vector<std::uint8_t> query, arrived;
  std::uint16_t id = 0;
  std::size_t query_sent = 0;
  std::uint64_t octets = 0, written = 0;
  std::optional<transfer::TsigConversation> tsig;
  std::optional<transfer::IncomingZone> zone;
};

void Transfers::Attempt::begin() {
  hang_up();
  query_sent = 0;
  octets = written = 0;
  arrived.clear();
  std::random_device random;
  id = static_cast<std::uint16_t>(random());
  zone.emplace(order.zone, have);
  std::vector<std::uint8_t> message = transfer::make_transfer_query(id, order.zone, have);
  if (order.key) {
    tsig.emplace(*order.key);
    if (const auto is_signed = tsig->sign(message, transfers.clock_.now().wall); !is_signed)
      return end(fail(is_signed.error()));
  }
  query = {static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
  query.insert(query.end(), message.begin(), message.end());

  const SocketAddress address = to_socket_address(order.primaries[primary]);
  socket = ::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0 || (::connect(socket, address.get(), address.length) != 0 && errno != EINPROGRESS))
    return go_on(std::strerror(errno), false);
  await_octets();
  readiness = transfers.loop_.on_events(socket, UV_WRITABLE, [this](int events) { act(events); });
}

void Transfers::Attempt::await_octets() {
  stall = transfers.loop_.after(
      order.stall, [this] { go_on("no octet came for " + std::to_string(order.stall.count()) + " s", false); });
}

void Transfers::Attempt::hang_up() {
  readiness = Watch();
  stall = Watch();
  if (socket >= 0) ::close(std::exchange(socket, -1));
}

void Transfers::Attempt::drop_file() {
  ::close(std::exchange(file, -1));
  ::unlink(order.file.c_str());
}

void Transfers::Attempt::act(int events) {
  if ((events & UV_WRITABLE) != 0 && query_sent < query.size() && !write_query()) return;
  if ((events & (UV_READABLE | UV_DISCONNECT)) != 0 && read_octets()) take_messages();
}

bool Transfers::Attempt::write_query() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  const ssize_t sent =
      error != 0 ? -1 : ::send(socket, query.data() + query_sent, query.size() - query_sent, MSG_NOSIGNAL);
  if (sent < 0) {
    if (error == 0 && (errno == EAGAIN || errno == EINTR)) return true;
    go_on(std::strerror(error != 0 ? error : errno), false);
    return false;
  }
  query_sent += static_cast<std::size_t>(sent);
  if (query_sent == query.size())
    readiness = transfers.loop_.on_events(socket, UV_READABLE, [this](int ready) { act(ready); });
  return true;
}

bool Transfers::Attempt::read_octets() {
  const std::size_t before = arrived.size();
  arrived.resize(before + piece_octets);
  const ssize_t got = ::recv(socket, arrived.data() + before, piece_octets, 0);
  arrived.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got > 0) {
    await_octets();
    octets += static_cast<std::uint64_t>(got);
    if (octets <= transfer::transfer_octets_max) return true;
    go_on("it is larger than " + std::to_string(transfer::transfer_octets_max >> 20) + " MiB", false);
  } else if (got == 0) {
    go_on(octets == 0 ? "it ended the connection" : "it was cut off after " + std::to_string(octets) + " octets", true);
  } else if (errno != EAGAIN && errno != EINTR) {
    go_on(std::strerror(errno), false);
  }
  return false;
}

bool Transfers::Attempt::take_messages() {
  std::size_t at = 0;
  while (arrived.size() - at >= 2) {
    const std::size_t size = dns::read16(arrived, at);
    if (arrived.size() - at - 2 < size) break;
    bool may_come_whole = false;
    if (const auto why = take_message({arrived.data() + at + 2, size}, may_come_whole)) {
      go_on(*why, may_come_whole);
      return false;
    }
    if (!zone) return false;  // it is complete
    at += 2 + size;
  }
  arrived.erase(arrived.begin(), arrived.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

std::optional<std::string> Transfers::Attempt::take_message(dns::Octets message, bool& may_come_whole) {
  using Kind = transfer::IncomingZone::Kind;
  const auto read = dns::read_transfer_message(message);
  if (!read) return "its answer cannot be read: " + std::string(to_string(read.error()));
  if (read->id != id) return "its answer is not to our query";
  bool is_signed = true;
  if (tsig) {
    const auto checked = tsig->check(message, *read, transfers.clock_.now().wall);
    if (!checked) return checked.error();
    is_signed = *checked;
  }
  const auto complete = zone->take(*read);
  if (!complete) {
    may_come_whole = complete.error().may_come_whole;
    return complete.error().text;
  }
  if (zone->kind() == Kind::whole)
    if (auto why = write_text(zone->take_text())) return why;
  if (!*complete) return std::nullopt;
  if (!is_signed) return "the end of its answer is not signed";
  Transferred result{zone->kind(),         zone->soa(), zone->soa_line(),
                     zone->take_changes(), written,     order.primaries[primary]};
  zone.reset();
  if (file >= 0 && ::close(std::exchange(file, -1)) != 0)
    end(fail(order.file.string() + " cannot be written: " + std::strerror(errno)));
  else
    end(std::move(result));
  return std::nullopt;
}

std::optional<std::string> Transfers::Attempt::write_text(const std::string& text) {
  if (file < 0) file = ::open(order.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  for (std::string_view left = text; !left.empty();) {
    const ssize_t wrote = file < 0 ? -1 : ::write(file, left.data(), left.size());
    if (wrote < 0 && file >= 0 && errno == EINTR) continue;
    if (wrote < 0) return order.file.string() + " cannot be written: " + std::strerror(errno);
    left.remove_prefix(static_cast<std::size_t>(wrote));
    written += static_cast<std::uint64_t>(wrote);
  }
  return std::nullopt;
}

/// What this primary could not give: whole, where only a difference was asked for; else from the next one.
void Transfers::Attempt::go_on(const std::string& why, bool may_come_whole) {
  if (file >= 0) drop_file();
  if (have && may_come_whole) {
    have.reset();
    return begin();
  }
  if (primary + 1 == order.primaries.size()) return end(fail(order.primaries[primary].to_string() + ": " + why));
  ++primary;
  have = order.have;
  begin();
}

void Transfers::Attempt::end(Result<Transferred, std::string> result) {
  hang_up();
  // On the loop's next turn: nobody above us in the stack may find us gone.
  deadline = transfers.loop_.after(milliseconds(0), [this, result = std::move(result)] {
    const auto self = std::move(transfers.attempts_.at(number));
    transfers.attempts_.erase(number);
    self->done(result);
  });
}

Transfers::Transfers(Loop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}
Transfers::~Transfers() = default;

std::uint64_t Transfers::fetch(TransferOrder order, Done done) {
  check(!order.primaries.empty());
  const std::uint64_t number = ++last_number_;
  Attempt& attempt =
      *attempts_.emplace(number, std::make_unique<Attempt>(*this, number, std::move(order), std::move(done)))
           .first->second;
  attempt.deadline = loop_.after(attempt.order.patience, [&attempt] {
    attempt.hang_up();
    if (attempt.file >= 0) attempt.drop_file();
    attempt.end(fail("it is not complete after " + std::to_string(attempt.order.patience.count()) + " s"));
  });
  attempt.begin();
  return number;
}

void Transfers::cancel(std::uint64_t number) {
  attempts_.erase(number);
}

}  // namespace doline::control
