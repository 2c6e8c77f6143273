// ResolverBook: the public resolvers we know by address (blocklists/resolvers.csv): whom a device meant to ask, by
// name.
//
// Immutable value in a snapshot; look-ups from any thread. CSV columns:
// address,operator,country,protocols,hostname,note and, where there is one, port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace doline::geo {

struct PublicResolver {
  std::string operator_name;  ///< `114DNS`
  std::string country;        ///< ISO 3166 alpha-2 of the operator's seat: `CN`
  bool plain = false, dot = false, doh = false, doq = false;
  std::string hostname;  ///< TLS name or DoH URL host; may be empty
  std::string note;
  std::uint16_t port = 0;  ///< of ours that stands for it (`redirect.port_map: listed`), in one book only once; 0: none
};

struct ResolverLineProblem {
  std::size_t line = 0;
  std::string what;
};

class ResolverBook {
 public:
  struct Reading;
  /// A bad line is reported with its number and the rest is used.
  static Reading read(std::string_view csv);
  /// Null where unknown; borrowed from the book.
  [[nodiscard]] const PublicResolver* find(const IpAddress& address) const;
  [[nodiscard]] std::size_t size() const { return by_address_.size(); }
  [[nodiscard]] const std::unordered_map<IpAddress, PublicResolver>& all() const { return by_address_; }

 private:
  std::unordered_map<IpAddress, PublicResolver> by_address_;
};

struct ResolverBook::Reading {
  ResolverBook book;
  std::vector<ResolverLineProblem> problems;
};

}  // namespace doline::geo
