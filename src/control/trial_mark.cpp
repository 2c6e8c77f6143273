#include "control/trial_mark.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "control/text_file.h"
#include "redirect/request.h"

namespace doline::control {

namespace {

using nlohmann::json;
using Octets = std::vector<std::uint8_t>;

constexpr std::size_t mark_octets_max = 1 << 20;

/// As the warden is asked for them.
json to_json(const redirect::Options& options) {
  return redirect::write_request({0, redirect::Apply{options, 0}});
}

std::optional<redirect::Options> options_of(const json& value) {
  const bool are_octets = value.is_array() && std::all_of(value.begin(), value.end(), [](const json& one) {
                            return one.is_number_unsigned() && one.get<std::uint64_t>() <= 0xff;
                          });
  if (!are_octets) return std::nullopt;
  const auto request = redirect::parse_request(value.get<Octets>());
  const auto* apply = request ? std::get_if<redirect::Apply>(&request->body) : nullptr;
  return apply ? std::optional(apply->options) : std::nullopt;
}

}  // namespace

std::optional<TrialMark> read_trial_mark(const std::filesystem::path& file, std::string& complaint) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return std::nullopt;
  const auto text = read_text_file(file, mark_octets_max);
  const json all = text ? json::parse(*text, nullptr, false) : json();
  const auto on_trial = options_of(all.is_object() ? all.value("on_trial", json()) : json());
  const json before = all.is_object() ? all.value("former", json()) : json();
  auto former = options_of(before);
  if (!on_trial || (!former && !before.is_null())) {
    complaint = text ? file.native() + " is damaged: what was on trial is not known." : text.error();
    return std::nullopt;
  }
  return TrialMark{*on_trial, std::move(former)};
}

std::string write_trial_mark(const std::filesystem::path& file, const TrialMark& mark) {
  const json all = {{"on_trial", to_json(mark.on_trial)}, {"former", mark.former ? to_json(*mark.former) : json()}};
  return replace_text_file(file, all.dump() + "\n", ".new");
}

}  // namespace doline::control
