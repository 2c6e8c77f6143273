#include "device/vendor_table.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "unit/device/real_file.h"

using doline::device::MacAddress;
using doline::device::VendorTable;

namespace {

VendorTable read(const std::vector<std::string_view>& files) {
  return VendorTable::read(files);
}
std::string_view vendor(const VendorTable& table, const char* mac) {
  return table.find(*MacAddress::parse(mac));
}

constexpr std::string_view oui =
    "Registry,Assignment,Organization Name,Organization Address\r\n"
    "MA-L,94513D,\"iSmart Alarm, Inc.\",1290 Kifer Road Suite 306 Sunnyvale CA US 94086 \r\n"
    "MA-L,70B3D5,IEEE Registration Authority,445 Hoes Lane Piscataway NJ US 08554 \r\n"
    "MA-L,741AE0,IEEE Registration Authority,445 Hoes Lane Piscataway NJ US 08554 \r\n"
    "MA-L,0050C2,Example of 24 bits,\r\n"
    "MA-L,94513D,Somebody else later,\r\n";
constexpr std::string_view mam = "MA-M,741AE09,Private,\r\nMA-M,741AE0A,Example of 28 bits,\"two\nlines\"\r\n";
constexpr std::string_view oui36 = "MA-S,70B3D5F2F,TELEPLATFORMS,\"Polbina st., 3/1 Moscow  RU 109388 \"\r\n";
constexpr std::string_view iab = "IAB,0050C27D5,\"DEUTA-WERKE  \"\"GmbH\"\"\",Paffrather Strasse 140 \r\n";

}  // namespace

TEST_CASE("a vendor is found by the longest prefix that is listed") {
  const auto table = read({oui, mam, oui36, iab});
  CHECK(table.size() == 8);
  CHECK(vendor(table, "94:51:3d:13:9a:35") == "iSmart Alarm, Inc.");
  CHECK(vendor(table, "00:50:c2:7d:51:23") == "DEUTA-WERKE \"GmbH\"");
  CHECK(vendor(table, "00:50:c2:7d:61:23") == "Example of 24 bits");
  CHECK(vendor(table, "70:b3:d5:f2:f1:23") == "TELEPLATFORMS");
  CHECK(vendor(table, "74:1a:e0:a1:23:45") == "Example of 28 bits");
}

TEST_CASE("who keeps its name private, or only hands prefixes on, is no vendor") {
  const auto table = read({oui, mam, oui36, iab});
  CHECK(vendor(table, "74:1a:e0:91:23:45").empty());
  CHECK(vendor(table, "70:b3:d5:00:01:23").empty());
}

TEST_CASE("a MAC that a device made up has no vendor, nor has one that nobody was given") {
  const auto table = read({"MA-L,96513D,Example,\n", oui});
  CHECK(vendor(table, "96:51:3d:13:9a:35").empty());
  CHECK(vendor(table, "00:00:00:13:9a:35").empty());
  CHECK(vendor(VendorTable{}, "94:51:3d:13:9a:35").empty());
}

TEST_CASE("lines that are none of a vendor file are passed over") {
  const auto table = read({"", "\n\n,,,\nMA-L\nMA-L,94513D\nMA-L,xyz,A,\nMA-L,94513D1,B,\nMA-L,94513,C,\n\"", oui});
  CHECK(vendor(table, "94:51:3d:23:9a:35") == "iSmart Alarm, Inc.");
  CHECK(vendor(table, "94:51:3d:13:9a:35") == "B");
}

TEST_CASE("a long name is cut between two characters") {
  const std::string line = "MA-L,94513D," + std::string(63, 'x') + "\u00e4,\n";
  CHECK(vendor(read({line}), "94:51:3d:13:9a:35") == std::string(63, 'x'));
}

TEST_CASE("the IEEE's own files are read and stay small") {
  std::vector<std::string> texts;
  for (const char* name : {"oui/oui.csv", "oui/mam.csv", "oui/oui36.csv", "oui/iab.csv"}) {
    auto text = read_real_file(name);
    if (!text) return;
    texts.push_back(std::move(*text));
  }
  const auto table = VendorTable::read(std::vector<std::string_view>(texts.begin(), texts.end()));
  CHECK(table.size() > 51'900);
  CHECK(table.octets() < 2'000'000);
  CHECK(vendor(table, "94:51:3d:13:9a:35") == "iSmart Alarm, Inc.");
  CHECK(vendor(table, "b8:27:eb:00:50:53") == "Raspberry Pi Foundation");
  CHECK(vendor(table, "70:b3:d5:f2:f1:23") == "TELEPLATFORMS");
  CHECK(vendor(table, "40:d8:55:11:c0:01") == "DEUTA-WERKE GmbH");
  CHECK(vendor(table, "20:85:93:b0:00:01") == "IOG Products LLC");
}
