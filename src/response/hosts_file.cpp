#include "response/hosts_file.h"

#include <algorithm>
#include <utility>

namespace doline::response {

namespace {

/// The next word before blanks; empty at the end.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view blanks = " \t\r\f\v";
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

HostsReading read_hosts(std::string_view text) {
  static const dns::Name localhost = *dns::Name::parse("localhost");
  HostsReading reading;
  std::size_t number = 0;
  bool blocks = false;
  const auto complain = [&](const char* what) {
    if (reading.problems.size() < hosts_problems_max) reading.problems.push_back({number, what});
  };
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    line = line.substr(0, line.find('#'));
    std::string_view first = take_word(line);
    if (first.empty()) continue;
    first = first.substr(0, first.find('%'));  // the zone of a link-local address
    const auto address = IpAddress::parse(first);
    if (!address) {
      complain("the line does not begin with an address");
      continue;
    }
    if (address->is_unspecified() && !std::exchange(blocks, true))
      complain(
          "lines with 0.0.0.0 or :: name nobody's address and are passed over: to block, this file belongs under "
          "`lists`");
    if (!address->is_unicast() || address->is_loopback() || address->is_link_local()) continue;
    std::string_view word = take_word(line);
    if (word.empty()) complain("an address without a name");
    for (; !word.empty(); word = take_word(line)) {
      const auto name = dns::Name::parse(word);
      if (!name || name->is_root() || IpAddress::parse(word)) {
        complain("not a host name");
        continue;
      }
      if (name->is_within(localhost)) continue;
      if (reading.names.size() == hosts_names_max) {
        reading.problems.push_back(
            {number, "more than " + std::to_string(hosts_names_max) + " names: the rest is not read"});
        return reading;
      }
      reading.names.push_back({name->lowered(), false, {address_record(*address)}});
    }
  }
  return reading;
}

}  // namespace doline::response
