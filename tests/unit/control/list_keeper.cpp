#include "control/list_keeper.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <filesystem>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "run_until.h"
#include "small_server.h"
#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using namespace doline::control::test;
using doline::tests::content_of;
using doline::tests::TemporaryFolder;

namespace {

constexpr ListPace quick{.settle = milliseconds(10),
                         .settle_max = milliseconds(200),
                         .retry_first = milliseconds(20),
                         .retry_longest = milliseconds(80),
                         .image_look = milliseconds(300),
                         .jitter = 0.1};

config::ListSettings list_of_file(const std::string& name, const std::filesystem::path& file) {
  config::ListSettings list;
  list.name = name;
  list.file = file;
  return list;
}

config::ListSettings list_of_url(const std::string& name, const std::string& url) {
  config::ListSettings list;
  list.name = name;
  list.url = url;
  return list;
}

bool lists_name(const blocklist::ListSet& set, std::string_view name, std::uint16_t list) {
  const auto listing = set.look_up(*dns::Name::parse(name));
  for (const auto& covering : listing.all())
    for (const auto id : set.lists_of(covering.set))
      if (id.value == list) return true;
  return false;
}

/// A keeper on its own loop and folder, with what it says.
struct Home {
  TemporaryFolder folder;
  SystemClock clock;
  std::ostringstream said;
  spdlog::logger log{"lists", std::make_shared<spdlog::sinks::ostream_sink_st>(said)};
  Loop loop;
  std::vector<std::shared_ptr<const blocklist::ListSet>> sets;  // as on_set brought them
  std::unique_ptr<ListKeeper> keeper;

  Home() { start(); }
  void start() {
    keeper.reset();
    sets.clear();
    keeper = std::make_unique<ListKeeper>(
        loop, folder / "state", clock, log, [this](auto set) { sets.push_back(std::move(set)); }, quick);
  }
  bool until_settled() {
    return run_until(loop, [&] { return keeper->is_settled(); });
  }
  template <class Condition>
  bool until(Condition holds) {
    return run_until(loop, holds);
  }
  [[nodiscard]] bool names(std::string_view name, std::uint16_t list = 0) const {
    return lists_name(*keeper->current(), name, list);
  }
  [[nodiscard]] std::filesystem::path copy(const std::string& file) const { return folder / "state" / "lists" / file; }
};

/// What a server says, changed by the test while it runs.
class Script {
 public:
  void say(std::optional<std::string> reply) {
    const std::lock_guard lock(mutex_);
    reply_ = std::move(reply);
  }
  [[nodiscard]] SmallServer::Serve serve() {
    return [this](const std::string&) {
      const std::lock_guard lock(mutex_);
      return reply_;
    };
  }

 private:
  std::mutex mutex_;
  std::optional<std::string> reply_;  // guarded by mutex_
};

}  // namespace

TEST_CASE("no lists make the set without lists at once") {
  Home home;
  home.keeper->configure({});
  CHECK(home.keeper->is_settled());
  CHECK(home.keeper->current()->name_count() == 0);
}

TEST_CASE("the operator's file is compiled, and compiled again when it is edited") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\nbad..name\nb.example\nc.example\n");
  home.keeper->configure({list_of_file("ads", file)});
  CHECK(home.keeper->current()->name_count() == 0);  // waits for nothing
  CHECK_FALSE(home.keeper->is_settled());
  REQUIRE(home.until([&] { return home.sets.size() == 1; }));
  CHECK(home.keeper->current() == home.sets[0]);
  CHECK(home.names("a.example"));
  const auto state = home.keeper->states().at(0);
  CHECK(state.names == 3);
  CHECK(state.read.problems == 1);
  CHECK(state.first_problems.at(0).line == 2);
  CHECK(state.format == blocklist::ListFormat::domains);
  CHECK(state.failure.empty());
  CHECK(home.said.str().find("ads.txt:2:") != std::string::npos);

  home.folder.write("ads.txt", "d.example\n");
  REQUIRE(home.until([&] { return home.sets.size() == 2; }));
  CHECK(home.names("d.example"));
  CHECK_FALSE(home.names("a.example"));
}

