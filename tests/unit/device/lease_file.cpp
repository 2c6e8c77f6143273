#include "device/lease_file.h"

#include <doctest/doctest.h>

#include <string>

#include "unit/device/real_file.h"

using doline::WallTime;
using doline::device::LeaseFormat;
using doline::device::LeaseReading;
using doline::device::read_leases;
using doline::device::Sighting;
using doline::device::to_hostname;

namespace {

WallTime at(std::int64_t seconds_since_1970) {
  return WallTime(std::chrono::seconds(seconds_since_1970));
}
const WallTime now = at(1'700'000'000);

std::string show(const Sighting& sighting) {
  return sighting.address.to_string() + " " + sighting.mac.to_string() + " " + sighting.hostname;
}

/// All sightings, one a line.
std::string show(const LeaseReading& reading) {
  std::string text;
  for (const Sighting& sighting : reading.sightings) text += show(sighting) + "\n";
  return text;
}

}  // namespace

TEST_CASE("dnsmasq's leases are read, IPv6 by the MAC in the DUID") {
  const auto reading = read_leases(
      "1700000100 94:51:3d:13:9a:35 192.168.1.50 WYZE-BASE 01:94:51:3d:13:9a:35\n"
      "0 3e:11:22:33:44:55 192.168.1.51 * *\n"
      "1699999999 3e:11:22:33:44:56 192.168.1.52 gone *\n"
      "43200 3e:11:22:33:44:57 192.168.1.53 no-clock *\n"
      "duid 00:01:00:01:2a:bb:cc:dd:11:22:33:44:55:66\n"
      "1700000100 4711 fd00::50 WYZE-BASE 00:01:00:01:2a:bb:cc:dd:94:51:3d:13:9a:35\n"
      "1700000100 T4712 fd00::51 phone 00:03:00:01:3e:11:22:33:44:55\n"
      "1700000100 4713 fd00::52 opaque 00:02:00:00:ab:11:b0:3a\n",
      now);
  CHECK(reading.format == LeaseFormat::dnsmasq);
  CHECK(show(reading) ==
        "192.168.1.50 94:51:3d:13:9a:35 WYZE-BASE\n"
        "192.168.1.51 3e:11:22:33:44:55 \n"
        "192.168.1.53 3e:11:22:33:44:57 no-clock\n"
        "fd00::50 94:51:3d:13:9a:35 WYZE-BASE\n"
        "fd00::51 3e:11:22:33:44:55 phone\n");
  CHECK(reading.ended == 1);
  CHECK(reading.without_mac == 1);
  CHECK(reading.problems.empty());
}

TEST_CASE("a bad line is told with its number and the rest is used") {
  const auto reading = read_leases(
      "1700000100 94:51:3d:13:9a:35 192.168.1.50 camera *\r\n"
      "\r\n"
      "soon 94:51:3d:13:9a:35 192.168.1.51 camera *\r\n"
      "1700000100 94:51:3d:13:9a:35 192.168.1 camera *\r\n"
      "1700000100\r\n"
      "1700000100 3e:11:22:33:44:55 192.168.1.52 phone *",
      now);
  CHECK(reading.sightings.size() == 2);
  REQUIRE(reading.problems.size() == 3);
  CHECK(reading.problems[0].line == 3);
  CHECK(reading.problems[0].what == "the expiry is not a number");
  CHECK(reading.problems[1].line == 4);
  CHECK(reading.problems[1].what == "the third word is not an address");
  CHECK(reading.problems[2].line == 5);
}

TEST_CASE("Kea's leases are a journal: the last line of an address counts") {
  const auto reading = read_leases(
      "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n"
      "192.168.1.50,94:51:3d:13:9a:35,,3600,1700000100,1,0,0,camera,0,,0\n"
      "192.168.1.51,3e:11:22:33:44:55,,4294967295,1,1,0,0,phone.lan.,0,,0\n"
      "192.168.1.52,3e:11:22:33:44:56,,3600,1700000100,1,0,0,a&#x2cb,0,,0\n"
      "192.168.1.53,3e:11:22:33:44:57,,3600,1700000100,1,0,0,declined,1,,0\n"
      "192.168.1.54,3e:11:22:33:44:58,,3600,1700000100,1,0,0,released,0,,0\n"
      "192.168.1.54,3e:11:22:33:44:58,,0,1700000100,1,0,0,released,0,,0\n"
      "192.168.1.50,94:51:3d:13:9a:36,,3600,1700000200,1,0,0,moved,0,,0\n"
      "192.168.1.55,3e:11\n"
      "nowhere,3e:11:22:33:44:59,,3600,1700000100,1,0,0,x,0,,0\n",
      now);
  CHECK(reading.format == LeaseFormat::kea);
  CHECK(show(reading) ==
        "192.168.1.50 94:51:3d:13:9a:36 moved\n"
        "192.168.1.51 3e:11:22:33:44:55 phone.lan\n"
        "192.168.1.52 3e:11:22:33:44:56 a-b\n");
  CHECK(reading.ended == 2);
  REQUIRE(reading.problems.size() == 2);
  CHECK(reading.problems[0].line == 9);
  CHECK(reading.problems[1].line == 10);
}

TEST_CASE("Kea's IPv6 leases are read, delegated prefixes are not") {
  const auto reading = read_leases(
      "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,"
      "hostname,hwaddr,state,"
      "user_context,hwtype,hwaddr_source,pool_id\n"
      "fd00::50,00:03:00:01:94:51:3d:13:9a:35,3600,1700000100,1,1800,0,7,128,0,0,camera,,0,,,,0\n"
      "fd00:1::,00:03:00:01:94:51:3d:13:9a:35,3600,1700000100,1,1800,2,7,56,0,0,router,,0,,,,0\n"
      "fd00::51,00:02:00:00:ab:11,3600,1700000100,1,1800,0,7,128,0,0,phone,3e:11:22:33:44:55,0,,1,2,0\n",
      now);
  CHECK(reading.problems.empty());
  CHECK(show(reading) == "fd00::50 94:51:3d:13:9a:35 camera\nfd00::51 3e:11:22:33:44:55 phone\n");
}

TEST_CASE("ISC dhcpd's leases are a journal of blocks: the last of an address counts") {
  const auto reading = read_leases(
      "# The format of this file is documented in the dhcpd.leases(5) manual page.\n"
      "authoring-byte-order little-endian;\n"
      "server-duid \"\\000\\001{;\\\"\";\n"
      "lease 192.168.1.50 {\n"
      "  starts 2 2023/11/14 22:00:00;\n"
      "  ends 2 2023/11/14 22:13:21;   # a second from now\n"
      "  binding state active; next binding state free;\n"
      "  hardware ethernet 94:51:3d:13:9a:35;\n"
      "  uid \"\\001\\270'\\353{;\";\n"
      "  set vendor-class-identifier = \"x } y\";\n"
      "  on expiry { log (\"}\"); }\n"
      "  client-hostname \"WYZE-BASE\";\n"
      "}\n"
      "lease 192.168.1.51 { ends never; hardware ethernet 3e:11:22:33:44:55; client-hostname \"\"; }\n"
      "lease 192.168.1.52 { ends epoch 1699999999; # Tue\n hardware ethernet 3e:11:22:33:44:56; }\n"
      "lease 192.168.1.53 { binding state active; hardware ethernet 3e:11:22:33:44:57; }\n"
      "lease 192.168.1.53 { binding state free; hardware ethernet 3e:11:22:33:44:57; }\n"
      "failover peer \"x\" state { my state normal at 2 2023/11/14 22:00:00; }\n"
      "lease 192.168.1.54 { ends 2 2023/13/45 22:00:00; hardware ethernet 3e:11; }\n"
      "lease 192.168.1.55 { hardware ethernet",
      now);
  CHECK(reading.format == LeaseFormat::isc_dhcpd);
  CHECK(show(reading) == "192.168.1.50 94:51:3d:13:9a:35 WYZE-BASE\n192.168.1.51 3e:11:22:33:44:55 \n");
  CHECK(reading.ended == 2);
  CHECK(reading.without_mac == 1);
  REQUIRE(reading.problems.size() == 3);
  CHECK(reading.problems[0].line == 20);
  CHECK(reading.problems[0].what == "the time of the end cannot be read");
  CHECK(reading.problems[1].what == "the hardware address is not a MAC");
  CHECK(reading.problems[2].line == 21);
  CHECK(reading.problems[2].what == "the lease is not ended");
}

TEST_CASE("odhcpd's leases are read, both families") {
  const auto reading = read_leases(
      "192.168.1.50\tcamera\n"
      "# br-lan 94513d139a35 ipv4 camera 1700000100 c0a80132 32 192.168.1.50/32\n"
      "# br-lan 3e:11:22:33:44:55 ipv4 - -1 c0a80133 32 192.168.1.51/32\n"
      "# br-lan 000100012abbccdd94513d139a35 7c camera 1700000100 50 128 fd00::50/128 2001:db8::50/128\n"
      "# br-lan 000300013e1122334455 7c broken\\x20phone -1 51 128 fd00::51/128\n"
      "# br-lan 000300013e1122334455 7c router -1 60 56 2001:db8:0:100::/56\n"
      "# br-lan 000300013e1122334456 7c old 1699999999 52 128 fd00::52/128\n"
      "# something else\n",
      now);
  CHECK(reading.format == LeaseFormat::odhcpd);
  CHECK(show(reading) ==
        "192.168.1.50 94:51:3d:13:9a:35 camera\n"
        "192.168.1.51 3e:11:22:33:44:55 \n"
        "fd00::50 94:51:3d:13:9a:35 camera\n"
        "2001:db8::50 94:51:3d:13:9a:35 camera\n"
        "fd00::51 3e:11:22:33:44:55 \n");
  CHECK(reading.ended == 1);
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].line == 8);
}

