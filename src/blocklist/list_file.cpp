#include "blocklist/list_file.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"
#include "blocklist/lanes.h"
#include "blocklist/line_reader.h"
#include "blocklist/pattern_set.h"

namespace doline::blocklist {
namespace {

// recognise() judges by the beginning: enough lines for a list that mixes names with addresses and paths.
constexpr std::size_t judged_lines_max = 4096;

bool is_markup(std::string_view first_line) {
  return first_line.starts_with('<') || first_line.starts_with('{') || first_line.starts_with('[');
}

bool is_all_of(std::string_view text, std::string_view octets) {
  return text.find_first_not_of(octets) == std::string_view::npos;
}

}  // namespace

// A name's wire form is its text one octet further on, with each dot replaced by the length of the label behind it.
std::size_t LineReader::to_wire_at_a_glance(const char* text) {
  constexpr std::size_t octets_max = 15 * sizeof(Lanes);  // of the name and what ends it
  labels_ = 0;
  std::size_t begin = 0;  // of the label under way
  for (std::size_t at = 0; at < octets_max; at += sizeof(Lanes)) {
    Lanes octets = load_lanes(text + at);
    const auto are_letters = static_cast<Lanes>((octets | 0x20) - 'a' < 26);
    const auto are_others =
        static_cast<Lanes>(octets - '0' < 10) | static_cast<Lanes>(octets == '-') | static_cast<Lanes>(octets == '_');
    octets |= are_letters & 0x20;
    std::memcpy(wire_.data() + 1 + at, &octets, sizeof octets);
    for (std::uint32_t ends = bits_of(~(are_letters | are_others)); ends != 0; ends &= ends - 1) {
      const std::size_t end = at + static_cast<std::size_t>(std::countr_zero(ends));
      const std::size_t size = end - begin;
      if (size == 0 || size > dns::label_octets_max) return 0;
      wire_[begin] = static_cast<std::uint8_t>(size);
      ++labels_;
      if (text[end] == '.') {
        begin = end + 1;
        continue;
      }
      wire_[end + 1] = 0;
      wire_size_ = end + 2;
      const bool may_be_numbers = text[end - 1] >= '0' && text[end - 1] <= '9';
      return may_be_numbers || labels_ == 1 || is_localhost_kin() ? 0 : end;
    }
  }
  return 0;
}

std::optional<std::pair<LineFault, std::size_t>> LineReader::to_wire(std::string_view token) {
  // Every name, where the format can say that; on a line of its own it is a slip of the keys.
  if (token == "." && !is_plain_format()) {
    wire_[0] = 0;
    wire_size_ = 1;
    labels_ = 0;
    return std::nullopt;
  }
  if (format_ == ListFormat::rpz && token.find('\\') != token.npos) {
    const auto name = dns::Name::parse(token);
    if (!name) return {{LineFault::bad_name, 0}};
    const auto wire = name->lowered();
    std::copy(wire.wire().begin(), wire.wire().end(), wire_.begin());
    wire_size_ = wire.size();
    labels_ = static_cast<std::uint8_t>(wire.label_count());
    return std::nullopt;
  }
  if (token.ends_with('.')) token.remove_suffix(1);
  if (token.empty()) return {{LineFault::no_name, 0}};
  if (token.size() + 2 > dns::name_octets_max) {
    return {{is_address(token) ? LineFault::an_address : LineFault::too_long, 0}};
  }
  std::uint8_t* length = wire_.data();  // of the label under way
  std::uint8_t* out = length + 1;
  labels_ = 1;
  for (std::size_t at = 0; at < token.size(); ++at) {
    const auto octet = static_cast<std::uint8_t>(token[at]);
    const std::uint8_t small = folded[octet];
    if (small > '.') {
      *out++ = small;
      continue;
    }
    if (small == '-') {
      *out++ = small;
      continue;
    }
    if (small == 0) {
      if (octet < ' ' || octet == 0x7f) return {{LineFault::not_text, at}};
      if (is_address(token)) return {{LineFault::an_address, 0}};
      return {{LineFault::bad_name, at}};
    }
    const std::ptrdiff_t size = out - length - 1;
    if (size == 0) return {{LineFault::bad_name, at}};
    if (size > static_cast<std::ptrdiff_t>(dns::label_octets_max)) return {{LineFault::too_long, at}};
    *length = static_cast<std::uint8_t>(size);
    length = out++;
    ++labels_;
  }
  const std::ptrdiff_t size = out - length - 1;
  if (size == 0) return {{LineFault::bad_name, token.size() - 1}};
  if (size > static_cast<std::ptrdiff_t>(dns::label_octets_max)) return {{LineFault::too_long, token.size() - 1}};
  *length = static_cast<std::uint8_t>(size);
  *out++ = 0;
  wire_size_ = static_cast<std::size_t>(out - wire_.data());
  // `1.2.3.4` is spelled like a name; so is `1.2.3`, which no one can mean as one.
  if (token.back() >= '0' && token.back() <= '9' && is_all_of(token, "0123456789.")) {
    return {{is_address(token) ? LineFault::an_address : LineFault::bad_name, 0}};
  }
  return std::nullopt;
}

// An address, also with a zone, a port or a prefix length behind it.
bool LineReader::is_address(std::string_view token) {
  if (address_size_ > 0 && token == last_address()) return true;
  std::string_view address = token.substr(0, token.find_first_of("%/"));
  bool is = IpAddress::parse(address).has_value();
  if (!is && address.starts_with('[')) {
    is = IpAddress::parse(address.substr(1, address.find(']') - 1)).has_value();
  } else if (!is) {
    const std::size_t colon = address.rfind(':');
    is = colon != std::string_view::npos && IpAddress::parse(address.substr(0, colon)).has_value();
  }
  if (is && token.size() <= address_.size()) {
    address_size_ = token.size();
    std::memcpy(address_.data(), token.data(), address_size_);
    // Of what no device can connect to, a line says no more than that its names are listed.
    const auto answer = IpAddress::parse(token);
    own_address_.rule = {};
    if (answer && answer->is_unicast() && !answer->is_unspecified() && !answer->is_loopback()) {
      own_address_.rule.effect = ListRule::Effect::answer;
      own_address_.rule.answer = make_answer(*answer);
    }
  }
  return is;
}

bool LineReader::is_localhost_kin() const {
  const std::string_view wire(reinterpret_cast<const char*>(wire_.data()), wire_size_);
  if (labels_ == 2) return wire == std::string_view("\x09localhost\x0blocaldomain\0", 23);
  if (labels_ != 1) return false;
  const std::string_view label = wire.substr(1, wire_[0]);
  for (const std::string_view kin :
       {"localhost", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix",
        "ip6-allnodes", "ip6-allrouters", "ip6-allhosts"}) {
    if (label == kin) return true;
  }
  return false;
}

std::shared_ptr<const Expression> LineReader::try_pattern(std::string_view pattern) {
  if (pattern.size() > pattern_octets_max) return nullptr;
  auto expression = Expression::compile(pattern);
  return expression ? *std::move(expression) : nullptr;
}

void LineReader::read_items(std::string_view line) {
  items_.clear();
  const std::size_t from = line_ == 1 && line.starts_with("\xef\xbb\xbf") ? 3 : 0;
  line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
  if (format_ == ListFormat::rpz) return zone_.read_line(line, items_);
  const std::size_t begin = line.find_first_not_of(" \t", from);
  if (begin == line.npos) return;
  read_trimmed(line.substr(begin));
  items_.shift(begin);
}

void LineReader::read_trimmed(std::string_view line) {
  switch (format_) {
    case ListFormat::adblock:
      return read_adblock_line(line, items_);
    case ListFormat::dnsmasq:
      return read_dnsmasq_line(line, items_);
    case ListFormat::unbound:
      return unbound_.read_line(line, items_);
    case ListFormat::regex:
      return read_regex_line(line, items_);
    case ListFormat::addresses:
      if (line.front() != '#' && line.front() != ';' && line.front() != '!') read_address_line(line, items_);
      return;
    case ListFormat::domains:
    case ListFormat::wildcard:
      return read_wildcard_line(line, items_);
    case ListFormat::hosts:
    case ListFormat::rpz:
      return;
  }
}

std::string_view to_string(ListFormat format) {
  switch (format) {
    case ListFormat::hosts:
      return "hosts";
    case ListFormat::domains:
      return "domains";
    case ListFormat::wildcard:
      return "wildcard";
    case ListFormat::adblock:
      return "adblock";
    case ListFormat::rpz:
      return "rpz";
    case ListFormat::dnsmasq:
      return "dnsmasq";
    case ListFormat::unbound:
      return "unbound";
    case ListFormat::regex:
      return "regex";
    case ListFormat::addresses:
      return "addresses";
  }
  return "?";
}

std::optional<ListFormat> parse_list_format(std::string_view text) {
  for (std::size_t at = 0; at < list_formats; ++at)
    if (text == to_string(static_cast<ListFormat>(at))) return static_cast<ListFormat>(at);
  return std::nullopt;
}

std::string_view to_string(LineFault fault) {
  switch (fault) {
    case LineFault::bad_name:
      return "not a domain name";
    case LineFault::an_address:
      return "an address, not a name";
    case LineFault::no_name:
      return "no name on the line";
    case LineFault::too_long:
      return "too long";
    case LineFault::not_text:
      return "not text";
    case LineFault::cosmetic:
      return "about a page's elements, not names";
    case LineFault::url_rule:
      return "about a URL's path, not its name";
    case LineFault::unknown_modifier:
      return "a modifier that DNS does not know";
    case LineFault::bad_modifier:
      return "a modifier's value that cannot be";
    case LineFault::bad_pattern:
      return "not a regular expression that takes linear time";
    case LineFault::bad_address:
      return "not an address or a prefix";
    case LineFault::bad_record:
      return "not a record";
    case LineFault::other_zone:
      return "a name outside the zone";
    case LineFault::not_for_lists:
      return "lists nothing";
  }
  return "?";
}

bool is_damage(LineFault fault) {
  switch (fault) {
    case LineFault::cosmetic:
    case LineFault::url_rule:
    case LineFault::unknown_modifier:
    case LineFault::not_for_lists:
      return false;
    default:
      return true;
  }
}

std::uint64_t ReadResult::damaged() const {
  std::uint64_t lines_damaged = 0;
  for (std::size_t at = 0; at < line_faults; ++at)
    if (is_damage(static_cast<LineFault>(at))) lines_damaged += skipped[at];
  return lines_damaged;
}

// Which formats a line, without blanks around it, can be of. Names alone may stand in AdBlock lists too.
namespace {

struct LineKind {
  std::optional<ListFormat> format;
  bool is_neutral = false;  // stands in lists of several formats
  bool is_telling = false;  // AdBlock's, and nothing else's
};

bool starts_with_any(std::string_view line, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return line.starts_with(word); });
}

