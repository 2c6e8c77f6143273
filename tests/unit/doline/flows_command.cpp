#include "doline/flows_command.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "../querylog/samples.h"
#include "doline/exit_status.h"
#include "querylog/store.h"

using namespace doline;
using namespace doline::querylog::samples;
using querylog::FlowEntry;

namespace {

struct Said {
  int status = 0;
  std::string out, err;
};

Said run(const Folder& folder, FlowsArguments arguments) {
  arguments.database = folder.path() / "doline.db";
  const KnownAddresses known{geo::ResolverBook::read("address,operator,country,protocols,hostname,note\n"
                                                     "8.8.8.8,Google,US,dot+doh,dns.google,\n")
                                 .book,
                             {}};
  const WallClock clock(morning + seconds(60));
  std::ostringstream out, err;
  const int status = run_flows(arguments, known, clock, out, err);
  return {status, out.str(), err.str()};
}

/// A camera that connects without a lookup, twice, and asks a resolver of encrypted DNS.
void fill(const Folder& folder) {
  auto store = querylog::Store::open(folder.path() / "doline.db", milliseconds(1'000));
  REQUIRE(store);
  REQUIRE((*store)->begin());
  querylog::Identity identity;
  identity.name = "camera";
  identity.mac = device::MacAddress::parse("94:51:3d:13:9a:35");
  FlowEntry entry;
  entry.device = (*store)->device(identity).value();
  entry.client = (*store)->endpoint({address("192.168.50.31"), 0}).value();
  entry.protocol = IPPROTO_UDP;
  entry.explanation = flows::Explanation::without_lookup;
  entry.destination = (*store)->endpoint({address("120.24.59.150"), 0}).value();
  entry.port = 10'240;
  entry.traffic = flows::Traffic{1, 128, 0, 0};
  for (const int after : {0, 10}) {
    entry.time = (morning + seconds(after)).time_since_epoch().count();
    REQUIRE((*store)->insert(entry));
  }
  entry.traffic.reset();
  entry.kind = flows::Kind::encrypted_dns;
  entry.explanation = flows::Explanation::resolver;
  entry.destination = (*store)->endpoint({address("8.8.8.8"), 0}).value();
  entry.port = 853;
  REQUIRE((*store)->insert(entry));
  REQUIRE((*store)->commit());
}

}  // namespace

TEST_CASE("connections are shown oldest first, as queries are, with what explains them") {
  const Folder folder;
  fill(folder);
  const Said said = run(folder, {});
  CHECK(said.status == exit_ok);
  CHECK(said.out.find("94:51:3d:13:9a:35") != std::string::npos);
  CHECK(said.out.find("120.24.59.150:10240") != std::string::npos);
  CHECK(said.out.find("WITHOUT LOOKUP") != std::string::npos);
  CHECK(said.out.find("encrypted DNS to dns.google") != std::string::npos);
  CHECK(said.out.find("120.24.59.150") < said.out.find("8.8.8.8:853"));
  FlowsArguments newest;
  newest.limit = 2;
  const std::string two = run(folder, newest).out;
  CHECK(two.find("120.24.59.150") < two.find("8.8.8.8:853"));
  CHECK(two.find("8.8.8.8:853") < two.size());
  CHECK(two.find("120.24.59.150") == two.rfind("120.24.59.150"));
}

TEST_CASE("as JSON a line for each, and what was not counted is null") {
  const Folder folder;
  fill(folder);
  FlowsArguments arguments;
  arguments.json = true;
  std::istringstream lines(run(folder, arguments).out);
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  REQUIRE(rows.size() == 3);
  CHECK(rows[2]["operator"] == "Google");
  CHECK(rows[2]["octets_out"].is_null());
  CHECK(rows[1]["octets_out"] == 128);
  CHECK(rows[1]["explanation"] == "without lookup");
  CHECK(rows[1]["port"] == 10'240);
  CHECK(rows[1]["mac"] == "94:51:3d:13:9a:35");
  CHECK(rows[1]["name"].is_null());
}

TEST_CASE("the summary counts, and begins with what nothing explains") {
  const Folder folder;
  fill(folder);
  FlowsArguments arguments;
  arguments.summary = arguments.json = true;
  std::istringstream lines(run(folder, arguments).out);
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  CHECK(first["connections"] == 2);
  CHECK(first["octets_out"] == 256);
  CHECK(first["address"] == "120.24.59.150");
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line)["octets_out"].is_null());
  CHECK_FALSE(std::getline(lines, line));
}

TEST_CASE("a wrong word of the command line is told, and nothing found is no error") {
  const Folder folder;
  fill(folder);
  FlowsArguments arguments;
  arguments.addresses = {"dns.google"};
  CHECK(run(folder, arguments).status == exit_wrong_usage);
  CHECK(run(folder, arguments).err.find("--address dns.google: no IP address") != std::string::npos);
  arguments.addresses = {"192.0.2.1"};
  CHECK(run(folder, arguments).status == exit_no);
  CHECK(run(folder, arguments).err.find("`flows: {watch: true}`") != std::string::npos);
  arguments.is_watched = true;
  CHECK(run(folder, arguments).err == "Nothing found in " + (folder.path() / "doline.db").string() + ".\n");
  arguments.addresses.clear();
  arguments.since = "soon";
  CHECK(run(folder, arguments).status == exit_wrong_usage);
  FlowsArguments limited;
  limited.limit = 1;
  limited.without_lookup = true;
  CHECK(run(folder, limited).status == exit_ok);
  CHECK(run(Folder(), {}).status == exit_no_input);
}
