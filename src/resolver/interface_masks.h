// InterfaceMasks: which of the interfaces that rules speak of a query came by. One worker's loop only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "policy/rule_book.h"

namespace doline::resolver {

inline constexpr std::size_t interfaces_known_max = 256;

class InterfaceMasks {
 public:
  /// `name_of`: of an interface by its index; empty where there is none.
  explicit InterfaceMasks(std::function<std::string(std::uint32_t)> name_of) : name_of_(std::move(name_of)) {}

  /// An index keeps its name until then.
  void forget() { known_.clear(); }
  [[nodiscard]] policy::InterfaceMask mask_of(std::uint32_t index, const policy::RuleBook& rules) {
    const auto names = rules.interfaces();
    if (names.empty() || index == 0) return 0;
    const auto known = std::find_if(known_.begin(), known_.end(), [&](const auto& one) { return one.first == index; });
    if (known != known_.end()) return known->second;
    const std::string name = name_of_(index);
    policy::InterfaceMask mask = 0;
    for (std::size_t bit = 0; bit < names.size(); ++bit)
      if (names[bit] == name) mask |= policy::InterfaceMask{1} << bit;
    if (known_.size() < interfaces_known_max) known_.emplace_back(index, mask);
    return mask;
  }

 private:
  std::function<std::string(std::uint32_t)> name_of_;
  std::vector<std::pair<std::uint32_t, policy::InterfaceMask>> known_;  // by index
};

}  // namespace doline::resolver
