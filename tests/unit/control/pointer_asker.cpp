#include "control/pointer_asker.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "dns/message.h"
#include "dns/writer.h"
#include "run_until.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;

namespace {

dns::Name name(const char* text) {
  return *dns::Name::parse(text);
}

/// A DNS server on the loop itself, which answers as the test says.
class Router {
 public:
  explicit Router(Loop& loop) : descriptor_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    auto* generic = reinterpret_cast<sockaddr*>(&own);
    REQUIRE(::bind(descriptor_, generic, size) == 0);
    REQUIRE(::getsockname(descriptor_, generic, &size) == 0);
    endpoint = {IpAddress::v4(127, 0, 0, 1), ntohs(own.sin_port)};
    watch_ = loop.on_events(descriptor_, UV_READABLE, [this](int) { serve(); });
  }
  ~Router() {
    watch_ = Watch();
    ::close(descriptor_);
  }

  Endpoint endpoint;
  std::vector<std::string> asked;
  bool is_silent = false;
  int id_is_off_by = 0;

 private:
  void serve() {
    std::array<std::uint8_t, 512> buffer;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t count =
        ::recvfrom(descriptor_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (count <= 0) return;
    const auto query = dns::QueryView::parse({buffer.data(), static_cast<std::size_t>(count)});
    REQUIRE(query.has_value());
    REQUIRE(query->recursion_desired());
    asked.push_back(query->question().qname.to_string());
    if (is_silent) return;
    std::array<std::uint8_t, 512> out;
    for (const int off : {id_is_off_by, 0}) {  // a forged one comes first
      dns::MessageWriter writer(out);
      writer.header(static_cast<std::uint16_t>(query->id() + off), {}, dns::ResponseCode::noerror);
      REQUIRE(writer.question(query->question()));
      REQUIRE(writer.record(dns::Section::answer, query->question().qname, dns::RecordType::ptr, dns::RecordClass::in,
                            60, name(off != 0 ? "forged.lan" : "laptop.lan")));
      REQUIRE(::sendto(descriptor_, out.data(), writer.size(), 0, reinterpret_cast<sockaddr*>(&from), size) > 0);
    }
  }

  int descriptor_;
  Watch watch_;
};

}  // namespace

TEST_CASE("a name is asked for where the operator says, once in half a day, and nowhere else") {
  Loop loop;
  const SystemClock clock;
  Router router(loop);
  router.id_is_off_by = 1;
  std::vector<std::string> found;
  PointerAsker asker(loop, clock, {{name("1.168.192.in-addr.arpa"), router.endpoint}},
                     [&](const IpAddress& address, const dns::Name& target) {
                       found.push_back(address.to_string() + " " + target.to_string());
                     });
  CHECK(asker.ask(*IpAddress::parse("192.168.1.20")));
  CHECK_FALSE(asker.ask(*IpAddress::parse("192.168.1.20")));
  CHECK_FALSE(asker.ask(*IpAddress::parse("192.168.2.20")));
  CHECK_FALSE(asker.ask(*IpAddress::parse("fd00::20")));
  CHECK(run_until(loop, [&] { return !found.empty(); }));
  CHECK(found == std::vector<std::string>{"192.168.1.20 laptop.lan"});
  CHECK(router.asked == std::vector<std::string>{"20.1.168.192.in-addr.arpa"});
}

TEST_CASE("a server that does not answer holds up a few, not all for ever") {
  Loop loop;
  const SystemClock clock;
  Router router(loop);
  router.is_silent = true;
  std::vector<std::string> found;
  PointerAsker asker(
      loop, clock, {{name("in-addr.arpa"), router.endpoint}},
      [&](const IpAddress& address, const dns::Name&) { found.push_back(address.to_string()); }, milliseconds(50));
  for (std::uint8_t i = 1; i <= 2 * pointers_in_flight_max; ++i) CHECK(asker.ask(IpAddress::v4(192, 168, 1, i)));
  CHECK(run_until(loop, [&] { return router.asked.size() == pointers_in_flight_max; }));
  router.is_silent = false;
  CHECK(run_until(loop, [&] { return found.size() == pointers_in_flight_max; }));
  CHECK(router.asked.size() == 2 * pointers_in_flight_max);
}
