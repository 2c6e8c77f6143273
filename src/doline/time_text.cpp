#include "doline/time_text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <utility>

namespace doline {

namespace {

/// Takes `digits_min` to `digits_max` digits off the front; -1 where there are too few.
int take_number(std::string_view& text, std::size_t digits_min, std::size_t digits_max) {
  std::size_t count = 0;
  while (count < text.size() && count < digits_max && text[count] >= '0' && text[count] <= '9') ++count;
  if (count < digits_min) return -1;
  int number = 0;
  std::from_chars(text.data(), text.data() + count, number);
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::tm local_parts(WallTime time) {
  const std::time_t since_1970 = std::chrono::floor<seconds>(time).time_since_epoch().count();
  std::tm parts{};
  localtime_r(&since_1970, &parts);
  return parts;
}

std::optional<WallTime> midnight(WallTime now, int days_back) {
  std::tm parts = local_parts(now);
  parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
  parts.tm_mday -= days_back;
  parts.tm_isdst = -1;
  const std::time_t since_1970 = std::mktime(&parts);
  return WallTime(seconds(since_1970));
}

std::optional<WallTime> parse_date(std::string_view text) {
  std::tm parts{};
  const int year = take_number(text, 4, 4);
  if (year < 1970 || !take(text, "-")) return std::nullopt;
  const int month = take_number(text, 2, 2);
  if (month < 1 || month > 12 || !take(text, "-")) return std::nullopt;
  const int day = take_number(text, 2, 2);
  if (day < 1 || day > 31) return std::nullopt;
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  microseconds fraction{0};
  if (take(text, "T") || take(text, " ")) {
    parts.tm_hour = take_number(text, 2, 2);
    if (parts.tm_hour < 0 || parts.tm_hour > 23 || !take(text, ":")) return std::nullopt;
    parts.tm_min = take_number(text, 2, 2);
    if (parts.tm_min < 0 || parts.tm_min > 59) return std::nullopt;
    if (take(text, ":")) {
      parts.tm_sec = take_number(text, 2, 2);
      if (parts.tm_sec < 0 || parts.tm_sec > 60) return std::nullopt;
      if (take(text, ".")) {
        const std::size_t before = text.size();
        int number = take_number(text, 1, 6);
        if (number < 0) return std::nullopt;
        for (std::size_t digits = before - text.size(); digits < 6; ++digits) number *= 10;
        fraction = microseconds(number);
      }
    }
  }
  std::time_t since_1970 = 0;
  if (text.empty()) {
    std::tm local = parts;
    local.tm_isdst = -1;
    since_1970 = std::mktime(&local);
    if (local.tm_mday != day) return std::nullopt;  // 2026-02-30
  } else {
    std::tm utc = parts;
    since_1970 = timegm(&utc);
    if (utc.tm_mday != day) return std::nullopt;
    if (!take(text, "Z")) {
      const bool is_west = text.starts_with('-');
      if (!take(text, "+") && !take(text, "-")) return std::nullopt;
      const int hours = take_number(text, 2, 2);
      const bool has_minutes = take(text, ":") || !text.empty();
      const int minutes = has_minutes ? take_number(text, 2, 2) : 0;
      if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
      since_1970 -= (is_west ? -1 : 1) * (hours * 3600 + minutes * 60);
    }
    if (!text.empty()) return std::nullopt;
  }
  return WallTime(seconds(since_1970)) + fraction;
}

}  // namespace

std::optional<seconds> parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, int> units[] = {
      {"s", 1}, {"m", 60}, {"h", 3'600}, {"d", 86'400}, {"w", 7 * 86'400}};
  seconds sum{0};
  do {
    const int number = take_number(text, 1, 7);
    const auto unit =
        std::find_if(std::begin(units), std::end(units), [&](const auto& one) { return take(text, one.first); });
    if (number < 0 || unit == std::end(units)) return std::nullopt;
    sum += seconds(unit->second) * number;
  } while (!text.empty());
  return sum;
}

std::optional<WallTime> parse_time(std::string_view text, WallTime now) {
  if (text == "now") return now;
  if (text == "today") return midnight(now, 0);
  if (text == "yesterday") return midnight(now, 1);
  if (const auto ago = parse_duration(text)) return now - *ago;
  return parse_date(text);
}

std::string to_utc_text(WallTime time) {
  const auto whole = std::chrono::floor<seconds>(time);
  const std::time_t since_1970 = whole.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&since_1970, &parts);
  char text[48];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>((time - whole).count()));
  return text;
}

std::string to_local_text(WallTime time) {
  const std::tm parts = local_parts(time);
  char text[48];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string to_zoned_text(WallTime time) {
  return to_local_text(time) + ' ' + local_zone(time);
}

std::string local_zone(WallTime time) {
  const std::tm parts = local_parts(time);
  char text[48];
  text[std::strftime(text, sizeof text, "%Z", &parts)] = '\0';
  return text;
}

}  // namespace doline
