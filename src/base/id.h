// Id: a strong integer. `using ListId = Id<struct ListTag, std::uint16_t>;` cannot be mixed up with a DeviceId.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace doline {

template <class Tag, class Rep = std::uint32_t>
struct Id {
  Rep value{};
  constexpr auto operator<=>(const Id&) const = default;
};

}  // namespace doline

template <class Tag, class Rep>
struct std::hash<doline::Id<Tag, Rep>> {
  std::size_t operator()(doline::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value); }
};
