#include "control/download.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "run_until.h"
#include "small_server.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

using Outcome = Result<Downloaded, DownloadFault>;

Outcome fetch(DownloadOrder order) {
  Loop loop;
  std::optional<Outcome> outcome;
  Downloads downloads(loop);
  downloads.fetch(std::move(order), [&](const Outcome& result) { outcome = result; });
  CHECK_FALSE(outcome.has_value());  // never from within fetch()
  REQUIRE(run_until(loop, [&] { return outcome.has_value(); }));
  CHECK(downloads.under_way() == 0);
  return *outcome;
}

SmallServer::Serve always(std::string reply) {
  return [reply = std::move(reply)](const std::string&) { return reply; };
}

}  // namespace

TEST_CASE("a file is fetched with what identifies this copy of it") {
  const TemporaryFolder folder;
  SmallServer server(
      always(ok("a.example\nb.example\n", "ETag: \"one\"\r\nLast-Modified: Tue, 24 Nov 2026 10:00:00 GMT\r\n")));
  const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list"});
  REQUIRE(outcome.has_value());
  CHECK(outcome->octets == 20);
  CHECK(outcome->is_whole);
  CHECK_FALSE(outcome->is_unchanged);
  CHECK(outcome->etag == "\"one\"");
  CHECK(outcome->last_modified == "Tue, 24 Nov 2026 10:00:00 GMT");
  CHECK(content_of(folder / "list") == "a.example\nb.example\n");
}

TEST_CASE("a copy that is still right is not sent again") {
  const TemporaryFolder folder;
  SmallServer server(always(only_status("304 Not Modified")));
  const Outcome outcome = fetch({.url = server.url("/list"),
                                 .file = folder / "list",
                                 .etag = "\"one\"",
                                 .last_modified = "Tue, 24 Nov 2026 10:00:00 GMT"});
  REQUIRE(outcome.has_value());
  CHECK(outcome->is_unchanged);
  CHECK_FALSE(std::filesystem::exists(folder / "list"));
  const std::string request = server.requests().at(0);
  CHECK(request.find("If-None-Match: \"one\"\r\n") != std::string::npos);
  CHECK(request.find("If-Modified-Since: Tue, 24 Nov 2026 10:00:00 GMT\r\n") != std::string::npos);
}

TEST_CASE("a 304 that nobody asked for is no success") {
  const TemporaryFolder folder;
  SmallServer server(always(only_status("304 Not Modified")));
  const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list"});
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().text == "the server says 304");
}

