// Question: QNAME, QTYPE, QCLASS (RFC 1035 §4.1.2), owned.
#pragma once

#include <string>

#include "dns/code.h"
#include "dns/name.h"

namespace doline::dns {

struct Question {
  Name qname;
  RecordType qtype = RecordType::a;
  RecordClass qclass = RecordClass::in;

  friend bool operator==(const Question&, const Question&) = default;  ///< QNAME without case
  [[nodiscard]] std::uint64_t hash(std::uint64_t seed) const;
  /// `www.example AAAA` (class only where it is not IN).
  [[nodiscard]] std::string to_string() const;
};

}  // namespace doline::dns
