#include "scenario/snapshot_of.h"

#include <fstream>
#include <iterator>
#include <set>

#include "blocklist/compile.h"
#include "config/reader.h"
#include "resolver/device_names.h"

namespace doline::tests {

namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::optional<geo::PlaceTable> places_of(const std::filesystem::path& file, geo::PlaceKind kind) {
  if (file.empty()) return std::nullopt;
  const std::string text = text_of(file);
  auto table = geo::PlaceTable::read({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, kind);
  if (!table) return std::nullopt;
  return std::move(*table);
}

}  // namespace

Result<Prepared, std::string> snapshot_of(const std::string& configuration, const std::filesystem::path& folder,
                                          std::uint64_t generation, const std::string& file, int line_offset) {
  auto settings = config::read_settings_text(std::string(static_cast<std::size_t>(line_offset), '\n') + configuration,
                                             folder / "doline.yml");
  if (!settings) {
    std::string text;
    for (config::Problem& problem : settings.error()) {
      problem.file = file;
      text += to_string(problem) + '\n';
    }
    return fail(text);
  }
  const config::Live& live = settings->live;
  auto snapshot = std::make_shared<resolver::Snapshot>();
  snapshot->generation = generation;

  device::RosterBuilder roster;
  for (const device::Group& group : live.groups) roster.add_group(group);
  for (const device::DeviceSettings& device : live.devices) roster.add_device(device);
  snapshot->roster = roster.build();

  snapshot->lists = blocklist::ListSet::none();
  if (!live.lists.empty()) {
    std::vector<blocklist::ListInput> inputs;
    for (const config::ListSettings& list : live.lists)
      inputs.push_back({list.name, list.file, list.format, list.subdomains});
    const auto compiled = folder / ("lists-" + std::to_string(generation));
    const auto report = blocklist::compile(inputs, compiled);
    if (!report) return fail(report.error());
    for (const blocklist::ListReport& list : report->lists)
      if (!list.failure.empty()) return fail("list " + list.name + ": " + list.failure);
    auto lists = blocklist::ListSet::open(compiled, true);
    if (!lists) return fail(std::string(to_string(lists.error())));
    snapshot->lists = *lists;
  }

  snapshot->rules = std::make_shared<const policy::RuleBook>(live.policy);
  auto resolvers = std::make_shared<geo::ResolverBook>();
  if (!live.resolver_list.empty()) *resolvers = geo::ResolverBook::read(text_of(live.resolver_list)).book;
  snapshot->resolvers = resolvers;
  if (!live.country_file.empty() || !live.asn_file.empty())
    snapshot->places = std::make_shared<const geo::PlaceBook>(places_of(live.country_file, geo::PlaceKind::country),
                                                              places_of(live.asn_file, geo::PlaceKind::asn));
  snapshot->rebinding = live.rebinding;
  if (live.rate_limit.queries > 0) snapshot->rate_tally = std::make_shared<resolver::RateTally>(live.rate_limit, 1);
  snapshot->trusted_routers = live.trusted_routers;
  snapshot->block = live.block;
  response::LocalRecords::Builder local;
  local.add_source(live.records);
  if (live.local_domain) resolver::name_devices(*snapshot->roster, *live.local_domain, local);
  snapshot->local = local.build();
  snapshot->forward_zones = live.forward_zones;
  snapshot->special_use = live.special_use;
  snapshot->dns64 = live.dns64;
  snapshot->upstream = std::make_shared<const upstream::Options>(live.upstream);
  snapshot->allow_clients = live.allow_clients;
  return Prepared{*std::move(settings), std::move(snapshot)};
}

}  // namespace doline::tests
