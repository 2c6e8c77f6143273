// Worker: one thread, one loop, and everything it owns: listeners, resolver with its cache, upstream exchanges.
//
// Workers share nothing but immutable snapshots. Equal questions reach one worker: the kernel steers UDP by a hash of
// the question, and what it does not steer (TCP, intercepted queries) is handed to the owner by message and answered by
// message.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "listener/sockets.h"
#include "listener/tcp_listener.h"
#include "listener/udp_listener.h"
#include "querylog/ring.h"
#include "resolver/resolver.h"
#include "resolver/snapshot.h"
#include "upstream/exchange.h"

namespace doline::resolver {

struct WorkerOptions {
  Options resolver;  ///< cache size: this worker's share
  listener::TcpLimits tcp;
  int origin_channel = -1;          ///< to the warden, for original destinations in `nat` mode; -1: none. Taken over
  std::uint16_t redirect_port = 0;  ///< where `nat` mode's REDIRECT leads: the sockets of kind `redirected`
  std::function<void(const CanaryReturn&)> report_canary = {};  ///< on the worker's thread
};

struct WorkerReport {
  Statistics resolver;
  cache::Statistics cache;
  listener::UdpStatistics udp;
  listener::TcpStatistics tcp;
  std::vector<upstream::ServerHealth> upstreams;
  std::uint64_t mailbox_refused = 0;
  std::uint64_t origins_unknown = 0;  ///< redirected queries whose original destination the warden could not tell
  std::uint64_t generation = 0;
};

class Worker {
 public:
  /// `ring` and `clock` outlive the worker. `report_unknown_client` is called on the worker's thread.
  Worker(int index, WorkerOptions options, std::vector<listener::SocketPair> sockets,
         std::shared_ptr<const Snapshot> snapshot, querylog::Ring& ring, const Clock& clock,
         std::function<void(const IpAddress&)> report_unknown_client);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// All workers, this one included, in order of index; before start().
  void meet(std::vector<Worker*> all);
  void start();
  /// Serves on until no query waits, for at most `patience`; then closes the listeners and ends the thread. Control's
  /// thread.
  void stop(milliseconds patience);

  // Any thread:
  /// `done` runs on the worker's thread once the snapshot is in use. False: the mailbox is full, try again.
  bool install(std::shared_ptr<const Snapshot> snapshot, std::function<void()> done);
  /// `take` runs on the worker's thread.
  bool report(std::function<void(WorkerReport)> take);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace doline::resolver
