// Presentation format of records, by ldns (which the first use loads): for logs, `--json`, local records and tests.
// Never on the path of a query, and never before ResponseView has checked the octets. Allocates. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/code.h"
#include "dns/message.h"
#include "dns/name.h"

namespace doline::dns {

/// A record that owns its parts; RDATA uncompressed.
struct Record {
  Name owner;
  RecordType type = RecordType::a;
  RecordClass record_class = RecordClass::in;
  std::uint32_t ttl = 0;
  std::vector<std::uint8_t> rdata;
  bool operator==(const Record&) const = default;
};

/// RDATA as a zone file shows it: `192.0.2.1`, `10 mail.example.`; what ldns cannot print, and all where
/// there is no ldns, as RFC 3597 `\# 4 c0000201`.
[[nodiscard]] std::string rdata_to_string(RecordType type, Octets uncompressed_rdata);
/// RFC 3597 §5, `\# 4 c0000201`, without ldns; and back: nothing where the text is no such.
[[nodiscard]] std::string to_generic_rdata(Octets rdata);
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_generic_rdata(std::string_view text);
/// Whether octets from elsewhere than a message are RDATA of this type, without compressed names.
[[nodiscard]] bool rdata_is_sound(RecordType type, Octets uncompressed_rdata);
/// The record of a checked response, names decompressed.
[[nodiscard]] Record to_record(const ResponseView& view, const RecordView& record);
/// One line of zone-file text; the fault is ldns's sentence.
[[nodiscard]] Result<Record, std::string> parse_record(std::string_view line, std::uint32_t default_ttl);

}  // namespace doline::dns
