#include "control/exemption_book.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "temporary_folder.h"

using namespace doline;
using namespace doline::control;
using nlohmann::json;
using policy::Exemption;

namespace {

constexpr WallTime noon{std::chrono::seconds(1'800'000'000)};

ExemptionBook open(const std::filesystem::path& file, WallTime now = noon) {
  std::string complaint;
  ExemptionBook book(file, now, complaint);
  CHECK(complaint == "");
  return book;
}

std::shared_ptr<const device::Roster> roster() {
  device::RosterBuilder builder;
  builder.add_group({"kids", {}, {}});
  device::DeviceSettings tablet;
  tablet.name = "tablet";
  tablet.addresses = {*IpPrefix::parse("192.168.1.30")};
  builder.add_device(tablet);
  return builder.build();
}

}  // namespace

TEST_CASE("What is set aside outlives a restart, until it ends") {
  const tests::TemporaryFolder folder;
  const auto file = folder / "exemptions.json";
  {
    ExemptionBook book = open(file);
    REQUIRE(book.add({"tablet", "", dns::Name::parse("shop.example")->lowered(), noon + std::chrono::hours(1)}));
    REQUIRE(book.add({"", "kids", {}, noon + std::chrono::minutes(15)}));
    REQUIRE(book.add({"", "", {}, {}}));
  }
  ExemptionBook again = open(file);
  REQUIRE(again.all().size() == 3);
  CHECK(again.all()[0].name->to_string() == "shop.example");
  CHECK(again.next_end() == noon + std::chrono::minutes(15));
  CHECK_FALSE(again.end_until(noon));
  CHECK(again.end_until(noon + std::chrono::minutes(15)));
  CHECK(again.all().size() == 2);
  CHECK(open(file, noon + std::chrono::hours(2)).all().size() == 1);
}

TEST_CASE("The same again replaces, and is taken back by its target alone") {
  const tests::TemporaryFolder folder;
  ExemptionBook book = open(folder / "exemptions.json");
  REQUIRE(book.add({"tablet", "", {}, noon + std::chrono::hours(1)}));
  REQUIRE(book.add({"tablet", "", {}, noon + std::chrono::hours(2)}));
  REQUIRE(book.add({"tablet", "", *dns::Name::parse("a.example"), {}}));
  REQUIRE(book.all().size() == 2);
  CHECK(book.next_end() == noon + std::chrono::hours(2));
  CHECK(book.remove({"tablet", "", {}, {}}) == 1);
  CHECK(book.remove({"tablet", "", {}, {}}) == 0);
  CHECK(book.remove_all() == 1);
}

TEST_CASE("A damaged file is told, and what is malformed in a good one passed over") {
  const tests::TemporaryFolder folder;
  std::string complaint;
  const ExemptionBook damaged(folder.write("damaged", "{"), noon, complaint);
  CHECK(complaint.find("is damaged") != std::string::npos);
  CHECK(damaged.all().empty());
  const auto file =
      folder.write("odd", R"([1, {"until": "x"}, {"until": -1}, {"name": "a..b", "until": null}, {"until": null}])");
  CHECK(open(file).all().size() == 1);
}

TEST_CASE("A request names a device as people do, and what nobody knows is said with the nearest that is known") {
  const auto known = roster();
  const auto by_address = read_request({{"device", "192.168.1.30"}, {"seconds", 60}}, *known, noon);
  REQUIRE(by_address.has_value());
  CHECK(by_address->device == "tablet");
  CHECK(by_address->until == noon + std::chrono::seconds(60));
  const auto unknown = read_request({{"device", "tablett"}}, *known, noon);
  REQUIRE_FALSE(unknown.has_value());
  CHECK(unknown.error() == "There is no device 'tablett'; did you mean 'tablet'?");
  CHECK_FALSE(read_request({{"group", "kid"}}, *known, noon).has_value());
  CHECK_FALSE(read_request({{"device", "tablet"}, {"group", "kids"}}, *known, noon).has_value());
  CHECK_FALSE(read_request({{"name", "a..b"}}, *known, noon).has_value());
  CHECK(read_request({{"name", "*.ads.example"}}, *known, noon).error() ==
        "'*.ads.example' is not a domain name; all below a name is meant too: ads.example.");
  CHECK(read_request({{"name", "пример.рф"}}, *known, noon).error().find("xn--") != std::string::npos);
  CHECK(read_request({{"name", "Shop.Example"}}, *known, noon)->name->to_string() == "shop.example");
  CHECK_FALSE(read_request(json::object(), *known, noon)->until.has_value());
}
