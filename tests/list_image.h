// A compiled set as plain octets, changed and made to look right again: for tests that lie to ListSet.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "blocklist/file_format.h"

namespace doline::tests {

/// Puts magic, byte order, version, length and all checksums right.
inline void seal(std::vector<std::uint8_t>& octets) {
  using namespace blocklist;
  FileHeader header;
  if (octets.size() < sizeof header) return;
  std::memcpy(&header, octets.data(), sizeof header);
  header.magic = file_magic;
  header.byte_order = byte_order_mark;
  header.version = file_version;
  header.file_octets = octets.size();
  for (SectionEntry& section : header.section) {
    if (section.offset > octets.size() || section.length > octets.size() - section.offset) continue;
    section.checksum = checksum_of(Octets(octets).subspan(section.offset, section.length));
  }
  header.checksum = header_checksum(header);
  std::memcpy(octets.data(), &header, sizeof header);
}

}  // namespace doline::tests