LineKind kind_of(std::string_view line) {
  const auto reads_as = [&](ListFormat format) {
    bool has_name = false;
    LineReader reader(format, false);
    reader.read(
        line, true,
        [&](const ListedName& name) {
          // A lone word is more likely a line of an error page than a top-level domain.
          has_name = has_name || name.labels > 1 || !name.covers_name;
          return true;
        },
        [&](const ListedRule& rule) { return has_name = has_name || rule.of != Listed::name || rule.name.labels > 1; },
        [](const LineProblem&) {});
    // Of a hosts file's preamble nothing is listed, but it is a hosts file's.
    return has_name || (format == ListFormat::hosts && reader.result().problems == 0 && reader.result().entries == 0);
  };
  if (starts_with_any(line, {"||", "@@", "|"}) || line.find("##") != line.npos || line.find("#@#") != line.npos ||
      line.find("$third-party") != line.npos || line.find("$domain=") != line.npos ||
      line.find(",domain=") != line.npos)
    return {ListFormat::adblock, false, true};
  if (starts_with_any(line, {"address=/", "server=/", "local=/"})) return {ListFormat::dnsmasq, false};
  if (starts_with_any(line, {"local-zone:", "local-data:"})) return {ListFormat::unbound, false};
  if (starts_with_any(line, {"$TTL", "$ORIGIN"})) return {ListFormat::rpz, false};
  if (reads_as(ListFormat::hosts)) return {ListFormat::hosts, false};
  if (reads_as(ListFormat::domains))
    return {line.starts_with("*.") ? ListFormat::wildcard : ListFormat::domains, false};
  if (line == "server:") return {std::nullopt, true};
  // `name [ttl] [IN] CNAME target`, `@ SOA ...`
  for (const std::string_view type : {" CNAME ", "\tCNAME\t", "\tCNAME ", " SOA ", "\tSOA ", "\tSOA\t"})
    if (line.find(type) != line.npos) return {ListFormat::rpz, false};
  const std::string_view first = line.substr(0, line.find_first_of(" \t#;,"));
  if (IpPrefix::parse(first)) return {ListFormat::addresses, true};
  // Parts of URLs: most of the lists for browsers that are given to resolvers all the same.
  if (line.find_first_of(" \t") == line.npos &&
      (std::string_view("&-_.?,=+:$").find(line.front()) != line.npos || (line.front() == '/' && line.back() != '/')))
    return {ListFormat::adblock, false};
  if (line.starts_with('/') && line.size() > 2 && line.rfind('/') > 0) return {ListFormat::regex, true};
  if (const std::size_t end = line.find(';'); end != line.npos && is_regex_word(line.substr(end + 1)))
    line = line.substr(0, end);
  if (line.find_first_of("^$\\(") != line.npos && line.find_first_of(" <>{};:=") == line.npos)
    return {ListFormat::regex, false};
  return {};
}

}  // namespace

