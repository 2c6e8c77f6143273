// Configurations: any text is read in bounded time and memory, what is told of it is fit for a terminal and has its
// place, and what is taken can be made a rule book and a roster of.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "config/reader.h"

using doline::check;
using namespace doline;

namespace {

bool is_printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char letter) {
    const auto octet = static_cast<unsigned char>(letter);
    return octet < 0x20 || octet == 0x7f;
  });
}

void judge(const config::Settings& settings) {
  const auto& routes = settings.live.upstream.routes;
  check(!routes.empty() && routes.front().name == "default");
  for (const auto& route : routes) check(!route.servers.empty() && route.servers.size() <= upstream::servers_max);
  for (const auto& zone : settings.live.forward_zones) check(zone.route.value < routes.size());
  check(settings.live.lists.size() == settings.live.policy.lists.size());
  for (const auto& list : settings.live.lists) check(list.file.empty() != list.url.empty());
  check(!settings.fixed.redirect || redirect::find_problems(*settings.fixed.redirect).empty());
  const policy::RuleBook book(settings.live.policy);
  check(book.rules().size() == settings.live.policy.rules.size());
  device::RosterBuilder builder;
  for (const auto& group : settings.live.groups) builder.add_group(group);
  for (const auto& device : settings.live.devices) builder.add_device(device);
  check(builder.build()->devices().size() == settings.live.devices.size() + 1);
  check(config::changed_keys(settings.fixed, settings.fixed).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto settings = config::read_settings_text(text, "doline.yml");
  if (settings) {
    judge(*settings);
    return 0;
  }
  check(!settings.error().empty() && settings.error().size() <= config::problems_max);
  for (const config::Problem& problem : settings.error()) {
    check(problem.line >= 0 && problem.column >= 0 && !problem.message.empty());
    check(is_printable(config::to_string(problem)) && is_printable(problem.source_line));
  }
  return 0;
}
