#include "doline/port_map.h"

#include <doctest/doctest.h>

#include <fstream>

#include "temporary_folder.h"

using namespace doline;

namespace {

config::Settings listed_in(const std::filesystem::path& file) {
  config::Settings settings;
  settings.fixed.maps_listed = true;
  settings.fixed.listen = {{IpAddress::v4(0, 0, 0, 0), 53}};
  settings.live.resolver_list = file;
  return settings;
}

constexpr const char* header = "address,operator,country,protocols,hostname,note,port\n";

}  // namespace

TEST_CASE("Ports that are written by hand are those, and no file is read") {
  config::Settings settings;
  settings.fixed.port_map = {{20001, IpAddress::v4(8, 8, 8, 8)}};
  settings.live.resolver_list = "/does/not/exist";
  const PortMap map = find_port_map(settings);
  CHECK(map.ports == settings.fixed.port_map);
  CHECK(map.problems.empty());
}

TEST_CASE("Listed ports are the file's, by number, what has none is counted once, and what is taken is told") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "resolvers.csv";
  std::ofstream(file) << header << "8.8.8.8,Google,US,plain,,,29202\n2620:fe::fe,Quad9,CH,plain,,,29201\n"
                      << "1.1.1.1,Cloudflare,US,plain,,,\n1.0.0.1,Cloudflare,US,plain,,\n9.9.9.9,Quad9,CH,plain,,,53\n"
                      << "127.0.0.1,Nobody,US,plain,,,29203\n";
  const PortMap map = find_port_map(listed_in(file));
  CHECK(map.ports ==
        std::vector<device::MappedPort>{{29201, *IpAddress::parse("2620:fe::fe")}, {29202, IpAddress::v4(8, 8, 8, 8)}});
  REQUIRE(map.problems.size() == 2);
  CHECK(map.problems[0] ==
        "redirect.port_map: port 53, which " + file.native() + " gives to 9.9.9.9, is Doline's own already");
  CHECK(map.problems[1] == "redirect.port_map: 2 of 6 resolvers in " + file.native() + " have no port");
}

TEST_CASE("No more ports than are let be, and without the file none") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "resolvers.csv";
  std::ofstream csv(file);
  csv << header;
  for (std::size_t i = 0; i <= device::mapped_ports_max; ++i)
    csv << "8.8." << i / 256 << '.' << i % 256 << ",Google,US,plain,,," << 29'200 + i << '\n';
  csv.close();
  const PortMap map = find_port_map(listed_in(file));
  CHECK(map.ports.size() == device::mapped_ports_max);
  CHECK(map.ports.back().port == 29'200 + device::mapped_ports_max - 1);
  REQUIRE(map.problems.size() == 1);
  CHECK(map.problems[0].find("of which the first 1024 are used") != std::string::npos);

  const PortMap none = find_port_map(listed_in(folder.path() / "missing.csv"));
  CHECK(none.ports.empty());
  REQUIRE(none.problems.size() == 1);
  CHECK(none.problems[0].find("missing.csv") != std::string::npos);
}

TEST_CASE("Every resolver that is shipped has its port") {
  const PortMap map = find_port_map(listed_in(DOLINE_SOURCE_DIR "/blocklists/resolvers.csv"));
  CHECK(map.problems.empty());
  CHECK(map.ports.size() >= 400);
}
