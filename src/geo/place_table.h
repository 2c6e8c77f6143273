// PlaceTable: one fact about addresses (their country, or the number of their AS), read from a MaxMind DB file.
//
// The file's search tree is walked once and becomes a sorted table of ranges: what is wrong with a file is found when
// it is read, in time and memory linear in its size whatever it holds, and no look-up touches the file again. (So it
// may be replaced or cut short while we run, which a mapped file may not.) Immutable value; look-ups from any thread,
// without allocation. The format: MaxMind DB File Format Specification, version 2.0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace doline::geo {

inline constexpr std::size_t place_file_octets_max = std::size_t{256} << 20;

/// What is read from the records of a file, whoever made it.
enum class PlaceKind : std::uint8_t {
  country, /* `country.iso_code`, `country_code` or `country`: two letters */
  asn      /* `autonomous_system_number` or `asn`: a number, or `AS15169` */
};

class PlaceTable {
 public:
  /// The fault is the end of a sentence: `is no MaxMind DB file`.
  static Result<PlaceTable, std::string> read(std::span<const std::uint8_t> file, PlaceKind kind);
  /// Country::number() or the AS number; 0 where unknown.
  [[nodiscard]] std::uint32_t find(const IpAddress& address) const;
  /// Neighbours with the same value count as one.
  [[nodiscard]] std::size_t range_count() const { return v4_begins_.size() + v6_begins_.size(); }

 private:
  using Begin = std::array<std::uint64_t, 2>;  // an address as two numbers
  friend class PlaceFile;

  // Ranges by their first address, ascending; each ends where the next begins. The first begins at 0.
  std::vector<std::uint32_t> v4_begins_, v4_values_;
  std::vector<Begin> v6_begins_;
  std::vector<std::uint32_t> v6_values_;
};

}  // namespace doline::geo
