// MaxMind DB files of a test's own: written to the format's specification, small, with IPv4 and IPv6.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.h"

namespace doline::tests {

/// Where the addresses of a prefix are. Given later, a narrower one wins.
struct Place {
  IpPrefix prefix;
  std::string country;    ///< empty: not told
  std::uint32_t asn = 0;  ///< 0: not told
};

class PlaceFileWriter {
 public:
  std::string write(const std::vector<Place>& places) {
    for (const Place& place : places) insert(place.prefix, 1 + record(place));
    std::string tree;
    const auto count = static_cast<std::uint32_t>(nodes_.size());
    for (const auto& node : nodes_)
      for (const Child& child : node) {
        std::uint32_t value = count;
        if (child.node) value = *child.node;
        if (child.record > 0) value = count + 16 + offsets_[child.record - 1];
        tree += {static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)};
      }
    std::string metadata = map(9);
    metadata += text("node_count") + number(count) + text("record_size") + number(24);
    metadata += text("ip_version") + number(6) + text("binary_format_major_version") + number(2);
    metadata += text("binary_format_minor_version") + number(0) + text("build_epoch") + number(1'700'000'000);
    metadata += text("database_type") + text("Test") + text("languages") +
                std::string(
                    "\x01\x04\x02"
                    "en",
                    5);
    metadata += text("description") + map(1) + text("en") + text("made for a test");
    return tree + std::string(16, '\0') + data_ + "\xab\xcd\xefMaxMind.com" + metadata;
  }

 private:
  struct Child {
    std::optional<std::uint32_t> node;
    std::size_t record = 0;  // 0: none
  };

  static std::string map(std::size_t entries) { return {static_cast<char>(7 << 5 | entries)}; }
  static std::string text(std::string_view what) {
    if (what.size() < 29) return static_cast<char>(2 << 5 | what.size()) + std::string(what);
    return std::string({static_cast<char>(2 << 5 | 29), static_cast<char>(what.size() - 29)}) + std::string(what);
  }
  static std::string number(std::uint32_t value) {
    return {static_cast<char>(6 << 5 | 4), static_cast<char>(value >> 24), static_cast<char>(value >> 16),
            static_cast<char>(value >> 8), static_cast<char>(value)};
  }

  std::size_t record(const Place& place) {
    offsets_.push_back(static_cast<std::uint32_t>(data_.size()));
    data_ += map((place.country.empty() ? 0 : 1) + (place.asn == 0 ? 0 : 1));
    if (!place.country.empty()) data_ += text("country") + map(1) + text("iso_code") + text(place.country);
    if (place.asn != 0) data_ += text("autonomous_system_number") + number(place.asn);
    return offsets_.size() - 1;
  }

  void insert(const IpPrefix& prefix, std::size_t record) {
    const bool is_v4 = prefix.address().is_v4();
    const int length = prefix.length() + (is_v4 ? 96 : 0);
    std::uint32_t at = 0;
    for (int depth = 0; depth < length; ++depth) {
      int bit = 0;
      if (!is_v4 || depth >= 96)
        bit = prefix.address().mapped()[static_cast<std::size_t>(depth / 8)] >> (7 - depth % 8) & 1;
      const auto side = static_cast<std::size_t>(bit);
      if (depth + 1 == length) {
        nodes_[at][side] = {std::nullopt, record};
        return;
      }
      if (!nodes_[at][side].node) {
        const Child wider = nodes_[at][side];
        nodes_.push_back({wider, wider});
        nodes_[at][side] = {static_cast<std::uint32_t>(nodes_.size() - 1), 0};
      }
      at = *nodes_[at][side].node;
    }
  }

  std::vector<std::array<Child, 2>> nodes_{1};
  std::vector<std::uint32_t> offsets_;
  std::string data_;
};

/// Lines of `192.0.2.0/24 CN AS4134`, `2001:db8::/32 - AS7`.
inline std::vector<Place> read_places(std::string_view lines) {
  std::vector<Place> places;
  std::istringstream stream{std::string(lines)};
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string prefix, country, asn;
    if (!(words >> prefix)) continue;
    words >> country >> asn;
    Place place{*IpPrefix::parse(prefix), country == "-" ? "" : country, 0};
    if (asn.starts_with("AS")) place.asn = static_cast<std::uint32_t>(std::stoul(asn.substr(2)));
    places.push_back(place);
  }
  return places;
}

inline std::string place_file(std::string_view lines) {
  return PlaceFileWriter().write(read_places(lines));
}

}  // namespace doline::tests