TEST_CASE("a file that is not there empties its own list only, and counts once it comes") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  home.keeper->configure({list_of_file("later", home.folder / "later.txt"), list_of_file("ads", file)});
  REQUIRE(home.until_settled());
  CHECK(home.names("a.example", 1));
  CHECK_FALSE(home.keeper->states().at(0).failure.empty());
  home.folder.write("later.txt", "b.example\n");
  REQUIRE(home.until([&] { return home.names("b.example", 0); }));
  CHECK(home.keeper->states().at(0).failure.empty());
}

TEST_CASE("a file that is gone while Doline runs stays in force, over a restart too, until it is back") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  const auto other = home.folder.write("other.txt", "b.example\n");
  const auto lists = [&] { return std::vector{list_of_file("ads", file), list_of_file("other", other)}; };
  const auto is_kept = [&](std::string_view text) { return content_of(home.copy("ads.txt")) == text; };
  home.keeper->configure(lists());
  REQUIRE(home.until([&] { return is_kept("a.example\n"); }));

  std::filesystem::remove(file);
  REQUIRE(home.until([&] { return !home.keeper->states().at(0).last_error.empty(); }));
  home.folder.write("other.txt", "c.example\n");
  REQUIRE(home.until([&] { return home.names("c.example", 1); }));  // the others are read as ever
  CHECK(home.names("a.example"));
  const auto state = home.keeper->states().at(0);
  CHECK(state.failure.empty());
  CHECK(state.last_error == file.string() + " cannot be read: No such file or directory");
  CHECK(state.names == 1);

  home.start();
  home.keeper->configure(lists());
  REQUIRE(home.until_settled());
  CHECK(home.names("a.example"));
  CHECK_FALSE(home.keeper->states().at(0).last_error.empty());

  home.folder.write("ads.txt", "d.example\n");
  REQUIRE(home.until([&] { return home.names("d.example"); }));
  CHECK_FALSE(home.names("a.example"));
  CHECK(home.keeper->states().at(0).last_error.empty());
  home.folder.write("ads.txt", "");  // an empty one is meant
  REQUIRE(home.until([&] { return !home.names("d.example") && is_kept(""); }));
  std::filesystem::remove(file);
  REQUIRE(home.until([&] { return !home.keeper->states().at(0).last_error.empty(); }));
  REQUIRE(home.until_settled());
  CHECK_FALSE(home.names("d.example"));
}

TEST_CASE(
    "a web page that somebody's download has put in a file's place is no list: what was read before stays in force") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until([&] { return content_of(home.copy("ads.txt")) == "a.example\n"; }));
  home.folder.write("ads.txt", "\n<!DOCTYPE html>\n<title>502</title>\n");
  REQUIRE(home.until([&] { return !home.keeper->states().at(0).last_error.empty(); }));
  REQUIRE(home.until_settled());
  CHECK(home.names("a.example"));
  CHECK(home.keeper->states().at(0).last_error == file.string() + " is a web page, not a list");
  CHECK(content_of(home.copy("ads.txt")) == "a.example\n");
  home.folder.write("ads.txt", "b.example\n");
  REQUIRE(home.until([&] { return home.names("b.example"); }));
}

TEST_CASE("a list that could never be fetched is empty for the very reason") {
  Home home;
  home.keeper->configure({list_of_url("ads", "http://127.0.0.1:1/ads.txt")});
  CHECK(home.keeper->states().at(0).failure.empty());
  REQUIRE(home.until([&] { return home.keeper->states().at(0).failures > 0 && home.keeper->is_settled(); }));
  const auto state = home.keeper->states().at(0);
  CHECK_FALSE(state.last_error.empty());
  CHECK(state.failure == state.last_error);
}

TEST_CASE("what was compiled is used again at the next start, unless a text has changed") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until([&] { return home.keeper->is_settled() && home.loop.jobs() == 0; }));

  home.start();
  home.keeper->configure({list_of_file("ads", file)});
  CHECK(home.keeper->is_settled());
  CHECK(home.names("a.example"));
  CHECK(home.loop.jobs() == 0);

  home.folder.write("ads.txt", "b.example\n");
  home.start();
  home.keeper->configure({list_of_file("ads", file)});
  CHECK_FALSE(home.names("a.example"));
  REQUIRE(home.until_settled());
  CHECK(home.names("b.example"));
}

