// fill_in(): a text with gaps, for what people are to read before they carry it out. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace doline::redirect {

/// What each gap is filled with. None: the line is left out. Several: the line stands once for each.
using Values = std::map<std::string_view, std::vector<std::string>>;

/// `text` has gaps `{name}`, small letters and digits; other braces are text. A gap that `values` does not name breaks
/// an invariant. Gaps of one line have one value, or equally many that belong together.
[[nodiscard]] std::string fill_in(std::string_view text, const Values& values);

}  // namespace doline::redirect
