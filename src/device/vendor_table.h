// VendorTable: who made a device, by the prefix of its MAC, as the IEEE lists it (Debian: ieee-data).
//
// Immutable value, a few hundred kilobytes for all of the IEEE's files: sorted keys and one pool of names. Whoever
// builds rosters owns it; look-ups from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/mac_address.h"

namespace doline::device {

inline constexpr std::size_t vendors_max = 1'000'000;  ///< lines over all files
inline constexpr std::size_t vendor_name_octets_max = 64;

class VendorTable {
 public:
  /// The texts of oui.csv, mam.csv, oui36.csv and iab.csv, in any order and number: each line's digits say which prefix
  /// it is. What is no line of such a file is passed over.
  static VendorTable read(std::span<const std::string_view> files);
  /// By the longest prefix (36, 28, then 24 bits); empty where nobody has it, it is private, or the device made the MAC
  /// up. Borrowed from the table.
  [[nodiscard]] std::string_view find(const MacAddress& mac) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t octets() const;  ///< of memory

 private:
  struct Block {  // all prefixes of one length, sorted
    int bits = 0;
    std::vector<std::uint64_t> prefixes;
    std::vector<std::uint32_t> names;  // where in pool_
  };
  std::array<Block, 3> blocks_{Block{36, {}, {}}, Block{28, {}, {}}, Block{24, {}, {}}};
  std::string pool_;  // each name behind its length octet
};

}  // namespace doline::device
