#include "response/opt.h"

#include "dns/writer.h"

namespace doline::response {

namespace {

constexpr std::size_t bare_octets = 11;
constexpr std::size_t option_octets = 4;  // before an option's own

}  // namespace

std::size_t opt_octets(const Fit& fit) {
  if (!fit.has_edns) return 0;
  return bare_octets + (fit.cookie_octets > 0 ? option_octets + fit.cookie_octets : 0);
}

std::size_t end_with_opt(std::span<std::uint8_t> space, std::size_t size, const Fit& fit, dns::ResponseCode code,
                         std::optional<dns::ExtendedError> error, std::string_view error_text) {
  if (!fit.has_edns) return size;
  return dns::append_opt(space, size,
                         {.udp_payload_size = udp_octets_max,
                          .dnssec_ok = fit.dnssec_ok,
                          .error = error,
                          .error_text = error_text,
                          .cookie = {fit.cookie.data(), fit.cookie_octets}},
                         code);
}

}  // namespace doline::response
