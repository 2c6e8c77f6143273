#include "config/domain_name.h"

#include <algorithm>

#include "base/ip_address.h"

namespace doline::config {

Result<dns::Name, std::string> parse_domain_name(std::string_view text) {
  const auto name = dns::Name::parse(text);
  if (!name) return fail(std::string(dns::to_string(name.error())));
  if (IpAddress::parse(text)) return fail(std::string("an address has none"));
  if (std::any_of(text.begin(), text.end(), [](char letter) { return letter < 0; }))
    return fail(std::string("write it as it travels: xn--..."));
  const auto is_odd = [](char letter) {
    return letter <= ' ' || letter == 0x7f ||
           std::string_view("/:*|^@\"'(),;<>[]{}=").find(letter) != std::string_view::npos;
  };
  if (std::any_of(text.begin(), text.end(), is_odd)) return fail(std::string());
  return name->lowered();
}

}  // namespace doline::config
