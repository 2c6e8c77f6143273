// connected_socket(): for the few questions that control asks a server itself.
#pragma once

#include "base/ip_address.h"

namespace doline::control {

/// A UDP socket, non-blocking and close-on-exec, to which only that server's datagrams come; the caller closes it. -1:
/// there is no way to it now.
[[nodiscard]] int connected_socket(const Endpoint& server);

}  // namespace doline::control
