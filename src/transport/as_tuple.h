// use_tuple: the completion token of every co_await in this house: errors come back as values, never as exceptions.
//
//   const auto result = co_await socket.async_read_some(buffer, transport::use_tuple);
//   const auto& [error, count] = result;   // named first: gcc 15 mis-destroys a tuple bound straight from co_await
#pragma once

#include <asio/use_awaitable.hpp>
#if __has_include(<asio/as_tuple.hpp>)
#include <asio/as_tuple.hpp>
#else
#include <asio/experimental/as_tuple.hpp>  // until Asio 1.24
#endif

namespace doline::transport {

#if __has_include(<asio/as_tuple.hpp>)
using asio::as_tuple;
#else
using asio::experimental::as_tuple;
#endif

inline constexpr auto use_tuple = as_tuple(asio::use_awaitable);

}  // namespace doline::transport
