// spawn(): starts a coroutine that nobody waits for. asio::detached would swallow an exception; here one that escapes
// ends the process, because nothing on the data plane throws.
#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

namespace doline::transport {

/// Begins on `executor`'s next turn, never inside this call. What the coroutine borrows must outlive it.
void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine);

}  // namespace doline::transport