TEST_CASE("a damaged image is compiled anew") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until_settled());
  home.keeper.reset();
  std::ofstream(home.folder / "state" / "lists.image", std::ios::binary) << "no image";
  home.start();
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until_settled());
  CHECK(home.names("a.example"));
}

TEST_CASE("an image that the disk has changed after it was compiled is found out soon, and compiled anew") {
  Home home;
  std::string names;
  for (int number = 0; number < 500; ++number) names += "n" + std::to_string(number) + ".example\n";
  const auto file = home.folder.write("ads.txt", names);
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until_settled());
  home.keeper.reset();
  const auto image = home.folder / "state" / "lists.image";
  std::string damaged = content_of(image);
  for (std::size_t at = damaged.size() / 2; at < damaged.size() / 2 + 2'000; ++at) damaged[at] ^= 0x5a;
  std::ofstream(image, std::ios::binary) << damaged;
  home.start();
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.keeper->is_settled());
  const auto are_all_named = [&] {
    for (int number = 0; number < 500; ++number)
      if (!home.names("n" + std::to_string(number) + ".example")) return false;
    return true;
  };
  REQUIRE_FALSE(are_all_named());
  REQUIRE(home.until(are_all_named));
  CHECK(home.said.str().find("damaged; it is compiled anew") != std::string::npos);
}

TEST_CASE("lists that cannot be compiled are told, and what was compiled before stays") {
  Home home;
  const auto file = home.folder.write("ads.txt", "a.example\n");
  home.keeper->configure({list_of_file("ads", file)});
  REQUIRE(home.until_settled());
  const auto image = home.folder / "state" / "lists.image";
  std::filesystem::remove(image);
  std::filesystem::create_directories(image / "in the way");
  home.folder.write("ads.txt", "b.example\n");
  REQUIRE(home.until([&] { return home.said.str().find("what was compiled before stays") != std::string::npos; }));
  CHECK(home.names("a.example"));
  CHECK_FALSE(home.keeper->is_settled());
  home.keeper->configure({list_of_file("ads", file), list_of_file("more", file)});
  CHECK(home.keeper->stands_in());
  REQUIRE(home.until([&] { return !home.keeper->stands_in(); }));
  CHECK(home.keeper->current()->name_count() == 0);
  std::filesystem::remove_all(image);
  home.keeper->check_files();
  REQUIRE(home.until([&] { return home.names("b.example", 1); }));
}

TEST_CASE("a set of another order is never current") {
  Home home;
  const auto one = list_of_file("one", home.folder.write("one.txt", "a.example\n"));
  const auto two = list_of_file("two", home.folder.write("two.txt", "b.example\n"));
  home.keeper->configure({one, two});
  REQUIRE(home.until_settled());
  CHECK(home.names("a.example", 0));
  CHECK(home.names("b.example", 1));

  home.keeper->configure({one, two});  // nothing new: the same set goes on
  CHECK(home.keeper->is_settled());
  CHECK(home.keeper->current() == home.sets.back());

  home.sets.clear();
  home.keeper->configure({two, one});
  CHECK(home.keeper->current()->name_count() == 0);
  CHECK(home.keeper->stands_in());
  home.keeper->configure({one});  // while the former is compiled
  home.keeper->configure({two, one});
  home.keeper->configure({two});
  REQUIRE(home.until_settled());
  CHECK_FALSE(home.keeper->stands_in());
  for (const auto& set : home.sets) CHECK(set->list_count() == 1);
  CHECK(home.names("b.example", 0));
  CHECK(home.keeper->states().size() == 1);
}