bool says_nothing(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t begin = line.find_first_not_of(" \t\r\f\v");
    if (begin != line.npos && line[begin] != '#' && line[begin] != '!' && line[begin] != ';') return false;
  }
  return true;
}

std::optional<ListFormat> recognise(std::string_view text) {
  std::array<std::size_t, list_formats> count{};
  std::size_t lines = 0, neutral = 0, telling = 0;
  bool is_after_parenthesis = false;  // inside a record over several lines
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::size_t at = 0; at < text.size() && lines < judged_lines_max;) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.find('\0') != std::string_view::npos) return std::nullopt;
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#' || line.front() == '!' || line.front() == ';') continue;
    if (lines == 0 && line.starts_with('[') && (line.find("dblock") != line.npos || line.find("dGuard") != line.npos)) {
      return ListFormat::adblock;
    }
    if (lines == 0 && is_markup(line)) return std::nullopt;
    ++lines;
    if (is_after_parenthesis) {
      is_after_parenthesis = line.find(')') == line.npos;
      ++neutral;
      continue;
    }
    const LineKind kind = kind_of(line);
    if (kind.format) ++count[static_cast<std::size_t>(*kind.format)];
    if (kind.is_neutral) ++neutral;
    if (kind.is_telling) ++telling;
    if (kind.format == ListFormat::rpz)
      is_after_parenthesis = line.find('(') != line.npos && line.find(')') == line.npos;
  }
  const auto of = [&](ListFormat format) { return count[static_cast<std::size_t>(format)]; };
  // A handful of AdBlock's own rules tell what the plain names among them are; so do a zone's first lines.
  const std::size_t names = of(ListFormat::hosts) + of(ListFormat::domains) + of(ListFormat::wildcard);
  if (telling > 0 && (of(ListFormat::adblock) + names + of(ListFormat::regex)) * 2 > lines) return ListFormat::adblock;
  for (const ListFormat format : {ListFormat::rpz, ListFormat::dnsmasq, ListFormat::unbound, ListFormat::hosts})
    if (of(format) * 2 > lines - neutral && of(format) > 0) return format;
  const std::size_t domains = of(ListFormat::domains) + of(ListFormat::wildcard);
  if (domains > 0 && domains * 2 > lines - of(ListFormat::addresses))
    return of(ListFormat::wildcard) > of(ListFormat::domains) ? ListFormat::wildcard : ListFormat::domains;
  if (of(ListFormat::regex) > 0 && of(ListFormat::regex) * 2 > lines) return ListFormat::regex;
  if (of(ListFormat::addresses) * 2 > lines) return ListFormat::addresses;
  return std::nullopt;
}

