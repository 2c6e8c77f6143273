// List files as publishers write them: which format a file is, and what each of its lines says.
//
// Reads text of any size in one pass from memory (a mapped file), line by line; a line that cannot be read is reported
// with its number and reason and the rest is used. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/name.h"

namespace doline::blocklist {

enum class ListFormat : std::uint8_t { hosts, domains };
[[nodiscard]] std::string_view to_string(ListFormat format);
[[nodiscard]] std::optional<ListFormat> parse_list_format(std::string_view text);
/// By content (the first lines that are not comments); nothing where it looks like neither (HTML, binary, an empty
/// file).
[[nodiscard]] std::optional<ListFormat> recognise(std::string_view text);

/// Why a line gave no name. Comments and blank lines are not skipped lines.
enum class LineFault : std::uint8_t { bad_name, an_address, no_name, too_long, not_text };
[[nodiscard]] std::string_view to_string(LineFault fault);

struct Entry {
  dns::Name name;             ///< small letters
  bool covers_name = true;    ///< false for `*.name`
  bool covers_below = false;  ///< `*.name`, or where the list says `subdomains: true`
  std::uint32_t line = 0;     ///< from 1
};

struct LineProblem {
  std::uint32_t line = 0;
  std::uint32_t column = 0;  ///< from 1
  LineFault fault{};
};

struct ReadResult {
  std::uint64_t lines = 0;
  std::uint64_t entries = 0;  ///< with repetitions
  std::uint64_t problems = 0;
  bool operator==(const ReadResult&) const = default;
};

/// `localhost` and its kin (hosts files' preamble) give no entry and no problem. `subdomains`: plain names cover names
/// below.
ReadResult read_list(std::string_view text, ListFormat format, bool subdomains,
                     const std::function<void(const Entry&)>& on_entry,
                     const std::function<void(const LineProblem&)>& on_problem);

/// The first line that covers `name`, exactly, by reading the text: for `doline explain`.
[[nodiscard]] std::optional<Entry> find_line(std::string_view text, ListFormat format, bool subdomains,
                                             const dns::Name& name);

}  // namespace doline::blocklist
