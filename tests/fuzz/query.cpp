// Queries from the LAN: any octets are a view or a fault, and every accessor of a view is total.
#include <vector>

#include "base/check.h"
#include "dns/message.h"
#include "dns/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* octets, std::size_t size) {
  using namespace doline;
  using namespace doline::dns;
  const std::vector<std::uint8_t> message(octets, octets + size);  // its own allocation, so that ASan sees its borders
  const auto view = QueryView::parse(message);
  if (!view) return 0;
  check(view->octets().data() == message.data() && view->octets().size() == size);
  if (const auto& edns = view->edns()) {
    check(edns->udp_payload_size >= 512);
    if (edns->cookie) check(edns->cookie->size() >= 8 && edns->cookie->size() <= 40);
    for (const auto& option : {edns->cookie, edns->client_subnet, edns->client_id})
      if (option && !option->empty())
        check(option->data() >= message.data() && option->data() + option->size() <= message.data() + size);
  }
  // What was understood can be asked again.
  std::uint8_t space[512];
  MessageWriter writer(space);
  writer.header(view->id(),
                {.response = false, .recursion_desired = view->recursion_desired(), .recursion_available = false},
                ResponseCode::noerror);
  check(writer.question(view->question()));
  if (view->edns())
    check(writer.opt({.dnssec_ok = view->edns()->dnssec_ok, .cookie = view->edns()->cookie.value_or(Octets{})}));
  const auto again = QueryView::parse({space, writer.size()});
  check(again.has_value() && again->question() == view->question() && again->id() == view->id());
  check(again->edns().has_value() == view->edns().has_value());
  return 0;
}
