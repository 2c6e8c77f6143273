#include "control/command_socket.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "run_until.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using doline::tests::TemporaryFolder;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// A served socket: the loop runs on this thread while `ask` runs on another.
template <class Ask>
void serve_while(CommandSocket::Serve serve, Loop& loop, const fs::path& path, Ask ask) {
  const CommandSocket socket(loop, path, std::move(serve));
  REQUIRE(socket.trouble() == "");
  std::thread asker([&] {
    ask();
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  asker.join();
}

int connect_to(const fs::path& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return descriptor;
}

}  // namespace

TEST_CASE("a request is answered, now or later") {
  const TemporaryFolder folder;
  Loop loop;
  std::vector<Watch> later;
  const auto serve = [&](const json& request, const CommandSocket::Answer& answer) {
    if (request["ask"] == "now") return answer({{"number", 1}});
    later.push_back(loop.after(milliseconds(20), [answer] { answer({{"number", 2}}); }));
  };
  serve_while(serve, loop, folder / "below" / "socket", [&] {
    const auto now = ask(folder / "below" / "socket", {{"ask", "now"}});
    REQUIRE(now.has_value());
    CHECK((*now)["number"] == 1);
    const auto after = ask(folder / "below" / "socket", {{"ask", "later"}});
    REQUIRE(after.has_value());
    CHECK((*after)["number"] == 2);
  });
  CHECK_FALSE(fs::exists(folder / "below" / "socket"));
}

TEST_CASE("an answer with an error is a refusal with its sentence") {
  const TemporaryFolder folder;
  Loop loop;
  const auto serve = [](const json&, const CommandSocket::Answer& answer) { answer({{"error", "Not today."}}); };
  serve_while(serve, loop, folder / "socket", [&] {
    const auto answer = ask(folder / "socket", {{"ask", "anything"}});
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().kind == AskFault::Kind::refused);
    CHECK(answer.error().text == "Not today.");
  });
}

