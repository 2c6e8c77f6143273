// Segments of the query log: any octets of a database are rows or none, without harm; and rows that were read come back
// from what is written of them.
//
// An input is two octets, the size of the head (the higher first), the head, then the body.
#include "querylog/segment.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"

using namespace doline;
using namespace doline::querylog;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t head_octets = data[0] * std::size_t{256} + data[1];
  if (head_octets > size - 2) return 0;
  // Their own allocations, so that ASan sees their borders.
  const std::vector<std::uint8_t> head(data + 2, data + 2 + head_octets), body(data + 2 + head_octets, data + size);
  Segment segment;
  if (!segment.read_head(head)) return 0;
  for (std::size_t column = 1; column < columns; ++column)
    check(segment.set(static_cast<Column>(column)).size() <= segment.rows());
  if (!segment.read_body(body)) return 0;
  check(segment.times().size() == segment.rows());
  SegmentWriter writer;
  writer.add(segment);
  std::vector<std::uint8_t> new_head, new_body;
  writer.write(new_head, new_body);
  Segment again;
  check(again.read_head(new_head) && again.read_body(new_body));
  check(again.times() == segment.times());
  for (std::size_t row = 0; row < segment.rows(); ++row) check(again.values(row) == segment.values(row));
  return 0;
}
