#include "control/exemption_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/domain_name.h"
#include "config/printable.h"
#include "config/problem.h"
#include "control/device_book.h"
#include "control/json_fields.h"
#include "control/text_file.h"

namespace doline::control {

namespace {

using nlohmann::json;
using policy::Exemption;

constexpr std::int64_t seconds_max = 10LL * 366 * 86'400;

std::optional<std::int64_t> number_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const auto number = found->get<std::int64_t>();
  return number >= 0 && number <= 253'402'300'799 ? std::optional(number) : std::nullopt;  // the year 9999
}

bool is_like(const Exemption& left, const Exemption& right) {
  return left.device == right.device && left.group == right.group && left.name == right.name;
}

}  // namespace

ExemptionBook::ExemptionBook(std::filesystem::path file, WallTime now, std::string& complaint)
    : file_(std::move(file)) {
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return;
  const auto text = read_text_file(file_);
  const json all = text ? json::parse(*text, nullptr, false) : json();
  if (!text || !all.is_array()) {
    complaint = text ? file_.native() + " is damaged: nothing is paused or allowed by it." : text.error();
    return;
  }
  for (const json& one : all) {
    if (!one.is_object() || all_.size() == policy::exemptions_max) continue;
    Exemption exemption;
    exemption.device = text_of(one, "device");
    exemption.group = text_of(one, "group");
    if (one.contains("name") && one["name"].is_string()) {
      const auto name = dns::Name::parse(text_of(one, "name"));
      if (!name) continue;
      exemption.name = name->lowered();
    }
    if (one.contains("until") && !one["until"].is_null()) {
      const auto until = number_of(one, "until");
      if (!until) continue;
      exemption.until = WallTime(seconds(*until));
    }
    if (!exemption.until || *exemption.until > now) all_.push_back(std::move(exemption));
  }
}

std::optional<WallTime> ExemptionBook::next_end() const {
  std::optional<WallTime> next;
  for (const Exemption& exemption : all_)
    if (exemption.until && (!next || *exemption.until < *next)) next = exemption.until;
  return next;
}

bool ExemptionBook::end_until(WallTime now) {
  const auto ended =
      std::erase_if(all_, [&](const Exemption& exemption) { return exemption.until && *exemption.until <= now; });
  if (ended > 0) (void)save();  // one that has ended is passed over at the next start too
  return ended > 0;
}

Result<void, std::string> ExemptionBook::add(Exemption exemption) {
  std::erase_if(all_, [&](const Exemption& one) { return is_like(one, exemption); });
  if (all_.size() == policy::exemptions_max)
    return fail("there are " + std::to_string(policy::exemptions_max) + " already: take some back first");
  all_.push_back(std::move(exemption));
  if (std::string failure = save(); !failure.empty()) return fail(std::move(failure));
  return {};
}

std::size_t ExemptionBook::remove(const Exemption& like) {
  const auto count = std::erase_if(all_, [&](const Exemption& one) { return is_like(one, like); });
  if (count > 0) (void)save();
  return count;
}

std::size_t ExemptionBook::remove_all() {
  const std::size_t count = all_.size();
  all_.clear();
  if (count > 0) (void)save();
  return count;
}

std::string ExemptionBook::save() const {
  json all = json::array();
  for (const Exemption& exemption : all_) all.push_back(to_json(exemption));
  return replace_text_file(file_, all.dump(2, ' ', false, json::error_handler_t::replace) + '\n', ".new");
}

json to_json(const Exemption& exemption) {
  json object = json::object();
  if (!exemption.device.empty()) object["device"] = exemption.device;
  if (!exemption.group.empty()) object["group"] = exemption.group;
  if (exemption.name) object["name"] = exemption.name->to_string();
  object["until"] = exemption.until
                        ? json(std::chrono::duration_cast<seconds>(exemption.until->time_since_epoch()).count())
                        : json(nullptr);
  return object;
}

Result<Exemption, std::string> read_request(const json& request, const device::Roster& roster, WallTime now) {
  Exemption exemption;
  if (const std::string text = text_of(request, "device"); !text.empty()) {
    const auto found = find_device(roster, text);
    if (!found) return fail(found.error());
    exemption.device = (*found)->name;
  }
  if (const std::string text = text_of(request, "group"); !text.empty()) {
    if (!exemption.device.empty()) return fail(std::string("Either a device or a group, not both."));
    if (!roster.find_group(text)) {
      std::vector<std::string_view> known;
      for (const device::Group& group : roster.groups()) known.push_back(group.name);
      return fail(say_unknown("group", text, known));
    }
    exemption.group = text;
  }
  if (const std::string text = text_of(request, "name"); !text.empty()) {
    const auto name = config::parse_domain_name(text);
    if (!name) {
      const std::string hint =
          text.starts_with("*.") ? "all below a name is meant too: " + config::printable(text.substr(2)) : name.error();
      return fail(config::quote(text) + " is not a domain name" + (hint.empty() ? "" : "; " + hint) + '.');
    }
    exemption.name = *name;
  }
  if (const auto count = number_of(request, "seconds"); count && *count > 0)
    exemption.until = now + seconds(std::min(*count, seconds_max));
  return exemption;
}

}  // namespace doline::control
