#include "upstream/exchange.h"

namespace doline::upstream {

std::string_view to_string(ExchangeFault fault) {
  switch (fault) {
    case ExchangeFault::timeout:
      return "no upstream server answered in time";
    case ExchangeFault::unreachable:
      return "no upstream server can be reached";
    case ExchangeFault::server_failed:
      return "all upstream servers failed";
    case ExchangeFault::overloaded:
      return "too many questions are in flight";
  }
  return "unknown fault";
}

}  // namespace doline::upstream
