// PlaceBook: where an address is, as far as the operator's databases tell (`geo`): its country and its AS.
//
// Immutable value in a snapshot; look-ups from any thread, without allocation.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ip_address.h"
#include "geo/country.h"
#include "geo/place_table.h"

namespace doline::geo {

class PlaceBook {
 public:
  /// Knows nothing.
  PlaceBook() = default;
  PlaceBook(std::optional<PlaceTable> countries, std::optional<PlaceTable> asns)
      : countries_(std::move(countries)), asns_(std::move(asns)) {}
  [[nodiscard]] bool knows_countries() const { return countries_.has_value(); }
  [[nodiscard]] bool knows_asns() const { return asns_.has_value(); }
  [[nodiscard]] Country country_of(const IpAddress& address) const {
    return countries_ ? Country::from_number(static_cast<std::uint16_t>(countries_->find(address))) : Country();
  }
  /// 0 where unknown.
  [[nodiscard]] std::uint32_t asn_of(const IpAddress& address) const { return asns_ ? asns_->find(address) : 0; }

 private:
  std::optional<PlaceTable> countries_, asns_;
};

}  // namespace doline::geo
