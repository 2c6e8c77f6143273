// List files as publishers write them: which format a file is, and what each of its lines says.
//
// Reads text of any size in one pass from memory (a mapped file), line by line; a line that cannot be read is reported
// with its number and reason and the rest is used. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "blocklist/expression.h"
#include "blocklist/list_rule.h"
#include "dns/name.h"

namespace doline::blocklist {

enum class ListFormat : std::uint8_t { hosts, domains, wildcard, adblock, rpz, dnsmasq, unbound, regex, addresses };
inline constexpr std::size_t list_formats = 9;
[[nodiscard]] std::string_view to_string(ListFormat format);
[[nodiscard]] std::optional<ListFormat> parse_list_format(std::string_view text);
/// By content (the first lines that are not comments); nothing where it looks like none (HTML, binary, an empty file).
[[nodiscard]] std::optional<ListFormat> recognise(std::string_view text);
/// Of such a text: `is empty`, `is packed with zip; ...`, `looks like ...`.
[[nodiscard]] std::string why_unrecognised(std::string_view text);
/// Is there nothing but comments? No format can be told of that, and none is needed.
[[nodiscard]] bool says_nothing(std::string_view text);

/// Why a line says nothing to us. Comments and blank lines are not skipped lines.
enum class LineFault : std::uint8_t {
  bad_name,
  an_address,
  no_name,
  too_long,
  not_text,
  cosmetic,          ///< AdBlock: of a page's elements
  url_rule,          ///< AdBlock: of a URL's path
  unknown_modifier,  ///< AdBlock: then the rule is void, as the field has it
  bad_modifier,
  bad_pattern,  ///< a regular expression that RE2 does not take
  bad_address,
  bad_record,
  other_zone,     ///< RPZ: the owner is not in the zone
  not_for_lists,  ///< a line of configuration that lists nothing
};
inline constexpr std::size_t line_faults = 14;
[[nodiscard]] std::string_view to_string(LineFault fault);
/// False: the line is right as its format has it, and only no matter of DNS or of a forwarder.
[[nodiscard]] bool is_damage(LineFault fault);

/// What a line is about.
enum class Listed : std::uint8_t { name, pattern, answer_address, client_address, server_name, server_address };

/// The label below which the names of name servers are kept apart from all others: RPZ's own, which no name on the
/// Internet ends in.
inline constexpr std::string_view server_label = "rpz-nsdname";
/// The trigger that speaks of a name server alone: its name with that label behind it. The root where it would be too
/// long: nothing is said of that.
[[nodiscard]] dns::Name to_server_trigger(const dns::Name& server);

struct Entry {
  Listed of = Listed::name;
  dns::Name name;             ///< small letters; of a name server as to_server_trigger() has it
  bool covers_name = true;    ///< false for `*.name`
  bool covers_below = false;  ///< `*.name`, or where the list says `subdomains: true`, or the format means it
  std::string pattern;        ///< a regular expression
  std::shared_ptr<const Expression> expression;  ///< the pattern's
  IpPrefix prefix;
  ListRule rule;           ///< is_plain() for most
  std::uint32_t line = 0;  ///< from 1
};
/// The entry in AdBlock's words: `||name^`, `|name^`, `*.name^`, `/pattern/`, with its modifiers; `client ` before a
/// client's address, `server ` before what is said of a name server.
[[nodiscard]] std::string to_string(const Entry& entry);
/// By its name or pattern.
[[nodiscard]] bool speaks_of(const Entry& entry, const dns::Name& lowered);
/// By its prefix: `of` says whose the address is.
[[nodiscard]] bool speaks_of(const Entry& entry, Listed of, const IpAddress& address);

struct LineProblem {
  std::uint32_t line = 0;
  std::uint32_t column = 0;  ///< from 1
  LineFault fault{};
};

struct ReadResult {
  std::uint64_t lines = 0;
  std::uint64_t entries = 0;     ///< with repetitions
  std::uint64_t rules = 0;       ///< of these, what says more than "this name is listed"
  std::uint64_t exceptions = 0;  ///< of these rules, those that allow
  std::uint64_t problems = 0;
  std::array<std::uint64_t, line_faults> skipped{};  ///< problems by their fault
  bool operator==(const ReadResult&) const = default;
  [[nodiscard]] std::uint64_t damaged() const;  ///< of the problems
};

/// `localhost` and its kin (hosts files' preamble) give no entry and no problem. `subdomains`: plain names of hosts
/// files and of lists of domains cover names below.
ReadResult read_list(std::string_view text, ListFormat format, bool subdomains,
                     const std::function<void(const Entry&)>& on_entry,
                     const std::function<void(const LineProblem&)>& on_problem);

/// The lines that speak of `name`, exactly, by reading the text: for `doline explain`. At most `lines_found_max`, in
/// the order of the text.
[[nodiscard]] std::vector<Entry> find_lines(std::string_view text, ListFormat format, bool subdomains,
                                            const dns::Name& name);
/// The same of an address: of the answer, the client or a name server, as `of` says.
[[nodiscard]] std::vector<Entry> find_lines(std::string_view text, ListFormat format, Listed of,
                                            const IpAddress& address);
inline constexpr std::size_t lines_found_max = 16;

}  // namespace doline::blocklist
