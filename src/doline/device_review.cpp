#include "doline/device_review.h"

#include <algorithm>
#include <tuple>

#include "doline/log_command.h"
#include "redirect/admission.h"

namespace doline {

namespace {

using querylog::LogRow;
using querylog::VerdictKind;

constexpr std::size_t places_max = 32;  // of one group

void add_places(const LogRow& row, const geo::PlaceBook& places, std::set<std::string>& to) {
  for (const querylog::Answer& answer : row.answers) {
    const bool is_v4 = answer.type == dns::RecordType::a && answer.rdata.size() == 4;
    const bool is_v6 = answer.type == dns::RecordType::aaaa && answer.rdata.size() == 16;
    if ((!is_v4 && !is_v6) || to.size() >= places_max) continue;
    const IpAddress address = IpAddress::from_octets(answer.rdata);
    if (const geo::Country country = places.country_of(address); country.is_known()) to.insert(country.to_string());
    if (const std::uint32_t asn = places.asn_of(address); asn != 0) to.insert("AS" + std::to_string(asn));
  }
}

}  // namespace

Result<DeviceReview, querylog::DatabaseFault> review_device(querylog::LogReader& log, const querylog::LogFilter& filter,
                                                            const dns::PublicSuffixes& suffixes,
                                                            const geo::ResolverBook& resolvers,
                                                            const geo::PlaceBook& places) {
  struct Gathered {
    ReviewedGroup group;
    std::map<dns::Name, ReviewedName> names;
  };
  std::map<dns::Name, Gathered> groups;
  std::size_t names = 0;
  DeviceReview review;
  const auto read = log.read(filter, querylog::Order::oldest_first, [&](const LogRow& row) {
    ++review.queries;
    const dns::Name registrable = suffixes.registrable(row.qname);
    const auto known = groups.find(registrable);
    const bool is_known = known != groups.end() && known->second.names.contains(row.qname);
    if (!is_known && names == reviewed_names_max) {
      ++review.passed_over;
      return true;
    }
    names += is_known ? 0 : 1;
    Gathered& gathered = known != groups.end() ? known->second : groups[registrable];
    ReviewedGroup& group = gathered.group;
    ReviewedName& name = gathered.names[row.qname];
    const bool is_let_through = row.verdict == VerdictKind::forward || row.verdict == VerdictKind::rewrite ||
                                row.verdict == VerdictKind::truncate;
    ++name.queries;
    ++group.queries;
    name.let_through += is_let_through ? 1 : 0;
    group.let_through += is_let_through ? 1 : 0;
    group.first = std::min(group.first, row.time);
    group.last = std::max(group.last, row.time);
    ++group.verdicts[std::string(to_string(row.verdict))];
    if (row.original_destination) ++group.meant_for[describe_resolver(*row.original_destination, resolvers)];
    add_places(row, places, group.places);
    return true;
  });
  if (!read) return fail(read.error());
  const auto is_more_asked = [](const auto& left, const auto& right) { return left.queries > right.queries; };
  for (auto& [registrable, gathered] : groups) {
    ReviewedGroup& group = review.groups.emplace_back(std::move(gathered.group));
    group.registrable = registrable;
    group.covers_below = !suffixes.is_suffix(registrable);
    for (auto& [name, reviewed] : gathered.names) {
      reviewed.name = name;
      group.names.push_back(reviewed);
    }
    std::stable_sort(group.names.begin(), group.names.end(), is_more_asked);
  }
  std::stable_sort(review.groups.begin(), review.groups.end(), is_more_asked);
  return review;
}

Result<void, querylog::DatabaseFault> review_connections(querylog::FlowReader& log, const querylog::FlowFilter& filter,
                                                         DeviceReview& review) {
  std::map<std::tuple<IpAddress, std::uint8_t, std::uint16_t>, ReviewedConnection> connections;
  const auto read = log.read(filter, querylog::Order::oldest_first, [&](const querylog::FlowRow& row) {
    ++review.connected;
    const std::tuple key(row.destination.address, row.protocol, row.destination.port);
    const auto known = connections.find(key);
    if (known == connections.end() && connections.size() == reviewed_connections_max) return true;
    ReviewedConnection& connection = known != connections.end() ? known->second : connections[key];
    ++connection.times;
    connection.first = std::min(connection.first, row.time);
    connection.last = std::max(connection.last, row.time);
    if (row.name && connection.names.size() < places_max) connection.names.insert(row.name->to_string());
    connection.needs_flow = connection.needs_flow ||
                            (row.kind == flows::Kind::connection && row.explanation != flows::Explanation::looked_up &&
                             redirect::may_be_admitted(row.destination.address));
    connection.explanations.insert(std::string(to_string(row.explanation)));
    if (row.traffic) {
      connection.octets_out += row.traffic->octets_out;
      connection.octets_in += row.traffic->octets_in;
    }
    return true;
  });
  if (!read) return fail(read.error());
  for (auto& [key, connection] : connections) {
    std::tie(connection.address, connection.protocol, connection.port) = key;
    review.connections.push_back(std::move(connection));
  }
  std::stable_sort(
      review.connections.begin(), review.connections.end(),
      [](const ReviewedConnection& left, const ReviewedConnection& right) { return left.times > right.times; });
  return {};
}

}  // namespace doline
