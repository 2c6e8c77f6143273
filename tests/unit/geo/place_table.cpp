#include "geo/place_table.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "geo/country.h"
#include "place_file.h"

using namespace doline::geo;
using doline::IpAddress;

namespace {

std::span<const std::uint8_t> octets(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string country(const PlaceTable& table, const char* address) {
  return Country::from_number(static_cast<std::uint16_t>(table.find(*IpAddress::parse(address)))).to_string();
}

/// MaxMind's own test files, where they lie beside the checkout; empty: the test says that it is skipped.
std::filesystem::path real_files() {
  const char* shared = std::getenv("DOLINE_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(shared != nullptr ? shared : DOLINE_SOURCE_DIR "/../shared") / "data/geo/maxmind-test";
  if (std::filesystem::exists(folder)) return folder;
  MESSAGE("skipped: there is no data/geo/maxmind-test in DOLINE_SHARED");
  return {};
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

const std::string small =
    "192.0.2.0/24 CN AS4134\n"
    "192.0.2.128/25 DE\n"
    "198.51.100.7/32 - AS7\n"
    "2001:db8::/32 US AS15169\n"
    "2001:db8:1::/48 FR\n";

}  // namespace

TEST_CASE("an address has the country of the longest prefix, and none outside of all") {
  const std::string file = doline::tests::place_file(small);
  const auto table = PlaceTable::read(octets(file), PlaceKind::country);
  REQUIRE(table);
  CHECK(country(*table, "192.0.2.0") == "CN");
  CHECK(country(*table, "192.0.2.127") == "CN");
  CHECK(country(*table, "192.0.2.128") == "DE");
  CHECK(country(*table, "192.0.2.255") == "DE");
  CHECK(country(*table, "192.0.3.0").empty());
  CHECK(country(*table, "0.0.0.0").empty());
  CHECK(country(*table, "198.51.100.7").empty());
  CHECK(country(*table, "2001:db8::1") == "US");
  CHECK(country(*table, "2001:db8:1:ffff::1") == "FR");
  CHECK(country(*table, "2001:db8:2::") == "US");
  CHECK(country(*table, "2001:db9::").empty());
  CHECK(country(*table, "::").empty());
  CHECK(country(*table, "ffff::").empty());
}

TEST_CASE("the same file tells AS numbers where it has them") {
  const std::string file = doline::tests::place_file(small);
  const auto table = PlaceTable::read(octets(file), PlaceKind::asn);
  REQUIRE(table);
  CHECK(table->find(*IpAddress::parse("192.0.2.1")) == 4134);
  CHECK(table->find(*IpAddress::parse("192.0.2.129")) == 0);
  CHECK(table->find(*IpAddress::parse("198.51.100.7")) == 7);
  CHECK(table->find(*IpAddress::parse("198.51.100.8")) == 0);
  CHECK(table->find(*IpAddress::parse("2001:db8::1")) == 15169);
}

TEST_CASE("what is no such file, or has nothing of what is asked, is refused with a reason") {
  CHECK(PlaceTable::read(octets(""), PlaceKind::country).error() == "is no MaxMind DB file that can be read");
  CHECK(PlaceTable::read(octets("a text"), PlaceKind::country).error() == "is no MaxMind DB file that can be read");
  const std::string file = doline::tests::place_file("192.0.2.0/24 CN\n");
  CHECK(PlaceTable::read(octets(file), PlaceKind::asn).error() == "has no AS numbers in it");
  CHECK(PlaceTable::read(octets(file.substr(file.size() / 2)), PlaceKind::country).error() ==
        "is no MaxMind DB file that can be read");
}

TEST_CASE("MaxMind's own files are read as they say") {
  const auto folder = real_files();
  if (folder.empty()) return;
  const std::string countries = read_file(folder / "GeoLite2-Country-Test.mmdb");
  const auto table = PlaceTable::read(octets(countries), PlaceKind::country);
  REQUIRE(table);
  CHECK(country(*table, "81.2.69.160") == "GB");
  CHECK(country(*table, "89.160.20.112") == "SE");
  CHECK(country(*table, "2001:218::1") == "JP");
  CHECK(country(*table, "127.0.0.1").empty());
  const std::string asns = read_file(folder / "GeoLite2-ASN-Test.mmdb");
  const auto numbers = PlaceTable::read(octets(asns), PlaceKind::asn);
  REQUIRE(numbers);
  CHECK(numbers->find(*IpAddress::parse("1.128.0.0")) == 1221);
  CHECK(numbers->find(*IpAddress::parse("2600:6000::1")) == 237);
}

TEST_CASE("MaxMind's damaged files are refused or survived") {
  const auto folder = real_files();
  if (folder.empty()) return;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string file = read_file(entry.path());
    for (const PlaceKind kind : {PlaceKind::country, PlaceKind::asn})
      if (const auto table = PlaceTable::read(octets(file), kind); !table) CHECK_FALSE(table.error().empty());
    ++files;
  }
  CHECK(files > 30);
}
