// version: of this build, as CMakeLists.txt says it.
#pragma once

namespace doline {

inline constexpr const char* version = DOLINE_VERSION;

}  // namespace doline
