#include "config/reading.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "config/domain_name.h"

namespace doline::config {

namespace {

constexpr std::size_t line_octets_max = 200;  // of a line that is shown

std::string_view trim(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

/// The number that `text` begins with, which is taken off it.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string_view take_letters(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() &&
         ((text[count] >= 'a' && text[count] <= 'z') || (text[count] >= 'A' && text[count] <= 'Z')))
    ++count;
  const std::string_view letters = text.substr(0, count);
  text.remove_prefix(count);
  return letters;
}

std::optional<std::uint64_t> milliseconds_of(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1'000;
  if (unit == "m" || unit == "min") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  if (unit == "w") return 604'800'000;
  return {};
}

std::optional<std::uint64_t> octets_of(std::string_view unit) {
  if (unit == "B") return 1;
  if (unit == "KiB") return std::uint64_t{1} << 10;
  if (unit == "MiB") return std::uint64_t{1} << 20;
  if (unit == "GiB") return std::uint64_t{1} << 30;
  if (unit == "TiB") return std::uint64_t{1} << 40;
  if (unit == "kB" || unit == "KB") return 1'000;
  if (unit == "MB") return 1'000'000;
  if (unit == "GB") return 1'000'000'000;
  if (unit == "TB") return 1'000'000'000'000;
  return {};
}

/// Numbers with units, added up; nothing where that is no such text or past 64 bits.
template <class UnitOf>
std::optional<std::uint64_t> sum_of(std::string_view text, UnitOf unit_of) {
  if (text == "0") return 0;
  std::uint64_t sum = 0;
  if (text.empty()) return {};
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto unit = number ? unit_of(take_letters(text)) : std::nullopt;
    if (!unit || *number > (std::numeric_limits<std::uint64_t>::max() - sum) / *unit) return {};
    sum += *number * *unit;
  }
  return sum;
}

std::string show_duration(milliseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  for (const std::string_view unit : {"w", "d", "h", "m", "s"})
    if (const auto size = *milliseconds_of(unit); count != 0 && count % size == 0)
      return std::to_string(count / size) + std::string(unit);
  return count == 0 ? "0s" : std::to_string(count) + "ms";
}

std::string show_size(std::uint64_t value) {
  for (const std::string_view unit : {"TiB", "GiB", "MiB", "KiB"})
    if (const auto size = *octets_of(unit); value != 0 && value % size == 0)
      return std::to_string(value / size) + std::string(unit);
  return std::to_string(value) + "B";
}

std::optional<std::filesystem::path> read_path(Reading& reading, const Node& node) {
  const auto text = read_text(reading, node, "a path");
  if (!text) return {};
  if (text->find('\0') != std::string::npos || text->size() >= 4'096) {
    reading.add(node, quote(*text) + " is no path");
    return {};
  }
  return std::filesystem::path(*text);
}

/// Which of the candidates may have been meant; where none is near and they are few, all of them.
std::string hint_for(std::string_view text, const std::vector<std::string_view>& candidates) {
  if (const auto nearest = find_nearest(text, candidates); !nearest.empty())
    return "did you mean " + quote(nearest) + "?";
  if (candidates.empty() || candidates.size() > 12) return {};
  std::string hint = "known are: ";
  for (std::size_t at = 0; at < candidates.size(); ++at) {
    const std::string quoted = quote(candidates[at]);
    hint += (at == 0 ? "" : ", ") + quoted.substr(1, quoted.size() - 2);
  }
  return hint;
}

}  // namespace

// ── problems ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void Reading::add(Kind kind, const Place& place, std::string message, std::string hint) {
  if (is_full()) return;
  Problem problem;
  problem.kind = kind;
  problem.file = file_.string();
  problem.line = place.line;
  problem.column = place.column;
  problem.message = std::move(message);
  problem.hint = std::move(hint);
  // Of a long line, what stands around the place is shown from its beginning only where the place is within.
  const std::string_view line = raw_line(place.line);
  if (line.size() <= line_octets_max) problem.source_line = printable_line(line);
  problems_.push_back(std::move(problem));
}

void Reading::add_without_place(std::string message, std::string hint) {
  if (is_full()) return;
  Problem problem;
  problem.file = file_.string();
  problem.message = std::move(message);
  problem.hint = std::move(hint);
  problems_.push_back(std::move(problem));
}

