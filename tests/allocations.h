// allocations: how often this thread has asked for memory, in a test program that includes this in one file: operator
// new is replaced for the whole of it. ThreadSanitizer has its own, which counts nothing: there the number stays 0.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace doline::tests {

inline thread_local std::size_t allocations = 0;

}  // namespace doline::tests

#ifdef __has_feature
#define DOLINE_HAS_TSAN __has_feature(thread_sanitizer)
#else
#define DOLINE_HAS_TSAN 0
#endif
#if !DOLINE_HAS_TSAN
void* operator new(std::size_t octets) {
  ++doline::tests::allocations;
  if (void* block = std::malloc(octets)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t octets, const std::nothrow_t&) noexcept {  // std::stable_sort's
  ++doline::tests::allocations;
  return std::malloc(octets);
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}
#endif
