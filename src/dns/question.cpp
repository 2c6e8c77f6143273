#include "dns/question.h"

namespace doline::dns {

std::uint64_t Question::hash(std::uint64_t seed) const {
  const std::uint64_t kind =
      std::uint64_t{static_cast<std::uint16_t>(qtype)} << 16 | static_cast<std::uint16_t>(qclass);
  return qname.hash(seed ^ kind * 0x9e3779b97f4a7c15ULL);
}

std::string Question::to_string() const {
  std::string text = qname.to_string();
  if (qclass != RecordClass::in) text += " " + dns::to_string(qclass);
  return text + " " + dns::to_string(qtype);
}

}  // namespace doline::dns
