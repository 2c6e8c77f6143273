// Lease files: any text is read without harm, and what comes out is fit for a roster and a terminal.
#include "device/lease_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"

using doline::check;
using doline::WallTime;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto reading = doline::device::read_leases(text, WallTime(std::chrono::seconds(1'700'000'000)));
  check(reading.format || reading.sightings.empty());
  check(reading.sightings.size() <= doline::device::leases_max);
  check(reading.problems.size() <= doline::device::lease_problems_max);
  doline::device::RosterBuilder builder;
  for (const auto& sighting : reading.sightings) {
    check(!sighting.mac.is_zero());
    check(sighting.hostname.size() <= doline::device::hostname_octets_max);
    check(std::all_of(sighting.hostname.begin(), sighting.hostname.end(),
                      [](char letter) { return letter > ' ' && letter < 0x7f; }));
    builder.add_sighting(sighting, "");
  }
  for (const auto& problem : reading.problems) check(problem.line >= 1 && !problem.what.empty());
  check(builder.build()->devices().size() <= reading.sightings.size() + 1);
  return 0;
}
