#include "doline/flows_command.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <tuple>
#include <utility>

#include "doline/exit_status.h"
#include "doline/judging.h"
#include "doline/log_command.h"
#include "doline/terminal_text.h"
#include "doline/time_text.h"

namespace doline {

namespace {

using flows::Explanation;
using nlohmann::ordered_json;
using querylog::FlowRow;

constexpr std::size_t rows_that_set_widths = 400;  // looked at to make the columns wide enough

/// The sentence of what is wrong, or nothing.
std::optional<std::string> fill_filter(const FlowsArguments& arguments, WallTime now, querylog::FlowFilter& filter) {
  filter.devices = arguments.devices;
  filter.only_without_lookup = arguments.without_lookup;
  for (const std::string& text : arguments.addresses) {
    const auto address = IpAddress::parse(text);
    if (!address) return "--address " + text + ": no IP address";
    filter.addresses.push_back(*address);
  }
  const auto read_time = [now](const char* option, const std::string& text,
                               std::optional<WallTime>& time) -> std::optional<std::string> {
    if (text.empty()) return std::nullopt;
    time = parse_time(text, now);
    if (time) return std::nullopt;
    return std::string(option) + " " + text + ": a time like 24h, 7d, today, 2026-11-01 or 2026-11-01T12:30Z";
  };
  if (auto problem = read_time("--since", arguments.since, filter.since)) return problem;
  if (auto problem = read_time("--until", arguments.until, filter.until)) return problem;
  if (arguments.limit && *arguments.limit > flow_rows_max)
    return "--limit " + std::to_string(*arguments.limit) + ": at most " + std::to_string(flow_rows_max) +
           "; 0 means all";
  return std::nullopt;
}

std::string endpoint_text(const Endpoint& endpoint) {
  return endpoint.port == 0 ? endpoint.address.to_string() : endpoint.to_string();
}

std::string why_text(const FlowRow& row, const KnownAddresses& known) {
  std::string text;
  if (row.kind != flows::Kind::connection) {
    text = flows::to_string(row.kind);
    const geo::PublicResolver* resolver = known.resolvers.find(row.destination.address);
    if (row.name)
      text += " to " + row.name->to_string();
    else if (resolver != nullptr)
      text += " to " + (resolver->hostname.empty() ? resolver->operator_name : resolver->hostname);
    return text;
  }
  if (row.name) return "as " + row.name->to_string();
  text = flows::to_string(row.explanation);
  if (row.explanation != Explanation::without_lookup) return text;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char letter) { return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter; });
  return text;
}

/// `as dns.google`, `WITHOUT LOOKUP`, `encrypted DNS to dns.google, refused`.
std::string explanation_text(const FlowRow& row, const KnownAddresses& known) {
  return why_text(row, known) + (row.is_refused ? ", refused" : "");
}

