#include "transport/spawn.h"

#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <exception>
#include <utility>

#include "base/check.h"

namespace doline::transport {

void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine) {
  asio::co_spawn(executor, std::move(coroutine), [](const std::exception_ptr& escaped) { check(escaped == nullptr); });
}

}  // namespace doline::transport
