#include "querylog/recent_answers.h"

#include <utility>

namespace doline::querylog {

Result<void, DatabaseFault> recall_answers(LogReader& log, std::vector<device::MacAddress> macs, WallTime now,
                                           const std::function<bool(const RecentAnswer&)>& take) {
  LogFilter filter;
  filter.macs = std::move(macs);
  filter.types = {dns::RecordType::a, dns::RecordType::aaaa};
  filter.since = now - recent_answers_age;
  std::uint64_t looked_at = 0;
  const auto read = log.read(filter, Order::newest_first, [&](const LogRow& row) {
    if (row.client && row.ttl) {
      RecentAnswer answer{row.mac, *row.client, row.qname, {}, seconds(*row.ttl), row.time};
      for (const Answer& one : row.answers)
        if ((one.type == dns::RecordType::a && one.rdata.size() == 4) ||
            (one.type == dns::RecordType::aaaa && one.rdata.size() == 16))
          answer.addresses.push_back(IpAddress::from_octets(one.rdata));
      if (!answer.addresses.empty() && !take(answer)) return false;
    }
    return ++looked_at < recent_answers_max;
  });
  if (!read) return fail(read.error());
  return {};
}

}  // namespace doline::querylog