void Reading::add_unknown(const Node& node, std::string_view what, std::string_view text,
                          const std::vector<std::string_view>& candidates) {
  if (is_full()) return;  // the hint is what takes time
  add(node, quote(text) + " is not " + std::string(what), hint_for(text, candidates));
}

void Reading::add_unknown_key(const Node& key, std::string_view where,
                              const std::vector<std::string_view>& candidates) {
  if (is_full()) return;
  add(key, "unknown key " + quote(key.text) + " in " + std::string(where), hint_for(key.text, candidates));
}

std::string_view Reading::raw_line(int line) const {
  if (line_starts_.empty()) {
    line_starts_.push_back(0);
    for (std::size_t at = text_.find('\n'); at != std::string_view::npos; at = text_.find('\n', at + 1))
      line_starts_.push_back(at + 1);
  }
  const auto index = static_cast<std::size_t>(line - 1);
  if (line < 1 || index >= line_starts_.size()) return {};
  const std::size_t end = index + 1 < line_starts_.size() ? line_starts_[index + 1] - 1 : text_.size();
  std::string_view found = text_.substr(line_starts_[index], end - line_starts_[index]);
  if (found.ends_with('\r')) found.remove_suffix(1);
  return found;
}

std::string Reading::line_text(int line) const {
  std::string_view found = trim(raw_line(line));
  if (found.size() > line_octets_max) return printable_line(found.substr(0, line_octets_max)) + "...";
  return printable_line(found);
}

std::vector<Problem> Reading::take_problems() {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& left, const Problem& right) {
    return std::pair(left.line, left.column) < std::pair(right.line, right.column);
  });
  return std::move(problems_);
}

// ── scalars ──────────────────────────────────────────────────────────────────────────────────────────────────────────

std::vector<const Node*> to_list(const Node& node) {
  std::vector<const Node*> values;
  if (node.kind == Node::Kind::list)
    for (const Node& item : node.items) values.push_back(&item);
  else if (node.kind != Node::Kind::null)
    values.push_back(&node);
  return values;
}

std::vector<const Node*> to_list(Reading& reading, const Node& node, std::size_t max, std::string_view values) {
  auto list = to_list(node);
  if (list.size() > max) {
    reading.add(node, "more than " + std::to_string(max) + " " + std::string(values));
    list.resize(max);
  }
  return list;
}

std::optional<std::string> read_text(Reading& reading, const Node& node, std::string_view what) {
  if (node.kind == Node::Kind::scalar && !node.text.empty()) return node.text;
  static constexpr std::string_view kinds[] = {"nothing", "an empty text", "a list", "a map"};
  reading.add(node,
              "expected " + std::string(what) + ", not " + std::string(kinds[static_cast<std::size_t>(node.kind)]));
  return {};
}

std::optional<bool> read_bool(Reading& reading, const Node& node) {
  return read_word<bool>(
      reading, node, "true or false",
      {{"true", true}, {"false", false}, {"yes", true}, {"no", false}, {"on", true}, {"off", false}});
}

bool says_off(const Node& node) {
  return node.kind == Node::Kind::scalar && (node.text == "off" || node.text == "false" || node.text == "no");
}

std::optional<std::uint64_t> read_number(Reading& reading, const Node& node, std::string_view what, std::uint64_t min,
                                         std::uint64_t max) {
  const auto text = read_text(reading, node, what);
  if (!text) return {};
  std::string_view digits = *text;
  const bool is_hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
  if (is_hexadecimal) digits.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hexadecimal ? 16 : 10);
  if (error != std::errc{} || end != digits.data() + digits.size() || value < min || value > max) {
    reading.add(node, quote(*text) + " is not " + std::string(what),
                std::to_string(min) + " to " + std::to_string(max) + " would be");
    return {};
  }
  return value;
}

std::optional<milliseconds> read_duration(Reading& reading, const Node& node, milliseconds min, milliseconds max) {
  const auto text = read_text(reading, node, "a duration");
  if (!text) return {};
  const auto sum = sum_of(*text, milliseconds_of);
  if (!sum) {
    reading.add(node, quote(*text) + " is not a duration", "a number with its unit is: 500ms, 2s, 5m, 1h, 7d, 2w");
    return {};
  }
  if (*sum < static_cast<std::uint64_t>(min.count()) || *sum > static_cast<std::uint64_t>(max.count())) {
    reading.add(node, quote(*text) + " is out of range",
                show_duration(min) + " to " + show_duration(max) + " would do");
    return {};
  }
  return milliseconds(*sum);
}

