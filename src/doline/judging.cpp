#include "doline/judging.h"

#include <stdlib.h>
#include <unistd.h>

#include <ostream>

#include "control/device_book.h"
#include "control/exemption_book.h"
#include "control/list_keeper.h"
#include "control/place_keeper.h"
#include "control/roster_keeper.h"
#include "control/sighting_book.h"
#include "control/text_file.h"
#include "doline/terminal_text.h"

namespace doline {

namespace {

/// The running Doline's compiled lists where they are up to date; else compiled here, into a file that is gone again
/// as soon as it is mapped.
void open_lists(Judging& judging, const std::filesystem::path& image, std::ostream& err) {
  const std::vector<blocklist::ListInput>& inputs = judging.list_inputs;
  judging.lists = blocklist::ListSet::none();
  if (inputs.empty()) return;
  const auto miss = [&](const std::string& list, const std::string& why) {
    err << "doline: list " << printable(list) << " is not judged by: " << printable(why) << ".\n";
    judging.lacks_lists = true;
  };
  const auto set = blocklist::ListSet::open(image, true);
  if (set && (*set)->fingerprint() == blocklist::fingerprint_of(inputs)) {
    judging.lists = *set;
    for (const blocklist::ListInput& input : inputs)
      if (::access(input.file.c_str(), F_OK) != 0) miss(input.name, input.file.native() + " is not there");
    return;
  }
  std::error_code error;
  std::string folder = (std::filesystem::temp_directory_path(error) / "doline-explain-XXXXXX").native();
  const bool has_folder = ::mkdtemp(folder.data()) != nullptr;
  const std::filesystem::path own = std::filesystem::path(folder) / "lists.image";
  if (!set && set.error() == blocklist::ListSetFault::damaged)
    err << printable(image.native()) << " is damaged, and the running Doline judges by it: it will compile the lists "
        << "anew; here they are read.\n";
  else
    err << "The compiled lists are not up to date: reading the lists.\n";
  const auto compiled = blocklist::compile(inputs, own);
  const auto fresh = blocklist::ListSet::open(own);
  if (has_folder) std::filesystem::remove_all(folder, error);
  if (!compiled || !fresh) {
    err << "The lists could not be compiled" << (compiled ? "" : ": " + compiled.error()) << ".\n";
    judging.lacks_lists = true;
    return;
  }
  judging.lists = *fresh;
  for (const blocklist::ListReport& list : compiled->lists)
    if (!list.failure.empty()) miss(list.name, list.failure);
}

std::optional<geo::PlaceTable> open_table(const std::filesystem::path& file, geo::PlaceKind kind, std::ostream& err) {
  if (file.empty()) return std::nullopt;
  auto table = control::read_places(file, kind);
  if (table) return std::move(*table);
  err << printable(table.error()) << '\n';
  return std::nullopt;
}

}  // namespace

std::shared_ptr<const device::Roster> read_devices(const config::Settings& settings, const control::DeviceBook& book,
                                                   WallTime now) {
  device::RosterBuilder builder;
  for (const device::Group& group : settings.live.groups) builder.add_group(group);
  for (device::DeviceSettings& device : book.add_to(settings.live.devices)) builder.add_device(std::move(device));
  control::SightingBook seen;
  if (const auto text = control::read_text_file(control::sightings_file(settings.fixed.state)))
    seen.read_text(*text, now);
  seen.fill(builder);
  return builder.build();
}

Judging prepare_judging(const config::Settings& settings, WallTime now, std::ostream& err) {
  policy::RuleBookSettings book = settings.live.policy;
  std::string complaint, book_complaint;
  book.exemptions = control::ExemptionBook(settings.fixed.state / "exemptions.json", now, complaint).all();
  const control::DeviceBook devices(settings.fixed.state / "device-book.json", book_complaint);
  book.locks = devices.locks();
  for (const std::string& one : {complaint, book_complaint})
    if (!one.empty()) err << "doline: " << printable(one) << '\n';
  Judging judging;
  judging.rules = std::make_shared<const policy::RuleBook>(std::move(book));
  judging.list_inputs = control::list_inputs(settings.fixed.state, settings.live.lists);
  open_lists(judging, control::list_image(settings.fixed.state), err);
  judging.roster = read_devices(settings, devices, now);
  judging.resolvers = std::make_shared<const geo::ResolverBook>(read_resolvers(settings));
  judging.places = std::make_shared<const geo::PlaceBook>(open_places(settings.live, err));
  return judging;
}

geo::ResolverBook read_resolvers(const config::Settings& settings) {
  const auto text = control::read_text_file(settings.live.resolver_list);
  return text ? std::move(geo::ResolverBook::read(*text).book) : geo::ResolverBook();
}

geo::PlaceBook open_places(const config::Live& live, std::ostream& err) {
  return {open_table(live.country_file, geo::PlaceKind::country, err),
          open_table(live.asn_file, geo::PlaceKind::asn, err)};
}

std::string place_text(const IpAddress& address, const geo::PlaceBook& places) {
  std::string text = places.country_of(address).to_string();
  if (const std::uint32_t asn = places.asn_of(address); asn != 0)
    text += (text.empty() ? "AS" : ", AS") + std::to_string(asn);
  return text;
}

std::string rule_place(const policy::RuleBook& rules, policy::RuleId id) {
  if (id == policy::no_rule) return "otherwise";
  if (id == policy::lists_rule) return "lists that no rule names";
  const policy::Rule& rule = rules.rule(id);
  return rule.line == 0 ? rule.file : rule.file + ':' + std::to_string(rule.line);
}

}  // namespace doline