TEST_CASE("what fails leaves no file") {
  const TemporaryFolder folder;
  const auto fault_of = [&](std::string reply) {
    SmallServer server(always(std::move(reply)));
    const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list", .octets_max = 1 << 20});
    REQUIRE_FALSE(outcome.has_value());
    CHECK_FALSE(std::filesystem::exists(folder / "list"));
    return outcome.error();
  };
  CHECK(fault_of(only_status("404 Not Found")).text == "the server says 404");
  CHECK(fault_of(only_status("500 Oops")).text == "the server says 500");
  CHECK(fault_of("HTTP/1.1 204 No Content\r\n\r\n").text == "the server says 204");
  CHECK(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na.example\n").text == "it was cut off after 10 octets");
  // a chunked body whose last chunk is missing
  CHECK_FALSE(fault_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\na.example\n\r\n").text.empty());
  CHECK_FALSE(fault_of("").text.empty());
  CHECK_FALSE(fault_of("SSH-2.0-OpenSSH_9.2\r\n").text.empty());
  CHECK(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").text == "it is larger than 1 MiB");
  CHECK(fault_of("HTTP/1.1 200 OK\r\n\r\n" + std::string((1 << 20) + 1, 'x')).text == "it is larger than 1 MiB");
}

TEST_CASE("a server says when to come back") {
  const TemporaryFolder folder;
  SmallServer server(always(only_status("429 Too Many Requests", "Retry-After: 3600\r\n")));
  const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list"});
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().retry_after == seconds(3600));
}

TEST_CASE("only a length or a framing proves a body whole") {
  const TemporaryFolder folder;
  const auto is_whole = [&](std::string reply) {
    SmallServer server(always(std::move(reply)));
    const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list"});
    REQUIRE(outcome.has_value());
    CHECK(content_of(folder / "list") == "a.example\n");
    return outcome->is_whole;
  };
  CHECK(is_whole(ok("a.example\n")));
  CHECK(is_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\na.example\n\r\n0\r\n\r\n"));
  CHECK_FALSE(is_whole("HTTP/1.0 200 OK\r\n\r\na.example\n"));
}

TEST_CASE("a body is unpacked, and what it unpacks to is bounded") {
  const TemporaryFolder folder;
  // `gzip` of 64 MiB of zeros, of which the header and the first blocks are enough
  const auto pack = [&](const std::string& text) {
    const auto plain = folder.write("plain", text);
    REQUIRE(std::system(("gzip -9nc '" + plain.string() + "' > '" + (folder / "packed").string() + "'").c_str()) == 0);
    return content_of(folder / "packed");
  };
  SmallServer small(always(ok(pack("a.example\n"), "Content-Encoding: gzip\r\n")));
  const Outcome unpacked = fetch({.url = small.url("/list"), .file = folder / "list"});
  REQUIRE(unpacked.has_value());
  CHECK(unpacked->octets == 10);
  CHECK(content_of(folder / "list") == "a.example\n");

  SmallServer bomb(always(ok(pack(std::string(64 << 20, '\0')), "Content-Encoding: gzip\r\n")));
  const Outcome refused = fetch({.url = bomb.url("/list"), .file = folder / "list", .octets_max = 1 << 20});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().text == "it is larger than 1 MiB");
}

TEST_CASE("a server may redirect, but not for ever, and not to a file") {
  const TemporaryFolder folder;
  SmallServer server([&](const std::string& request) -> std::optional<std::string> {
    if (asks_for(request, "/moved")) return only_status("302 Found", "Location: /list\r\n");
    if (asks_for(request, "/circle")) return only_status("302 Found", "Location: /circle\r\n");
    if (asks_for(request, "/file")) return only_status("302 Found", "Location: file:///etc/hostname\r\n");
    if (asks_for(request, "/gopher")) return only_status("302 Found", "Location: gopher://127.0.0.1:70/\r\n");
    return ok("a.example\n");
  });
  const Outcome moved = fetch({.url = server.url("/moved"), .file = folder / "list"});
  REQUIRE(moved.has_value());
  CHECK(content_of(folder / "list") == "a.example\n");
  CHECK_FALSE(fetch({.url = server.url("/circle"), .file = folder / "other"}).has_value());
  CHECK(server.requests().size() == 2 + 1 + static_cast<std::size_t>(download_redirects_max));
  CHECK_FALSE(fetch({.url = server.url("/file"), .file = folder / "other"}).has_value());
  CHECK_FALSE(fetch({.url = server.url("/gopher"), .file = folder / "other"}).has_value());
  CHECK_FALSE(fetch({.url = "file:///etc/hostname", .file = folder / "other"}).has_value());
  CHECK_FALSE(fetch({.url = "no url at all", .file = folder / "other"}).has_value());
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
}

TEST_CASE("a silent server is given up when patience ends, and by cancel()") {
  const TemporaryFolder folder;
  SmallServer server([](const std::string&) { return std::optional<std::string>(); });
  const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "list", .patience = seconds(1)});
  REQUIRE_FALSE(outcome.has_value());
  CHECK_FALSE(std::filesystem::exists(folder / "list"));

  Loop loop;
  bool was_called = false;
  Downloads downloads(loop);
  const auto number =
      downloads.fetch({.url = server.url("/two"), .file = folder / "list"}, [&](const Outcome&) { was_called = true; });
  REQUIRE(run_until(loop, [&] { return server.requests().size() == 2; }));
  downloads.cancel(number);
  downloads.cancel(number);
  CHECK(downloads.under_way() == 0);
  settle(loop);
  CHECK_FALSE(was_called);
  CHECK_FALSE(std::filesystem::exists(folder / "list"));
}

