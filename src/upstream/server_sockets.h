// ServerSockets: the UDP sockets through which one server is asked: one at a time for new questions, and older ones
// that still wait for answers.
//
// Each is connected, so that the kernel drops what comes from elsewhere, and bound to a port that nobody can guess (RFC
// 5452 §9.2). After questions_per_socket_max questions or socket_time the next question opens another one on a new
// port; the old one stays open until nothing asked through it is waited for. So a forger has to guess port, ID and the
// case of the name as if each question had a port of its own: the port is not known from outside, its questions are all
// different (equal ones share an exchange) and each has an ID of its own, and by the time a port could be found out (by
// scanning, with ICMP's rate limits as the side channel) it is no longer asked from.
//
// One worker's loop only.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "base/time.h"
#include "upstream/question_table.h"

namespace asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's name
}

namespace doline::upstream {

class RandomSource;

/// How long new questions are asked through one socket.
inline constexpr milliseconds socket_time{250};
/// Open ones to one server; where more would be needed, the oldest is given up.
inline constexpr std::size_t sockets_per_server_max = 16;
inline constexpr std::size_t datagrams_per_call = 64;
/// A larger answer is none that we asked for. No power of two: the buffers of a batch would share a few cache lines.
inline constexpr std::size_t answer_octets_max = 4'160;

/// The room that system calls with many datagrams need; one for all sockets of a loop.
struct DatagramBatch {
  DatagramBatch();
  std::array<mmsghdr, datagrams_per_call> messages{}, queries{};
  std::array<iovec, datagrams_per_call> pieces, query_pieces{};
  std::array<std::array<std::uint8_t, answer_octets_max>, datagrams_per_call> answers;
};

class ServerSockets {
 public:
  using Asker = QuestionTable::Asker;
  /// A question's place: which socket, and where in its table.
  struct Seat {
    static constexpr std::uint16_t nowhere = 0xffff;
    std::uint16_t socket = nowhere;
    QuestionTable::Row row = 0;
    [[nodiscard]] bool is_taken() const { return socket != nowhere; }
  };

  /// `readable(socket)` is called on the loop when a watched socket has something to receive; it may destroy its owner,
  /// not this. `random` outlives the sockets.
  ServerSockets(asio::io_context& loop, const Endpoint& server, RandomSource& random,
                std::function<void(std::uint16_t socket)> readable);
  ~ServerSockets();
  ServerSockets(const ServerSockets&) = delete;
  ServerSockets& operator=(const ServerSockets&) = delete;

  /// A seat on the socket of the hour, opened if need be. `give_up(Asker)` is called for those who have to leave() for
  /// that, for want of sockets. The error is errno's.
  template <class GiveUp>
  [[nodiscard]] Result<Seat, int> sit(Asker asker, MonotonicTime now, GiveUp give_up) {
    if (needs_another(now)) {
      if (open_.size() >= sockets_per_server_max) sockets_[open_.front()]->table.each(give_up);
      if (const int error = open_another(now)) return fail(error);
    }
    return take_seat(asker);
  }
  [[nodiscard]] std::uint16_t id(Seat seat) const { return sockets_[seat.socket]->table.id(seat.row); }
  /// The asker waits no longer. Closes a socket that nobody needs.
  void leave(Seat seat);

  /// Room for a query of at most `octets`, to be filled before the next call; and then the query, which waits for
  /// flush(). True: it is the only one.
  [[nodiscard]] std::span<std::uint8_t> room_for(std::size_t octets);
  bool queue(Seat seat, std::size_t octets);
  /// Sends what waits, and watches the sockets. Queries whose askers left are left out. `fail(Asker)`: that one could
  /// not be sent; `refused(socket)`: an ICMP error has come meanwhile. Both may sit, leave and queue.
  template <class Fail, class Refused>
  void flush(DatagramBatch& batch, Fail fail, Refused refused) {
    int refusals = 0;
    for (std::size_t done = 0; done < queries_.size();) {
      const Sent sent = send_some(batch, done, refusals < refusals_max);
      done += sent.done;
      refusals += sent.refused ? 1 : 0;
      if (sent.refused) refused(sent.socket);
      if (sent.failed != QuestionTable::nobody) fail(sent.failed);
    }
    queries_.clear();
    octets_used_ = 0;
  }

  /// Calls `readable` once, when there may be something to receive.
  void watch(std::uint16_t socket);
  /// Another number for each time that the socket of this place is opened.
  [[nodiscard]] std::uint32_t generation(std::uint16_t socket) const { return sockets_[socket]->generation; }
  /// How many datagrams now stand in `batch`, or minus errno (EAGAIN: none now).
  [[nodiscard]] int receive(std::uint16_t socket, DatagramBatch& batch);
  /// Who waits on this socket for the answer with this ID.
  [[nodiscard]] Asker find(std::uint16_t socket, std::uint16_t id) const { return sockets_[socket]->table.find(id); }
  [[nodiscard]] bool is_waited_for(std::uint16_t socket) const { return sockets_[socket]->table.waiting() > 0; }
  /// Calls `take(Asker)` for all who wait on this socket; it may sit, leave and queue.
  template <class Take>
  void each_on(std::uint16_t socket, Take take) const {
    sockets_[socket]->table.each(take);
  }
  [[nodiscard]] std::size_t open() const { return open_.size(); }

 private:
  /// In one flush(): a query that meets more ICMP errors than that is given up.
  static constexpr int refusals_max = 8;
  struct Handle;
  struct Socket {
    std::shared_ptr<Handle> handle;  // handlers that wait on the loop hold it weakly
    int descriptor = -1;
    QuestionTable table;
    MonotonicTime opened;
    std::uint32_t generation = 0;
    bool is_watched = false;
  };
  struct Query {
    std::uint32_t begin;
    std::uint16_t octets;
    Seat seat;
    std::uint32_t generation;
  };
  struct Sent {
    std::size_t done = 0;
    Asker failed = QuestionTable::nobody;
    std::uint16_t socket = 0;
    bool refused = false;
  };

  [[nodiscard]] bool needs_another(MonotonicTime now) const {
    if (open_.empty()) return true;
    const Socket& current = *sockets_[open_.back()];
    return current.table.is_full() || now - current.opened >= socket_time;
  }
  [[nodiscard]] int open_another(MonotonicTime now);
  [[nodiscard]] Seat take_seat(Asker asker);
  void close_socket(std::uint16_t socket);
  [[nodiscard]] bool is_wanted(const Query& query) const;
  Sent send_some(DatagramBatch& batch, std::size_t from, bool may_be_refused);

  asio::io_context& loop_;
  const Endpoint server_;
  RandomSource& random_;
  const std::function<void(std::uint16_t socket)> readable_;
  std::vector<std::unique_ptr<Socket>> sockets_;  // closed ones are opened again
  std::vector<std::uint16_t> open_, closed_;      // of these; the open ones by age, the youngest last
  std::vector<Query> queries_;                    // what waits to be sent
  std::vector<std::uint8_t> octets_;
  std::size_t octets_used_ = 0;
};

}  // namespace doline::upstream
