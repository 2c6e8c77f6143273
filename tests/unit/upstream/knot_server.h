// KnotServer: a real authoritative server, knotd, with a signed zone `example`, on a free port of loopback.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/ip_address.h"

namespace doline::tests {

class KnotServer {
 public:
  static bool is_installed() { return access(program, X_OK) == 0; }
  /// Installed, else it does not run.
  explicit KnotServer(const std::string& records) {
    char pattern[] = "/tmp/doline-knot-XXXXXX";
    folder_ = mkdtemp(pattern);
    {
      asio::io_context loop;
      const asio::ip::udp::socket probe(loop, {asio::ip::address_v4::loopback(), 0});
      port_ = probe.local_endpoint().port();
    }
    const std::string at = folder_.string();
    std::ofstream(folder_ / "zone") << "$ORIGIN example.\n@ 3600 SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
                                       "ns A 127.0.0.1\n"
                                    << records;
    std::ofstream(folder_ / "knot.conf")
        << "server:\n  listen: 127.0.0.1@" << port_ << "\n  rundir: " << at << "\n  udp-workers: 1\n  tcp-workers: 1\n"
        << "  background-workers: 1\ndatabase:\n  storage: " << at << "\nzone:\n- domain: example\n  file: " << at
        << "/zone\n  dnssec-signing: on\n  zonefile-sync: -1\n  zonefile-load: difference-no-serial\n"
        << "  journal-content: all\n";
    const std::string conf = (folder_ / "knot.conf").string();
    const char* const arguments[] = {"knotd", "-c", conf.c_str(), nullptr};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    for (const int stream : {1, 2}) posix_spawn_file_actions_addopen(&quiet, stream, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&process_, program, &quiet, nullptr, const_cast<char**>(arguments), environ) != 0) process_ = -1;
    posix_spawn_file_actions_destroy(&quiet);
  }
  ~KnotServer() {
    if (process_ > 0) {
      kill(process_, SIGTERM);
      waitpid(process_, nullptr, 0);
    }
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  KnotServer(const KnotServer&) = delete;
  KnotServer& operator=(const KnotServer&) = delete;

  /// It ends by itself where somebody took its port meanwhile.
  [[nodiscard]] bool is_running() {
    if (process_ > 0 && waitpid(process_, nullptr, WNOHANG) == process_) process_ = -1;
    return process_ > 0;
  }
  [[nodiscard]] Endpoint endpoint() const { return {IpAddress::v4(127, 0, 0, 1), port_}; }

 private:
  static constexpr const char* program = "/usr/sbin/knotd";
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

}  // namespace doline::tests