std::string octets_text(std::uint64_t octets) {
  if (octets < 10'000) return std::to_string(octets);
  if (octets < 10'000'000) return fmt::format("{:.1f} KiB", static_cast<double>(octets) / 1'024);
  return fmt::format("{:.1f} MiB", static_cast<double>(octets) / 1'048'576);
}

std::string traffic_text(const std::optional<flows::Traffic>& traffic) {
  if (!traffic) return "-";
  return octets_text(traffic->octets_out) + " / " + octets_text(traffic->octets_in);
}

std::vector<std::string> cells_of(const FlowRow& row, const KnownAddresses& known) {
  return {to_local_text(row.time),
          printable(row.device),
          row.mac ? row.mac->to_string() : "",
          protocol_text(row.protocol),
          endpoint_text(row.destination),
          printable(whose_text(row.destination.address, known)),
          printable(explanation_text(row, known)),
          traffic_text(row.traffic)};
}

/// Connections that differ in nothing but their time.
struct SumKey {
  std::string device, mac;
  std::uint8_t protocol = 0;
  std::string target;  // the name, or the address where none explains it
  std::uint16_t port = 0;
  Explanation explanation = Explanation::not_known;
  bool is_refused = false;
  auto operator<=>(const SumKey&) const = default;
};

struct Sum {
  FlowRow newest;
  WallTime first;
  std::uint64_t connections = 0;
  std::optional<flows::Traffic> traffic;  // of those that were counted
};

class Sums {
 public:
  void add(const FlowRow& row) {
    SumKey key{row.device,           row.mac ? row.mac->to_string() : "",
               row.protocol,         row.name ? row.name->to_string() : row.destination.address.to_string(),
               row.destination.port, row.explanation,
               row.is_refused};
    if (sums_.size() >= flow_sums_max && !sums_.contains(key)) {
      ++left_out_;
      return;
    }
    Sum& sum = sums_[std::move(key)];
    if (sum.connections++ == 0) {
      sum.newest = row;
      sum.first = row.time;
    }
    sum.first = std::min(sum.first, row.time);
    if (row.time > sum.newest.time) sum.newest = row;
    if (!row.traffic) return;
    if (!sum.traffic) sum.traffic.emplace();
    sum.traffic->packets_out += row.traffic->packets_out;
    sum.traffic->octets_out += row.traffic->octets_out;
    sum.traffic->packets_in += row.traffic->packets_in;
    sum.traffic->octets_in += row.traffic->octets_in;
  }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  /// By device; of each, what no look-up explains first, then what was connected to most.
  [[nodiscard]] std::vector<Sum> all() const {
    std::vector<Sum> sums;
    for (const auto& [key, sum] : sums_) sums.push_back(sum);
    std::sort(sums.begin(), sums.end(), [](const Sum& left, const Sum& right) {
      const auto rank = [](const Sum& sum) {
        return std::tuple(sum.newest.device, sum.newest.explanation != Explanation::without_lookup,
                          UINT64_MAX - sum.connections, sum.newest.number);
      };
      return rank(left) < rank(right);
    });
    return sums;
  }

 private:
  std::map<SumKey, Sum> sums_;
  std::uint64_t left_out_ = 0;
};

ordered_json object_of(const FlowRow& row, const KnownAddresses& known) {
  ordered_json object;
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  const IpAddress& address = row.destination.address;
  object["time"] = to_utc_text(row.time);
  object["device"] = text_or_null(row.device);
  object["mac"] = row.mac ? ordered_json(row.mac->to_string()) : ordered_json(nullptr);
  object["vendor"] = text_or_null(row.vendor);
  object["interface"] = text_or_null(row.interface);
  object["protocol"] = row.protocol;
  object["client"] = row.client.address.to_string();
  object["client_port"] = row.client.port;
  object["address"] = address.to_string();
  object["port"] = row.destination.port;
  object["kind"] = std::string(flows::to_string(row.kind));
  object["explanation"] = std::string(flows::to_string(row.explanation));
  object["refused"] = row.is_refused;
  object["name"] = row.name ? ordered_json(row.name->to_string()) : ordered_json(nullptr);
  object["country"] = text_or_null(known.places.country_of(address).to_string());
  const std::uint32_t asn = known.places.asn_of(address);
  object["asn"] = asn != 0 ? ordered_json(asn) : ordered_json(nullptr);
  const geo::PublicResolver* resolver = known.resolvers.find(address);
  object["operator"] = resolver != nullptr ? ordered_json(resolver->operator_name) : ordered_json(nullptr);
  const auto count = [&](std::uint64_t flows::Traffic::* which) {
    return row.traffic ? ordered_json((*row.traffic).*which) : ordered_json(nullptr);
  };
  object["packets_out"] = count(&flows::Traffic::packets_out);
  object["octets_out"] = count(&flows::Traffic::octets_out);
  object["packets_in"] = count(&flows::Traffic::packets_in);
  object["octets_in"] = count(&flows::Traffic::octets_in);
  return object;
}

std::string on_a_line(const ordered_json& object) {
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

void print_sums(const FlowsArguments& arguments, const Sums& sums, const KnownAddresses& known, WallTime now,
                std::ostream& out) {
  TextTable table({"DEVICE", "MAC", "CONNECTIONS", "PROTOCOL", "TO", "PLACE", "EXPLAINED", "OCTETS OUT / IN",
                   "LAST (" + printable(local_zone(now)) + ")"});
  for (const Sum& sum : sums.all()) {
    FlowRow row = sum.newest;
    row.traffic = sum.traffic;
    if (arguments.json) {
      ordered_json object = object_of(row, known);
      object.erase("client");
      object.erase("client_port");
      object["connections"] = sum.connections;
      object["first"] = to_utc_text(sum.first);
      out << on_a_line(object) << '\n';
      continue;
    }
    table.add({printable(row.device), row.mac ? row.mac->to_string() : "", std::to_string(sum.connections),
               protocol_text(row.protocol), endpoint_text(row.destination),
               printable(whose_text(row.destination.address, known)), printable(explanation_text(row, known)),
               traffic_text(row.traffic), to_local_text(row.time)});
  }
  if (arguments.json) return;
  table.print(out);
  if (sums.left_out() > 0) out << sums.left_out() << " more connections, to more destinations than are told apart.\n";
}

}  // namespace

std::string protocol_text(std::uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "TCP";
    case IPPROTO_UDP:
      return "UDP";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return "ICMP";
    default:
      return "protocol " + std::to_string(protocol);
  }
}

std::string whose_text(const IpAddress& address, const KnownAddresses& known) {
  const std::string place = place_text(address, known.places);
  const geo::PublicResolver* resolver = known.resolvers.find(address);
  if (resolver == nullptr || resolver->operator_name.empty()) return place;
  return place.empty() ? resolver->operator_name : resolver->operator_name + ", " + place;
}

std::string to_json(const FlowRow& row, const KnownAddresses& known) {
  return on_a_line(object_of(row, known));
}

int run_flows(const FlowsArguments& arguments, const KnownAddresses& known, const Clock& clock, std::ostream& out,
              std::ostream& err) {
  const WallTime now = clock.now().wall;
  querylog::FlowFilter filter;
  if (const auto problem = fill_filter(arguments, now, filter)) {
    err << "doline flows: " << printable(*problem) << "\n";
    return exit_wrong_usage;
  }
  auto reader = querylog::FlowReader::open(arguments.database);
  if (!reader) return complain("flows", arguments.database, reader.error(), err);

  const bool is_bounded = !arguments.since.empty() || !arguments.until.empty() || arguments.summary;
  const std::uint64_t limit = arguments.limit.value_or(is_bounded ? 0 : flow_rows_default);
  TextTable table({"TIME (" + printable(local_zone(now)) + ")", "DEVICE", "MAC", "PROTOCOL", "TO", "PLACE", "EXPLAINED",
                   "OCTETS OUT / IN"});
  Sums sums;
  bool has_widths = false;
  std::uint64_t count = 0;
  const auto show = [&](const FlowRow& row) {
    ++count;
    if (arguments.summary) {
      sums.add(row);
    } else if (arguments.json) {
      out << to_json(row, known) << '\n';
    } else {
      table.add(cells_of(row, known));
      if (has_widths || table.waiting() >= rows_that_set_widths) {
        table.print(out);
        has_widths = true;
      }
    }
    return out.good();
  };
  Result<std::uint64_t, querylog::DatabaseFault> done = 0;
  if (limit == 0) {
    done = reader->read(filter, querylog::Order::oldest_first, show);
  } else {
    std::deque<FlowRow> newest;
    done = reader->read(filter, querylog::Order::newest_first, [&](const FlowRow& row) {
      newest.push_front(row);
      return newest.size() < limit;
    });
    for (const FlowRow& row : newest)
      if (!show(row)) break;
  }
  if (!done) return complain("flows", arguments.database, done.error(), err);
  if (arguments.summary && count > 0)
    print_sums(arguments, sums, known, now, out);
  else if (table.waiting() > 0)
    table.print(out);
  out.flush();
  if (count > 0) return exit_ok;
  if (!arguments.json)
    err << "Nothing found in " << printable(arguments.database.string())
        << (arguments.is_watched ? ".\n" : ". Connections are recorded with `flows: {watch: true}`.\n");
  return exit_no;
}

}  // namespace doline
