// as_handle(): what every libuv handle begins with, as libuv's functions on handles want it.
#pragma once

#include <uv.h>

namespace doline::warden {

template <class Handle>
uv_handle_t* as_handle(Handle& handle) {
  return reinterpret_cast<uv_handle_t*>(&handle);
}

}  // namespace doline::warden