TEST_CASE("an empty file has no leases and no problem, another kind of file is told") {
  CHECK_FALSE(read_leases("", now).format);
  CHECK(read_leases("\n \n", now).problems.empty());
  const auto reading = read_leases("{\"leases\": []}\n", now);
  CHECK_FALSE(reading.format);
  REQUIRE(reading.problems.size() == 1);
  CHECK(reading.problems[0].line == 1);
}

TEST_CASE("no more problems are told than help") {
  std::string text = "1700000100 94:51:3d:13:9a:35 192.168.1.50 camera *\n";
  for (int i = 0; i < 1'000; ++i) text += "nonsense\n";
  CHECK(read_leases(text, now).problems.size() == doline::device::lease_problems_max);
}

TEST_CASE("a host name is harmless whatever a client calls itself") {
  CHECK(to_hostname("WYZE-BASE") == "WYZE-BASE");
  CHECK(to_hostname("annas_phone.lan.") == "annas_phone.lan");
  CHECK(to_hostname("\x1b[31mred\x07") == "31mred");
  CHECK(to_hostname("M\xc3\xbcller's TV") == "M--ller-s-TV");
  CHECK(to_hostname("*").empty());
  CHECK(to_hostname("-").empty());
  CHECK(to_hostname("").empty());
  CHECK(to_hostname(std::string(300, 'x')).size() == doline::device::hostname_octets_max);
}

TEST_CASE("real lease files of every kind are read as their publishers say") {
  if (const auto text = read_real_file("leases/dnsmasq.leases")) {
    const auto reading = read_leases(*text, at(1'594'800'000));
    CHECK(show(reading) ==
          "10.10.10.1 de:ad:be:af:de:ad \n10.10.10.2 de:ad:be:af:de:ad deadbeaf\n10.10.10.3 de:ad:be:af:de:ad "
          "beafdeaf\n");
    CHECK(read_leases(*text, now).ended == 3);
  }
  if (const auto text = read_real_file("leases/isc-dhcpd-metal.leases")) {
    const auto reading = read_leases(*text, at(1'700'000'000));
    CHECK(reading.format == LeaseFormat::isc_dhcpd);
    CHECK(reading.problems.empty());
    CHECK(reading.sightings.size() + reading.ended + reading.without_mac == 121);
    CHECK(reading.sightings.size() == 1);
    CHECK(reading.without_mac == 3);  // their MACs were made zero before publication
  }
  if (const auto text = read_real_file("leases/kea-lease4.csv")) {
    const auto reading = read_leases(*text, at(1'600'000'000));
    CHECK(reading.format == LeaseFormat::kea);
    CHECK(reading.ended == 2);
    CHECK(reading.without_mac == 1);
    REQUIRE(reading.problems.size() == 1);  // hardware addresses of two octets, made for a test
    CHECK(reading.problems[0].line == 2);
  }
}
