// A query as a client sends it, and a view on what comes back.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "dns/message.h"
#include "dns/presentation.h"
#include "dns/writer.h"
#include "response/synthesize.h"

struct Asked {
  std::array<std::uint8_t, 512> octets{};
  std::size_t size = 0;

  explicit Asked(const std::string& name, doline::dns::RecordType type = doline::dns::RecordType::a,
                 bool authentic_data = false) {
    doline::dns::MessageWriter writer(octets);
    writer.header(0x1234,
                  {.response = false,
                   .recursion_desired = true,
                   .recursion_available = false,
                   .authentic_data = authentic_data,
                   .checking_disabled = true},
                  doline::dns::ResponseCode::noerror);
    REQUIRE(writer.question({*doline::dns::Name::parse(name), type, doline::dns::RecordClass::in}));
    size = writer.size();
  }
  [[nodiscard]] doline::dns::QueryView view() const {
    const auto parsed = doline::dns::QueryView::parse({octets.data(), size});
    REQUIRE(parsed.has_value());
    return *parsed;
  }
};

/// Sections as text, one record a line: `www.example. 10 A 0.0.0.0`.
inline std::vector<std::string> records_of(const doline::dns::ResponseView& view, doline::dns::Section section) {
  std::vector<std::string> lines;
  for (const auto& record : view) {
    if (record.section != section) continue;
    const auto owned = doline::dns::to_record(view, record);
    lines.push_back(owned.owner.to_string() + ' ' + std::to_string(owned.ttl) + ' ' +
                    doline::dns::to_string(owned.type) + ' ' + doline::dns::rdata_to_string(owned.type, owned.rdata));
  }
  return lines;
}