TEST_CASE("a URL is fetched, compiled, and its copy serves at the next start without the network") {
  Home home;
  {
    SmallServer server([](const std::string&) { return ok("a.example\nb.example\n", "ETag: \"one\"\r\n"); });
    home.keeper->configure({list_of_url("ads", server.url("/ads.txt"))});
    REQUIRE(home.until([&] { return home.names("a.example"); }));
    const auto state = home.keeper->states().at(0);
    CHECK(state.last_fetch.has_value());
    CHECK(state.next_fetch.has_value());
    CHECK(state.last_error.empty());
    CHECK(state.names == 2);
    CHECK(state.octets == 20);
    CHECK(content_of(home.copy("ads.txt")) == "a.example\nb.example\n");
    home.start();
    home.keeper->configure({list_of_url("ads", server.url("/ads.txt"))});
    CHECK(home.names("a.example"));
    settle(home.loop);
    CHECK(server.requests().size() == 1);  // not due yet
  }
}

TEST_CASE("nothing worse replaces the last good copy, and tries go on until one is good") {
  Home home;
  Script script;
  script.say(ok("a.example\nb.example\nc.example\n"));
  SmallServer server(script.serve());
  home.keeper->configure({list_of_url("ads", server.url("/ads.txt"))});
  REQUIRE(home.until([&] { return home.names("a.example"); }));
  const std::string good = content_of(home.copy("ads.txt"));

  const std::vector<std::string> bad{
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na.example\n",  // cut off
      "HTTP/1.0 200 OK\r\n\r\na.example\n",                          // perhaps cut off
      ok(""),
      ok("<!DOCTYPE html><html>Please log in</html>\n"),
      ok("# gone\n"),
      only_status("500 Oops"),
      only_status("404 Not Found"),
      "",
  };
  for (const std::string& reply : bad) {
    CAPTURE(reply);
    script.say(reply);
    const int failures = home.keeper->states().at(0).failures;
    home.keeper->refresh();
    REQUIRE(home.until([&] { return home.keeper->states().at(0).failures > failures; }));
    CHECK_FALSE(home.keeper->states().at(0).last_error.empty());
    CHECK(content_of(home.copy("ads.txt")) == good);
    CHECK(home.names("c.example"));
  }
  CHECK(home.said.str().find("the copy at hand stays") != std::string::npos);

  script.say(ok("d.example\n"));  // smaller, but whole
  REQUIRE(home.until([&] { return home.names("d.example"); }));
  CHECK_FALSE(home.names("a.example"));
  CHECK(home.keeper->states().at(0).failures == 0);
  CHECK(home.keeper->states().at(0).last_error.empty());
}

TEST_CASE("an unchanged list is not compiled again") {
  Home home;
  Script script;
  script.say(ok("a.example\n", "ETag: \"one\"\r\n"));
  SmallServer server(script.serve());
  home.keeper->configure({list_of_url("ads", server.url("/ads.txt"))});
  REQUIRE(home.until([&] { return home.names("a.example"); }));
  REQUIRE(home.until_settled());
  const auto set = home.keeper->current();

  script.say(only_status("304 Not Modified"));
  home.keeper->refresh();
  REQUIRE(home.until([&] { return server.requests().size() == 2 && home.keeper->states().at(0).next_fetch; }));
  CHECK(server.requests().at(1).find("If-None-Match: \"one\"") != std::string::npos);
  REQUIRE(home.until_settled());
  CHECK(home.keeper->current() == set);

  script.say(ok("a.example\n"));  // by a server that knows no ETag
  home.keeper->refresh();
  REQUIRE(home.until([&] { return server.requests().size() == 3 && home.keeper->states().at(0).next_fetch; }));
  REQUIRE(home.until_settled());
  settle(home.loop);
  CHECK(home.keeper->current() == set);
}

TEST_CASE("an ETag is not sent for a copy that somebody touched, nor for another URL") {
  Home home;
  SmallServer server([](const std::string&) { return ok("a.example\n", "ETag: \"one\"\r\n"); });
  home.keeper->configure({list_of_url("ads", server.url("/ads.txt"))});
  REQUIRE(home.until([&] { return home.names("a.example"); }));
  std::ofstream(home.copy("ads.txt"), std::ios::app) << "b.example\n";
  home.keeper->refresh();
  REQUIRE(home.until([&] { return server.requests().size() == 2; }));
  CHECK(server.requests().at(1).find("If-None-Match") == std::string::npos);
  REQUIRE(home.until([&] { return home.keeper->states().at(0).next_fetch.has_value(); }));

  home.keeper->configure({list_of_url("ads", server.url("/moved.txt"))});
  CHECK(home.keeper->states().at(0).octets == 10);  // the old copy serves until the new URL answers
  REQUIRE(home.until([&] { return server.requests().size() == 3; }));
  CHECK(server.requests().at(2).find("If-None-Match") == std::string::npos);
}