TEST_CASE("many downloads go on at once, and one may begin when another ends") {
  const TemporaryFolder folder;
  SmallServer server([](const std::string& request) { return ok(request.substr(4, request.find(' ', 4) - 4)); });
  Loop loop;
  Downloads downloads(loop);
  std::size_t ended = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string name = std::to_string(i);
    downloads.fetch({.url = server.url("/" + name), .file = folder / name}, [&, name](const Outcome& first) {
      REQUIRE(first.has_value());
      downloads.fetch({.url = server.url("/again" + name), .file = folder / ("again" + name)},
                      [&](const Outcome& second) {
                        CHECK(second.has_value());
                        ++ended;
                      });
    });
  }
  CHECK(run_until(loop, [&] { return ended == 20; }));
  for (int i = 0; i < 20; ++i)
    CHECK(content_of(folder / ("again" + std::to_string(i))) == "/again" + std::to_string(i));
}

TEST_CASE("a file that cannot be written is a fault, not a crash") {
  const TemporaryFolder folder;
  SmallServer server(always(ok("a.example\n")));
  const Outcome outcome = fetch({.url = server.url("/list"), .file = folder / "no such folder" / "list"});
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().text.find("cannot be written: No such file or directory") != std::string::npos);
  CHECK(server.requests().empty());
}

TEST_CASE("downloads that end with their loop leave nothing behind") {
  const TemporaryFolder folder;
  SmallServer server([](const std::string&) { return std::optional<std::string>(); });
  {
    Loop loop;
    Downloads downloads(loop);
    downloads.fetch({.url = server.url("/list"), .file = folder / "list"},
                    [](const Outcome&) { FAIL("not asked for"); });
    REQUIRE(run_until(loop, [&] { return server.requests().size() == 1; }));
  }
  CHECK_FALSE(std::filesystem::exists(folder / "list"));
}

TEST_CASE("the operator may name any server, but no server or name leads nearer to us") {
  const auto refused = [](std::string_view host, const char* address, const char* first = nullptr) {
    return !why_refused(host, *IpAddress::parse(address), first ? IpAddress::parse(first) : std::nullopt).empty();
  };
  // the first request
  CHECK_FALSE(refused("lists.example", "192.0.2.1"));
  CHECK_FALSE(refused("nas.home.arpa", "192.168.1.10"));
  CHECK_FALSE(refused("127.0.0.1", "127.0.0.1"));
  CHECK_FALSE(refused("localhost", "::1"));
  CHECK_FALSE(refused("[fe80::1]", "fe80::1"));
  CHECK(refused("lists.example", "127.0.0.1"));
  CHECK(refused("lists.example", "169.254.169.254"));
  CHECK(refused("lists.example", "fe80::1"));
  CHECK(refused("lists.example", "0.0.0.0"));
  CHECK(refused("lists.example", "::"));
  CHECK(refused("lists.example", "224.0.0.1"));
  // after a redirect
  CHECK_FALSE(refused("lists.example", "198.51.100.1", "192.0.2.1"));
  CHECK_FALSE(refused("nas.home.arpa", "192.168.1.11", "192.168.1.10"));
  CHECK_FALSE(refused("nas.home.arpa", "192.0.2.1", "192.168.1.10"));
  CHECK_FALSE(refused("127.0.0.1", "127.0.0.1", "127.0.0.1"));
  CHECK(refused("lists.example", "192.168.1.1", "192.0.2.1"));
  CHECK(refused("lists.example", "fd00::1", "192.0.2.1"));
  CHECK(refused("lists.example", "127.0.0.1", "192.0.2.1"));
  CHECK(refused("nas.home.arpa", "127.0.0.1", "192.168.1.10"));
  CHECK(refused("127.0.0.1", "0.0.0.0", "127.0.0.1"));
}

TEST_CASE("a URL is shown without its secrets") {
  CHECK(to_shown_url("https://lists.example/a/b.txt") == "https://lists.example/a/b.txt");
  CHECK(to_shown_url("https://anna:secret@lists.example/a?token=x#y") == "https://lists.example/a");
  CHECK(to_shown_url("https://lists.example/a@b") == "https://lists.example/a@b");
  CHECK(to_shown_url("https://lists.example?token=a@b") == "https://lists.example");
  CHECK(to_shown_url("nonsense") == "nonsense");
}
