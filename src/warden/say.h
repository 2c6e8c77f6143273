// say(): the warden's word to the operator, a sentence a line on standard error; it has no log of its own.
#pragma once

#include <cstdio>
#include <string>

namespace doline::warden {

inline void say(const std::string& sentence) {
  std::fprintf(stderr, "doline warden: %s\n", sentence.c_str());
}

}  // namespace doline::warden
