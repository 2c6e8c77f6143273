#include "scenario/snapshot_of.h"

#include <set>

#include "blocklist/compile.h"
#include "config/reader.h"
#include "resolver/device_names.h"

namespace doline::tests {

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
  snapshot->resolvers = std::make_shared<const geo::ResolverBook>();
  snapshot->block = live.block;
  response::LocalRecords::Builder local;
  local.add_source(live.records);
  if (live.local_domain) resolver::name_devices(*snapshot->roster, *live.local_domain, local);
  snapshot->local = local.build();
  snapshot->forward_zones = live.forward_zones;
  snapshot->special_use = live.special_use;
  snapshot->upstream = std::make_shared<const upstream::Options>(live.upstream);
  snapshot->allow_clients = live.allow_clients;
  return Prepared{*std::move(settings), std::move(snapshot)};
}

}  // namespace doline::tests
