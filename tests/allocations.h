// allocations: how often this thread has asked for memory, in a test program that includes this in one file: operator
// new is replaced for the whole of it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace doline::tests {

inline thread_local std::size_t allocations = 0;

}  // namespace doline::tests

void* operator new(std::size_t octets) {
  ++doline::tests::allocations;
  if (void* block = std::malloc(octets)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept {
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  std::free(block);
}