TEST_CASE("a client for whom no descriptor is left waits for one, and the loop rests meanwhile") {
  const TemporaryFolder folder;
  Loop loop;
  bool is_answered = false;
  const CommandSocket socket(loop, folder / "socket", [&](const json&, const CommandSocket::Answer& answer) {
    is_answered = true;
    answer(json::object());
  });
  const int client = connect_to(folder / "socket");
  REQUIRE(::write(client, "{}\n", 3) == 3);

  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(client);
  ::close(next);
  const rlimit none_left{static_cast<rlim_t>(next), before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
  const auto cpu_milliseconds = [] {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1'000 +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1'000;
  };
  const auto cpu_before = cpu_milliseconds();
  test::settle(loop, milliseconds(500));
  CHECK(cpu_milliseconds() - cpu_before < 250);  // turning without end it takes all that there is
  CHECK_FALSE(is_answered);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(test::run_until(loop, [&] { return is_answered; }));
  ::close(client);
}

TEST_CASE("what is no request is answered with an error, and one without end ends its connection") {
  const TemporaryFolder folder;
  Loop loop;
  const auto serve = [](const json&, const CommandSocket::Answer& answer) { answer(json::object()); };
  serve_while(serve, loop, folder / "socket", [&] {
    const int nonsense = connect_to(folder / "socket");
    for (const char* line : {"}{\n", "[1]\n", "\xff\xfe\n"}) {
      REQUIRE(::write(nonsense, line, std::strlen(line)) > 0);
      char answer[256] = {};
      REQUIRE(::read(nonsense, answer, sizeof answer - 1) > 0);
      CHECK(json::parse(answer).contains("error"));
    }
    ::close(nonsense);
    const int endless = connect_to(folder / "socket");
    const std::string much(command_octets_max, 'x');
    std::size_t written = 0;
    for (int i = 0; i < 3; ++i) {
      const ssize_t count = ::send(endless, much.data(), much.size(), MSG_NOSIGNAL);
      if (count < 0) break;
      written += static_cast<std::size_t>(count);
    }
    char octet = 0;
    CHECK(::read(endless, &octet, 1) <= 0);
    CHECK(written > 0);
    ::close(endless);
    CHECK(ask(folder / "socket", {{"ask", "still there?"}}).has_value());
  });
}

TEST_CASE("requests written together are answered in order") {
  const TemporaryFolder folder;
  Loop loop;
  const auto serve = [](const json& request, const CommandSocket::Answer& answer) { answer(request); };
  serve_while(serve, loop, folder / "socket", [&] {
    const int descriptor = connect_to(folder / "socket");
    const std::string both = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
    REQUIRE(::write(descriptor, both.data(), both.size()) == static_cast<ssize_t>(both.size()));
    std::string received;
    while (received.size() < both.size()) {
      char octets[64];
      const ssize_t count = ::read(descriptor, octets, sizeof octets);
      REQUIRE(count > 0);
      received.append(octets, static_cast<std::size_t>(count));
    }
    CHECK(received == both);
    ::close(descriptor);
  });
}

TEST_CASE("with too many connections the one idle longest goes") {
  const TemporaryFolder folder;
  Loop loop;
  const auto serve = [](const json&, const CommandSocket::Answer& answer) { answer(json::object()); };
  serve_while(serve, loop, folder / "socket", [&] {
    std::vector<int> idle;
    for (int i = 0; i < command_connections_max; ++i) idle.push_back(connect_to(folder / "socket"));
    CHECK(ask(folder / "socket", {{"ask", "room?"}}).has_value());
    char octet = 0;
    CHECK(::read(idle.front(), &octet, 1) == 0);
    for (const int descriptor : idle) ::close(descriptor);
  });
}

TEST_CASE("a dead Doline's socket is replaced, a living one's when it has ended") {
  const TemporaryFolder folder;
  const fs::path path = folder / "socket";
  {
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    ::close(dead);
  }
  Loop loop;
  const auto serve = [](const json&, const CommandSocket::Answer&) {};
  std::optional<CommandSocket> first(std::in_place, loop, path, serve);
  REQUIRE(first->trouble() == "");
  struct stat facts{};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0660);
  std::vector<std::string> told;
  {
    const CommandSocket second(loop, path, serve, [&](const std::string& trouble) { told.push_back(trouble); });
    REQUIRE(told.size() == 1);
    CHECK(told[0].find("another Doline") != std::string::npos);
    CHECK(second.trouble() == told[0]);
    first.reset();
    REQUIRE(test::run_until(loop, [&] { return told.size() == 2; }));
    CHECK(told[1].empty());
    CHECK(second.trouble().empty());
    ::close(connect_to(path));
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a Doline that hangs does not hang who starts after it") {
  const TemporaryFolder folder;
  const fs::path path = folder / "socket";
  Loop hung, loop;
  const auto serve = [](const json&, const CommandSocket::Answer&) {};
  const CommandSocket first(hung, path, serve);
  std::vector<std::unique_ptr<CommandSocket>> more;
  for (int i = 0; i <= command_connections_max + 1; ++i) {
    more.push_back(std::make_unique<CommandSocket>(loop, path, serve));
    CHECK(more.back()->trouble().find("another Doline") != std::string::npos);
  }
}

TEST_CASE("where no Doline runs, asking says so") {
  const TemporaryFolder folder;
  const auto answer = ask(folder / "socket", {{"ask", "status"}});
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().kind == AskFault::Kind::not_running);
  const auto too_long = ask(folder / std::string(200, 'x'), {{"ask", "status"}});
  REQUIRE_FALSE(too_long.has_value());
}

TEST_CASE("a Doline that does not answer is not waited for longer than patience says") {
  const TemporaryFolder folder;
  Loop loop;
  const auto serve = [](const json&, const CommandSocket::Answer&) {};
  serve_while(serve, loop, folder / "socket", [&] {
    const auto answer = ask(folder / "socket", {{"ask", "status"}}, milliseconds(50));
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().kind == AskFault::Kind::no_answer);
  });
}
