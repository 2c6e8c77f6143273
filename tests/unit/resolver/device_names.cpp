#include "resolver/device_names.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace doline;
using namespace doline::resolver;
using response::LocalRecords;

namespace {

dns::Name name_of(const std::string& text) {
  return *dns::Name::parse(text);
}

/// Each device of its own MAC.
class Home {
 public:
  void lease(const char* address, const char* hostname) {
    const std::string mac = "02:00:00:00:00:" + std::to_string(10 + seen_++);
    builder_.add_sighting({*IpAddress::parse(address), *device::MacAddress::parse(mac), hostname}, "");
  }
  void configure(const char* name, const char* address) {
    device::DeviceSettings settings;
    settings.name = name;
    settings.addresses.push_back(*IpPrefix::parse(address));
    builder_.add_device(settings);
  }
  void write(const char* name, const char* address) {
    written_.push_back({name_of(name), false, {response::address_record(*IpAddress::parse(address))}});
  }
  /// The addresses and names that are found, one after the other.
  std::string find(const std::string& name) {
    LocalRecords::Builder builder;
    builder.add_source(written_);
    name_devices(*builder_.build(), name_of("home.arpa"), builder);
    const auto all = builder.build();
    std::string text;
    if (!all) return text;
    for (const response::LocalRecord& record : all->find(name_of(name))) {
      if (!text.empty()) text += ' ';
      text += record.type == dns::RecordType::ptr ? dns::Name::from_wire(record.rdata)->to_string()
                                                  : IpAddress::from_octets(record.rdata).to_string();
    }
    return text;
  }

 private:
  device::RosterBuilder builder_;
  std::vector<response::LocalName> written_;
  int seen_ = 0;
};

}  // namespace

TEST_CASE("A leased host name leads to its address, alone and in the local domain, and back") {
  Home home;
  home.lease("192.168.1.20", "Laptop");
  CHECK(home.find("laptop") == "192.168.1.20");
  CHECK(home.find("laptop.home.arpa") == "192.168.1.20");
  CHECK(home.find("20.1.168.192.in-addr.arpa") == "laptop.home.arpa");
}

TEST_CASE("A configured device has its name, where that is a label") {
  Home home;
  home.configure("tv", "192.168.1.30");
  home.configure("Kid's tablet", "192.168.1.31");
  CHECK(home.find("tv.home.arpa") == "192.168.1.30");
  CHECK(home.find("31.1.168.192.in-addr.arpa").empty());
}

TEST_CASE("What a device calls itself takes nobody's name") {
  Home home;
  home.write("nas.home.arpa", "192.168.1.10");
  home.write("printer", "192.168.1.11");
  home.configure("tv", "192.168.1.30");
  home.lease("192.168.1.66", "nas");
  home.lease("192.168.1.67", "printer");
  home.lease("192.168.1.69", "tv");
  int host = 70;
  for (const char* name : {"wpad", "isatap", "localhost", "www.example", "a_b", "-a", "1"})
    home.lease(("192.168.1." + std::to_string(host++)).c_str(), name);
  CHECK(home.find("nas").empty());
  CHECK(home.find("nas.home.arpa") == "192.168.1.10");
  CHECK(home.find("printer") == "192.168.1.11");
  CHECK(home.find("printer.home.arpa").empty());
  CHECK(home.find("tv") == "192.168.1.30");
  for (const char* name : {"wpad", "wpad.home.arpa", "isatap", "localhost", "www.example", "a_b", "-a", "1"})
    CHECK_MESSAGE(home.find(name).empty(), name);
}

TEST_CASE("Of two devices with one host name the first has it") {
  Home home;
  home.lease("192.168.1.20", "phone");
  home.lease("192.168.1.21", "phone");
  CHECK((home.find("phone") == "192.168.1.20" || home.find("phone") == "192.168.1.21"));
}

TEST_CASE("Addresses that only a link knows are nobody's name") {
  Home home;
  home.lease("fe80::1", "tablet");
  CHECK(home.find("tablet").empty());
}