std::string why_unrecognised(std::string_view text) {
  if (text.empty()) return "is empty";
  for (const auto& [beginning, packing] :
       {std::pair("PK\3\4", "zip"), std::pair("BZh", "bzip2"), std::pair("7z\xbc\xaf", "7z")})
    if (text.starts_with(beginning)) return std::string("is packed with ") + packing + "; gz, xz and zst are read";
  return "looks like none of the formats of lists; if it is one, say which by `format`";
}

std::string to_string(const Entry& entry) {
  std::string text = to_string(entry.rule);
  std::string what;
  std::string_view of;
  switch (entry.of) {
    case Listed::server_name:
      of = "server ";
      what = entry.name.to_string();
      what.resize(what.size() - std::min(what.size(), server_label.size() + 1));  // the label and its dot
      what = (!entry.covers_name ? "*." : entry.covers_below ? "||" : "|") + what + '^';
      break;
    case Listed::name:
      what = !entry.covers_name ? "*." : entry.covers_below ? "||" : "|";
      what += (entry.name.is_root() && !entry.covers_name ? "" : entry.name.to_string()) + '^';
      break;
    case Listed::pattern:
      what = '/' + entry.pattern + '/';
      break;
    case Listed::client_address:
    case Listed::server_address:
      of = entry.of == Listed::client_address ? "client " : "server ";
      [[fallthrough]];
    case Listed::answer_address:
      what = entry.prefix.to_string();
      break;
  }
  return std::string(of) + (text.starts_with("@@") ? "@@" + what + text.substr(2) : what + text);
}

