// The texts of router_text(), with gaps (fill_in.h). Each stands in router_templates.cpp as its reader will see it.
#pragma once

#include <string_view>

#include "redirect/router_text.h"

namespace doline::redirect {

/// What the text is for, how it is used, undone, and how it fails.
[[nodiscard]] std::string_view head_template(Platform platform);
/// The commands or steps.
[[nodiscard]] std::string_view body_template(Platform platform);
/// Of scripts: what makes commands of their functions.
[[nodiscard]] std::string_view end_template(Platform platform);

}  // namespace doline::redirect