std::optional<seconds> read_seconds(Reading& reading, const Node& node, seconds min, seconds max) {
  const auto duration = read_duration(reading, node, min, max);
  if (!duration) return {};
  if (*duration % seconds(1) != milliseconds(0)) {
    reading.add(node, quote(node.text) + " is not a whole number of seconds");
    return {};
  }
  return std::chrono::duration_cast<seconds>(*duration);
}

std::optional<std::uint64_t> read_size(Reading& reading, const Node& node, std::uint64_t min, std::uint64_t max) {
  const auto text = read_text(reading, node, "a size");
  if (!text) return {};
  const auto sum = sum_of(*text, octets_of);
  if (!sum) {
    reading.add(node, quote(*text) + " is not a size", "a number with its unit is: 512KiB, 64MiB, 4GiB, 500MB");
    return {};
  }
  if (*sum < min || *sum > max) {
    reading.add(node, quote(*text) + " is out of range", show_size(min) + " to " + show_size(max) + " would do");
    return {};
  }
  return sum;
}

std::optional<IpAddress> read_address(Reading& reading, const Node& node) {
  const auto text = read_text(reading, node, "an address");
  if (!text) return {};
  auto address = IpAddress::parse(*text);
  if (!address) reading.add(node, quote(*text) + " is not an address", "192.168.1.20 or fd00::20 would be");
  return address;
}

std::optional<IpPrefix> read_prefix(Reading& reading, const Node& node) {
  const auto text = read_text(reading, node, "an address or network");
  if (!text) return {};
  auto prefix = IpPrefix::parse(*text);
  if (!prefix) {
    reading.add(node, quote(*text) + " is not an address or network", "192.168.1.20 or 192.168.0.0/16 would be");
    return {};
  }
  // IpPrefix clears what stands behind its length, and then the rule is not the one that was written.
  const std::string_view written = std::string_view(*text).substr(0, text->find('/'));
  if (const auto address = IpAddress::parse(written); address && *address != prefix->address()) {
    reading.add(node, quote(*text) + " has bits behind its length", "the network is " + prefix->to_string());
    return {};
  }
  return prefix;
}

std::optional<Endpoint> read_endpoint(Reading& reading, const Node& node, std::uint16_t default_port) {
  const auto text = read_text(reading, node, "an address, with a port or without");
  if (!text) return {};
  auto endpoint = Endpoint::parse(*text, default_port);
  if (!endpoint || endpoint->port == 0) {
    reading.add(node, quote(*text) + " is not an address, with a port or without",
                "1.1.1.1, 127.0.0.1:5399, 2620:fe::fe or [2620:fe::fe]:53 would be");
    return {};
  }
  return endpoint;
}

std::optional<dns::Name> read_name(Reading& reading, const Node& node) {
  const auto text = read_text(reading, node, "a domain name");
  return text ? read_name(reading, node, *text) : std::nullopt;
}

std::optional<dns::Name> read_name(Reading& reading, const Node& node, std::string_view text) {
  const auto name = parse_domain_name(text);
  if (name) return *name;
  reading.add(node, quote(text) + " is not a domain name", name.error());
  return {};
}

std::optional<std::filesystem::path> read_input_path(Reading& reading, const Node& node) {
  const auto path = read_path(reading, node);
  if (!path || path->is_absolute()) return path;
  const std::filesystem::path folder = reading.file().parent_path();
  const std::filesystem::path beside = folder / *path;
  // An absolute path, for `..` of a file that stands in the working folder itself.
  std::error_code error;
  const std::filesystem::path above =
      std::filesystem::absolute(reading.file(), error).parent_path().parent_path() / *path;
  if (std::filesystem::exists(beside, error) || error) return beside;
  return std::filesystem::exists(above, error) ? above : beside;
}

std::optional<std::filesystem::path> read_output_path(Reading& reading, const Node& node) {
  const auto path = read_path(reading, node);
  if (!path || path->is_absolute()) return path;
  std::error_code error;
  return std::filesystem::absolute(reading.file().parent_path() / *path, error).lexically_normal();
}

}  // namespace doline::config
