// What the process needs no more: freed memory, and code that the start alone ran, so that it stays small on a small
// board. Any thread.
#pragma once

namespace doline::control {

/// Gives the system back what malloc() keeps for later. A job needs megabytes for a moment, in a process that is to
/// stay small.
void give_back_freed_memory();

/// Unmaps for now the code and constants of the program and its libraries, as far as nothing has written there: most
/// was needed by the start alone. What is used again comes back from the page cache, or from the file, at its next
/// use. Others may run meanwhile.
void give_back_code();

}  // namespace doline::control