TEST_CASE("a list is fetched again when it is due") {
  Home home;
  SmallServer server([](const std::string&) { return ok("a.example\n"); });
  auto list = list_of_url("ads", server.url("/ads.txt"));
  list.every = seconds(1);
  home.keeper->configure({list});
  CHECK(home.until([&] { return server.requests().size() >= 3; }));
}

TEST_CASE("a list that left the configuration leaves nothing behind, not even in the middle of a fetch") {
  Home home;
  Script script;
  script.say(ok("a.example\n"));
  SmallServer server(script.serve());
  home.keeper->configure({list_of_url("ads", server.url("/ads.txt")), list_of_url("../x", server.url("/x.txt"))});
  REQUIRE(home.until([&] { return home.names("a.example", 0) && home.names("a.example", 1); }));
  CHECK(std::filesystem::exists(home.copy("%2E%2E%2Fx.txt")));
  script.say(std::nullopt);  // silence
  const auto before = server.requests().size();
  home.keeper->refresh();
  REQUIRE(home.until([&] { return server.requests().size() == before + 2; }));
  home.keeper->configure({});
  CHECK(std::filesystem::is_empty(home.folder / "state" / "lists"));
  settle(home.loop);
  CHECK(std::filesystem::is_empty(home.folder / "state" / "lists"));
  CHECK(home.keeper->current()->name_count() == 0);
}

TEST_CASE("many lists share few downloads and few compiles") {
  Home home;
  SmallServer server(
      [](const std::string& request) { return ok(request.substr(5, request.find(' ', 5) - 5) + ".example\n"); });
  std::vector<config::ListSettings> lists;
  for (int i = 0; i < 30; ++i)
    lists.push_back(list_of_url("list" + std::to_string(i), server.url("/n" + std::to_string(i))));
  home.keeper->configure(lists);
  REQUIRE(home.until([&] { return home.keeper->current()->name_count() == 30; }));
  for (std::uint16_t i = 0; i < 30; ++i) CHECK(home.names("n" + std::to_string(i) + ".example", i));
  CHECK(home.sets.size() < 30);
}

TEST_CASE("a keeper may end while it downloads and compiles") {
  Home home;
  SmallServer server([](const std::string&) { return std::optional<std::string>(); });
  home.keeper->configure(
      {list_of_file("ads", home.folder.write("ads.txt", "a.example\n")), list_of_url("silent", server.url("/"))});
  REQUIRE(home.until([&] { return server.requests().size() == 1; }));
  home.keeper->configure({list_of_file("ads", home.folder.write("ads.txt", "b.example\n"))});
  home.keeper.reset();
  CHECK(home.until([&] { return home.loop.jobs() == 0; }));
}

TEST_CASE("a real list comes through the whole way") {
  const char* given = std::getenv("DOLINE_SHARED");
  const auto lists =
      std::filesystem::path(given != nullptr ? given : DOLINE_SOURCE_DIR "/../shared") / "data" / "lists";
  const auto packed = lists / "hosts" / "anudeepnd-adservers.hosts.xz";
  if (!std::filesystem::exists(packed)) {
    MESSAGE("not tested with a real list: there is no " << packed.string());
    return;
  }
  Home home;
  const auto plain = home.folder / "real";
  REQUIRE(std::system(("xz -dc '" + packed.string() + "' > '" + plain.string() + "'").c_str()) == 0);
  SmallServer server([text = content_of(plain)](const std::string&) { return ok(text); });
  home.keeper->configure({list_of_url("real", server.url("/hosts"))});
  REQUIRE(home.until([&] { return home.keeper->current()->name_count() > 0; }));
  CHECK(home.keeper->current()->name_count() == 42'358);
}
