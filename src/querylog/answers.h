// Answers: the Answer section of a response as the query log keeps it: compact, without TTLs, equal for equal contents.
//
// TTLs count down in a cache, and upstreams turn the order of addresses from answer to answer; both would make every
// answer a new one. So the smallest TTL stands in the row, and the records of one RRset are put in order. SCHEMA.md
// describes the octets. Decoding is total: any octets give some answers. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "dns/code.h"
#include "dns/message.h"
#include "dns/name.h"

namespace doline::querylog {

/// More than this of one response is not kept; `is_shortened` says so, and so it does of a response with TC.
inline constexpr std::size_t answer_octets_max = 2'048;
inline constexpr std::size_t answers_max = 256;

/// Answers one behind another, and room for encode_answers that is used again and again.
struct EncodedAnswers {
  std::vector<std::uint8_t> octets;
  std::uint32_t ttl = 0;  ///< the smallest of the last response

  struct Item {
    dns::Name owner;
    dns::RecordType type;
    dns::RecordClass record_class;
    std::uint32_t rdata_at;
    std::uint32_t rdata_octets;
  };
  std::vector<Item> items;  ///< private to encode_answers, as `rdata` is
  std::vector<std::uint8_t> rdata;
};

/// Behind the octets that are there; nothing where nothing was answered, or the response does not parse. `qname`:
/// owners equal to it take no room.
void encode_answers(dns::Octets response, const dns::Name& qname, EncodedAnswers& into);

struct Answer {
  dns::Name owner;
  dns::RecordType type = dns::RecordType::a;
  dns::RecordClass record_class = dns::RecordClass::in;
  std::vector<std::uint8_t> rdata;  ///< uncompressed
};

struct DecodedAnswers {
  std::vector<Answer> answers;
  bool is_shortened = false;
};

[[nodiscard]] DecodedAnswers decode_answers(dns::Octets octets, const dns::Name& qname);
/// Of the A and AAAA records.
[[nodiscard]] std::vector<IpAddress> answer_addresses(dns::Octets octets);

}  // namespace doline::querylog
