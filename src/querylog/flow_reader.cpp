#include "querylog/flow_reader.h"

#include <algorithm>
#include <utility>

#include "querylog/flow_table.h"
#include "querylog/schema.h"

namespace doline::querylog {

namespace {

constexpr milliseconds flows_reading_patience{2000};
constexpr std::int64_t page_rows = 2'000;

std::string placeholders(std::size_t count, int first) {
  std::string text = "(";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "?" : ", ?") + std::to_string(first + static_cast<int>(i));
  return text + ")";
}

IpAddress ip_address_in(std::span<const std::uint8_t> octets) {
  return octets.size() == 4 || octets.size() == 16 ? IpAddress::from_octets(octets) : IpAddress();
}

FlowRow row_of(const Statement& statement) {
  FlowRow row;
  const auto number = [&](int column) { return statement.integer(column); };
  row.number = static_cast<std::uint64_t>(number(0));
  row.time = WallTime(microseconds(number(1)));
  row.device = statement.text(2);
  if (const auto mac = statement.octets(3); mac.size() == 6)
    std::copy(mac.begin(), mac.end(), row.mac.emplace().octets.begin());
  row.vendor = statement.text(4);
  row.client = {ip_address_in(statement.octets(5)), static_cast<std::uint16_t>(number(6))};
  row.destination = {ip_address_in(statement.octets(7)), static_cast<std::uint16_t>(number(8))};
  row.protocol = static_cast<std::uint8_t>(number(9));
  row.kind = flows::kind_of_number(number(10)).value_or(row.kind);
  row.explanation = flows::explanation_of_number(number(11)).value_or(row.explanation);
  if (!statement.is_null(12)) {
    const auto key = statement.octets(12);
    row.name = from_name_key({reinterpret_cast<const char*>(key.data()), key.size()});
  }
  row.interface = statement.text(13);
  if (!statement.is_null(14)) {
    const auto count = [&](int column) { return static_cast<std::uint64_t>(number(column)); };
    row.traffic = flows::Traffic{count(14), count(15), count(16), count(17)};
  }
  row.is_refused = number(18) != 0;
  return row;
}

}  // namespace

Result<FlowReader, DatabaseFault> FlowReader::open(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return fail(DatabaseFault::missing);
  FlowReader reader;
  auto database = Database::open(file, Database::Access::read, flows_reading_patience);
  if (!database) return fail(database.error());
  reader.database_ = std::move(*database);
  if (const auto checked = check_schema(reader.database_); !checked) return fail(checked.error());
  return reader;
}

Result<std::uint64_t, DatabaseFault> FlowReader::read(const FlowFilter& filter, Order order,
                                                      const std::function<bool(const FlowRow&)>& take) {
  const auto has_table = has_flow_table(database_);
  if (!has_table) return fail(has_table.error());
  if (!*has_table) return 0;
  const auto tells_refused = tells_refused_flows(database_);
  if (!tells_refused) return fail(tells_refused.error());
  const bool is_forward = order == Order::oldest_first;
  constexpr int first_free = 6;
  std::string sql =
      "SELECT f.number, f.time, d.name, d.mac, d.vendor, c.address, f.client_port, a.address, f.port, f.protocol, "
      "f.kind, f.explanation, n.key, t.text, f.packets_out, f.octets_out, f.packets_in, f.octets_in, " +
      std::string(*tells_refused ? "f.refused" : "0") +
      " FROM flow f LEFT JOIN device d ON d.id = f.device LEFT JOIN endpoint c ON c.id = f.client "
      "LEFT JOIN endpoint a ON a.id = f.destination LEFT JOIN name n ON n.id = f.name "
      "LEFT JOIN text t ON t.id = f.interface WHERE f.number ";
  sql += is_forward ? "> ?1" : "< ?1";
  sql += " AND f.time >= ?3 AND f.time < ?4 AND (?5 < 0 OR f.explanation = ?5)";
  int next = first_free;
  if (!filter.devices.empty() || !filter.macs.empty()) {
    sql += " AND (d.name IN " + placeholders(filter.devices.size(), next);
    next += static_cast<int>(filter.devices.size());
    sql += " OR d.mac IN " + placeholders(filter.macs.size(), next) + ")";
    next += static_cast<int>(filter.macs.size());
  }
  if (!filter.addresses.empty()) sql += " AND a.address IN " + placeholders(filter.addresses.size(), next);
  sql += std::string(" ORDER BY f.number") + (is_forward ? "" : " DESC") + " LIMIT ?2";
  auto page = database_.prepare(sql);
  if (!page) return fail(page.error());

  std::int64_t from = is_forward ? 0 : INT64_MAX;
  std::uint64_t count = 0;
  std::vector<FlowRow> rows;
  do {
    rows.clear();
    const ResetAtEnd reset(*page);
    page->bind(1, from).bind(2, page_rows);
    page->bind(3, filter.since ? filter.since->time_since_epoch().count() : INT64_MIN);
    page->bind(4, filter.until ? filter.until->time_since_epoch().count() : INT64_MAX);
    page->bind(5, filter.only_without_lookup ? static_cast<std::int64_t>(flows::Explanation::without_lookup) : -1);
    int position = first_free;
    for (const std::string& device : filter.devices) page->bind(position++, std::string_view(device));
    for (const device::MacAddress& mac : filter.macs) page->bind(position++, std::span<const std::uint8_t>(mac.octets));
    for (const IpAddress& address : filter.addresses) page->bind(position++, address.octets());
    for (;;) {
      const auto row = page->step();
      if (!row) return fail(row.error());
      if (!*row) break;
      rows.push_back(row_of(*page));
    }
    page->reset();
    for (const FlowRow& row : rows) {
      ++count;
      if (!take(row)) return count;
    }
    if (!rows.empty()) from = static_cast<std::int64_t>(rows.back().number);
  } while (static_cast<std::int64_t>(rows.size()) == page_rows);
  return count;
}

}  // namespace doline::querylog