dns::Name to_server_trigger(const dns::Name& server) {
  const auto wire = server.wire();
  std::vector<std::uint8_t> octets(wire.begin(), wire.end() - 1);
  octets.push_back(static_cast<std::uint8_t>(server_label.size()));
  octets.insert(octets.end(), server_label.begin(), server_label.end());
  octets.push_back(0);
  return dns::Name::from_wire(octets).value_or(dns::Name());
}

bool speaks_of(const Entry& entry, const dns::Name& lowered) {
  switch (entry.of) {
    case Listed::name:
    case Listed::server_name:
      return entry.name == lowered ? entry.covers_name : entry.covers_below && lowered.is_within(entry.name);
    case Listed::pattern:
      return entry.expression->finds(lowered);
    case Listed::answer_address:
    case Listed::client_address:
    case Listed::server_address:
      return false;
  }
  return false;
}

bool speaks_of(const Entry& entry, Listed of, const IpAddress& address) {
  const bool is_of_address =
      of == Listed::answer_address || of == Listed::client_address || of == Listed::server_address;
  return is_of_address && entry.of == of && entry.prefix.contains(address);
}

namespace {

Entry to_entry(const ListedName& listed) {
  Entry entry;
  const auto name = dns::Name::from_wire(listed.wire);
  check(name.has_value());
  entry.name = *name;
  entry.covers_name = listed.covers_name;
  entry.covers_below = listed.covers_below;
  entry.line = listed.line;
  return entry;
}

Entry to_entry(const ListedRule& listed) {
  Entry entry = listed.is_of_name() ? to_entry(listed.name) : Entry{};
  entry.of = listed.of;
  entry.pattern = listed.pattern;
  entry.expression = listed.expression;
  entry.prefix = listed.prefix;
  entry.rule = listed.rule;
  entry.line = listed.line;
  return entry;
}

}  // namespace

ReadResult read_list(std::string_view text, ListFormat format, bool subdomains,
                     const std::function<void(const Entry&)>& on_entry,
                     const std::function<void(const LineProblem&)>& on_problem) {
  LineReader reader(format, subdomains);
  const auto hand_on = [&](const auto& listed) {
    on_entry(to_entry(listed));
    return true;
  };
  reader.read(text, true, hand_on, hand_on, on_problem);
  return reader.result();
}

std::vector<Entry> find_lines(std::string_view text, ListFormat format, bool subdomains, const dns::Name& name) {
  const dns::Name lowered = name.lowered();
  const auto wanted = lowered.wire();
  std::vector<Entry> found;
  // At a glance: the same octets might begin inside a label.
  const auto may_speak = [&](const ListedName& listed) {
    const auto wire = listed.wire;
    return wire.size() <= wanted.size() &&
           std::memcmp(wanted.data() + wanted.size() - wire.size(), wire.data(), wire.size()) == 0;
  };
  const auto keep = [&](const auto& listed) {
    if (Entry entry = to_entry(listed); speaks_of(entry, lowered)) found.push_back(std::move(entry));
    return found.size() < lines_found_max;
  };
  LineReader reader(format, subdomains);
  reader.read(
      text, true, [&](const ListedName& listed) { return !may_speak(listed) || keep(listed); },
      [&](const ListedRule& listed) { return (listed.is_of_name() && !may_speak(listed.name)) || keep(listed); },
      [](const LineProblem&) {});
  return found;
}

std::vector<Entry> find_lines(std::string_view text, ListFormat format, Listed of, const IpAddress& address) {
  std::vector<Entry> found;
  LineReader reader(format, false);
  reader.read(
      text, true, [](const ListedName&) { return true; },
      [&](const ListedRule& listed) {
        if (listed.of == of)
          if (Entry entry = to_entry(listed); speaks_of(entry, of, address)) found.push_back(std::move(entry));
        return found.size() < lines_found_max;
      },
      [](const LineProblem&) {});
  return found;
}

}  // namespace doline::blocklist
