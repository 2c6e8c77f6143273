#include "flows/fair_share.h"

#include <doctest/doctest.h>

using namespace doline;
using namespace doline::flows;

namespace {

const Holder camera = Holder::of(*device::MacAddress::parse("94:51:3d:13:9a:35"));
const Holder phone = Holder::of(*device::MacAddress::parse("02:d0:11:00:50:32"));
const MonotonicTime start{seconds(1'000)};

std::uint32_t taken_of(FairShare& shares, const Holder& holder, std::uint32_t tries, MonotonicTime at) {
  std::uint32_t taken = 0;
  for (std::uint32_t i = 0; i < tries; ++i) taken += shares.take(holder, at) ? 1 : 0;
  return taken;
}

}  // namespace

TEST_CASE("A device that scans a /16 has its burst, and leaves the others theirs") {
  FairShare shares;
  CHECK(taken_of(shares, camera, 65'536, start) == connections_at_once);
  CHECK(taken_of(shares, phone, 1'000, start) == 1'000);
  CHECK(shares.left_out() == 65'536 - connections_at_once);
  REQUIRE(shares.most());
  CHECK((shares.most()->holder == camera));
  CHECK(shares.most()->connections == shares.left_out());
}

TEST_CASE("What it may do comes back with time, up to a burst, and a clock that steps back gives nothing") {
  FairShare shares;
  REQUIRE(taken_of(shares, camera, connections_at_once, start) == connections_at_once);
  CHECK_FALSE(shares.take(camera, start + milliseconds(999)));
  CHECK(taken_of(shares, camera, 100, start + seconds(2)) == 2 * connections_a_second);
  CHECK_FALSE(shares.take(camera, start));
  CHECK_FALSE(shares.take(camera, start + seconds(2)));
  CHECK(taken_of(shares, camera, 100'000, start + seconds(100'000)) == connections_at_once);
}

TEST_CASE("Memory is bounded: devices without number share one share, and who was quiet is forgotten") {
  FairShare shares;
  const auto stranger = [](std::uint32_t number) {
    return Holder::of(IpAddress::v4(10, static_cast<std::uint8_t>(number >> 16), static_cast<std::uint8_t>(number >> 8),
                                    static_cast<std::uint8_t>(number)));
  };
  std::uint32_t taken = 0;
  for (std::uint32_t number = 0; number < 100'000; ++number) taken += shares.take(stranger(number), start) ? 1 : 0;
  CHECK(taken == sharers_max + connections_at_once);
  CHECK(shares.take(stranger(7), start));  // it has its own
  shares.prune(start + seconds(3'600));
  CHECK(taken_of(shares, stranger(99'999), 10, start + seconds(3'600)) == 10);
}
