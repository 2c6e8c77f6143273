#include "redirect/admission.h"

#include <doctest/doctest.h>

#include <vector>

using namespace doline;
using namespace doline::redirect;

namespace {

const device::MacAddress camera = *device::MacAddress::parse("94:51:3d:13:9a:35");

const std::vector<Admission> admissions{
    {.ticket = 1,
     .purpose = Purpose::connect,
     .ttl_seconds = 300,
     .devices = {camera, *device::MacAddress::parse("02:d0:11:00:50:32")},
     .addresses = {IpAddress::v4(120, 24, 59, 150), *IpAddress::parse("2001:db8:beef::1")}},
    {.ticket = 0xffffffff,
     .purpose = Purpose::doh,
     .ttl_seconds = 0xffffffff,
     .devices = {},
     .addresses = {IpAddress::v4(9, 9, 9, 9)}},
};

Admission of_size(std::size_t size) {
  return {.purpose = Purpose::connect, .devices = {camera}, .addresses = std::vector<IpAddress>(size)};
}

}  // namespace

TEST_CASE("An address stays reachable for its TTL and a while, less how long ago it was said") {
  CHECK(time_left({.purpose = Purpose::connect, .ttl_seconds = 300, .devices = {}, .addresses = {}}) ==
        seconds(300) + admission_grace);
  CHECK(time_left({.purpose = Purpose::connect, .ttl_seconds = 0, .devices = {}, .addresses = {}}) ==
        admission_min + admission_grace);
  CHECK(time_left(
            {.purpose = Purpose::connect, .ttl_seconds = 300, .age_seconds = 200, .devices = {}, .addresses = {}}) ==
        seconds(100) + admission_grace);
  CHECK(time_left(
            {.purpose = Purpose::connect, .ttl_seconds = 300, .age_seconds = 1'000, .devices = {}, .addresses = {}}) <
        seconds(0));
  CHECK(time_left({.purpose = Purpose::connect, .ttl_seconds = 0xffffffff, .devices = {}, .addresses = {}}) ==
        admission_max + admission_grace);
}

TEST_CASE("Admissions and their answers come out as they went in") {
  CHECK(parse_admissions(write_admissions(admissions)) == admissions);
  CHECK(parse_admissions(write_admissions({}))->empty());
  const std::vector<AdmissionAnswer> answers{{1, true}, {0xffffffff, false}};
  CHECK(parse_admission_answers(write_admission_answers(answers)) == answers);
}

TEST_CASE("A message holds so many admissions, and so many elements of all") {
  CHECK(count_that_fit(std::vector<Admission>(admissions_per_message + 1, of_size(1))) == admissions_per_message);
  CHECK(count_that_fit(std::vector{of_size(admitted_per_message)}) == 1);
  CHECK(count_that_fit(std::vector{of_size(1), of_size(admitted_per_message)}) == 1);
  Admission wide = of_size(admitted_per_message / 2 + 1);
  wide.devices.push_back(camera);
  CHECK(count_that_fit(std::vector{wide}) == 0);

  auto octets = write_admissions(std::vector{of_size(admitted_per_message)});
  CHECK(parse_admissions(octets));
  // The same with a second admission behind it.
  ++octets[1];
  const auto more = write_admissions(std::vector{of_size(1)});
  octets.insert(octets.end(), more.begin() + 2, more.end());
  CHECK_FALSE(parse_admissions(octets));
}

TEST_CASE("What is cut short or too long is malformed") {
  auto asked = write_admissions(admissions);
  for (std::size_t length = 0; length < asked.size(); ++length)
    CHECK_FALSE(parse_admissions(std::span(asked).first(length)));
  asked.push_back(0);
  CHECK(parse_admissions(asked).error() == MessageFault::malformed);
  auto told = write_admission_answers(std::vector<AdmissionAnswer>{{7, true}});
  for (std::size_t length = 0; length < told.size(); ++length)
    CHECK_FALSE(parse_admission_answers(std::span(told).first(length)));
  told.push_back(0);
  CHECK(parse_admission_answers(told).error() == MessageFault::malformed);
}

TEST_CASE("Only addresses beyond this link and host can be admitted") {
  for (const char* yes : {"120.24.59.150", "10.8.0.1", "2001:db8::1", "fd00::1"})
    CHECK(may_be_admitted(*IpAddress::parse(yes)));
  for (const char* no :
       {"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.251", "255.255.255.255", "::", "::1", "fe80::1", "ff02::fb"})
    CHECK_FALSE(may_be_admitted(*IpAddress::parse(no)));
}
