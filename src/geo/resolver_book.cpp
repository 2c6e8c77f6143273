#include "geo/resolver_book.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace doline::geo {
namespace {

constexpr std::size_t line_octets_max = 4096;
constexpr std::size_t resolvers_max = 65'536;
constexpr std::size_t problems_max = 100;  // beyond, a file is not worth reading on
constexpr std::size_t columns = 6;
constexpr std::string_view header = "address,operator,country,protocols,hostname,note";
constexpr std::string_view header_with_port = "address,operator,country,protocols,hostname,note,port";

using Fields = std::array<std::string, columns + 1>;

// One record of RFC 4180 §2; a quoted field does not run over the end of its line. The port may be missing where there
// is a column for it. Returns what is wrong, or "".
std::string split(std::string_view line, bool may_have_port, Fields& fields) {
  std::size_t at = 0;
  const std::size_t columns_here = columns + (may_have_port ? 1 : 0);
  fields.back().clear();
  for (std::size_t column = 0; column < columns_here; ++column) {
    if (column == columns && at > line.size()) break;
    std::string& field = fields[column];
    field.clear();
    if (at < line.size() && line[at] == '"') {
      for (++at;; ++at) {
        if (at >= line.size()) return "a quotation mark is not closed";
        if (line[at] != '"') {
          field.push_back(line[at]);
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field.push_back(line[at++]);
        } else {
          break;
        }
      }
      ++at;
      if (at < line.size() && line[at] != ',') return "text behind a closing quotation mark";
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      field = line.substr(at, end - at);
      if (field.find('"') != std::string::npos) return "a quotation mark inside a field without quotation marks";
      at = end;
    }
    const bool is_at_end = at >= line.size();
    if (is_at_end ? column + 1 < columns : column + 1 == columns_here)
      return "expected " + std::to_string(columns_here) +
             " fields: " + std::string(may_have_port ? header_with_port : header);
    ++at;
  }
  return "";
}

bool is_country(std::string_view text) {
  return text.size() == 2 &&
         std::all_of(text.begin(), text.end(), [](char letter) { return letter >= 'A' && letter <= 'Z'; });
}

bool is_hostname(std::string_view text) {
  return text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char octet) {
           return std::islower(octet) != 0 || std::isdigit(octet) != 0 || octet == '-' || octet == '.' || octet == '_';
         });
}

// `plain+dot`: the words joined by '+'. False where one is unknown or there is none.
bool read_protocols(std::string_view text, PublicResolver& resolver) {
  while (true) {
    const std::size_t end = std::min(text.find('+'), text.size());
    const std::string_view word = text.substr(0, end);
    if (word == "plain") {
      resolver.plain = true;
    } else if (word == "dot") {
      resolver.dot = true;
    } else if (word == "doh") {
      resolver.doh = true;
    } else if (word == "doq") {
      resolver.doq = true;
    } else {
      return false;
    }
    if (end == text.size()) return true;
    text.remove_prefix(end + 1);
  }
}

/// 1 to 65535, or nothing and 0; absent where it is neither.
std::optional<std::uint16_t> read_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || (error == std::errc() && end == text.data() + text.size() && port != 0)) return port;
  return std::nullopt;
}

}  // namespace

ResolverBook::Reading ResolverBook::read(std::string_view csv) {
  Reading reading;
  Fields fields;
  if (csv.starts_with("\xef\xbb\xbf")) csv.remove_prefix(3);
  bool has_header = false, may_have_port = false;
  std::unordered_map<std::uint16_t, IpAddress> by_port;
  std::size_t number = 0;
  const auto report = [&](std::string what) { reading.problems.push_back({number, std::move(what)}); };
  const auto read_line = [&](std::string_view line) -> std::string {
    if (line.size() > line_octets_max) return "longer than " + std::to_string(line_octets_max) + " octets";
    const auto is_control = [](unsigned char octet) { return octet < ' ' || octet == 0x7f; };
    if (std::any_of(line.begin(), line.end(), is_control)) return "not text";
    if (!has_header) {
      has_header = true;
      may_have_port = line == header_with_port;
      return line == header || may_have_port ? "" : "the first line must be " + std::string(header_with_port);
    }
    if (std::string wrong = split(line, may_have_port, fields); !wrong.empty()) return wrong;
    auto& [address_text, operator_name, country, protocols, hostname, note, port_text] = fields;
    const auto address = IpAddress::parse(address_text);
    if (!address) return "'" + address_text + "' is not an address";
    PublicResolver resolver;
    if (operator_name.empty()) return "no operator";
    if (!is_country(country)) return "'" + country + "' is not a country: two capital letters (ISO 3166)";
    if (!read_protocols(protocols, resolver))
      return "'" + protocols + "' is not one or more of plain, dot, doh, doq joined by '+'";
    if (!is_hostname(hostname)) return "'" + hostname + "' is not a host name in small letters";
    if (reading.book.by_address_.contains(*address)) return address->to_string() + " stands here for the second time";
    const auto port = read_port(port_text);
    if (!port) return "'" + port_text + "' is not a port: 1 to 65535, or nothing";
    if (const auto taken = by_port.find(*port); taken != by_port.end())
      return "port " + port_text + " stands for " + taken->second.to_string() + " already";
    if (reading.book.by_address_.size() == resolvers_max)
      return "more than " + std::to_string(resolvers_max) + " resolvers";
    resolver.operator_name = std::move(operator_name);
    resolver.country = std::move(country);
    resolver.hostname = std::move(hostname);
    resolver.note = std::move(note);
    resolver.port = *port;
    if (*port != 0) by_port.emplace(*port, *address);
    reading.book.by_address_.emplace(*address, std::move(resolver));
    return "";
  };

  for (std::size_t at = 0; at < csv.size();) {
    const std::size_t end = std::min(csv.find('\n', at), csv.size());
    std::string_view line = csv.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (std::string wrong = read_line(line); !wrong.empty()) report(std::move(wrong));
    if (reading.problems.size() == problems_max) {
      report("too many problems: the rest is not read");
      break;
    }
  }
  return reading;
}

const PublicResolver* ResolverBook::find(const IpAddress& address) const {
  const auto found = by_address_.find(address);
  return found != by_address_.end() ? &found->second : nullptr;
}

}  // namespace doline::geo
