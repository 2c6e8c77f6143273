// Descriptor: a socket of our own making whose readiness Asio tells, and that we read and write ourselves.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/basic_stream_descriptor.hpp>

namespace doline::transport {

/// Of this very kind of executor: to hold any kind costs at each wait.
using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

}  // namespace doline::transport
