#include "blocklist/list_file.h"

#include <bit>
#include <string>

#include "base/check.h"
#include "blocklist/lanes.h"
#include "blocklist/line_reader.h"

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

std::string_view to_string(ListFormat format) {
  switch (format) {
    case ListFormat::hosts:
      return "hosts";
    case ListFormat::domains:
      return "domains";
  }
  return "?";
}

std::optional<ListFormat> parse_list_format(std::string_view text) {
  for (const ListFormat format : {ListFormat::hosts, ListFormat::domains}) {
    if (text == to_string(format)) return format;
  }
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
  }
  return "?";
}

std::optional<ListFormat> recognise(std::string_view text) {
  std::size_t lines = 0;
  std::size_t hosts_lines = 0;
  std::size_t domain_lines = 0;
  std::size_t address_lines = 0;  // domain lists that hold addresses too, sorted, begin with thousands of them
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::size_t at = 0; at < text.size() && lines < judged_lines_max;) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.find('\0') != std::string_view::npos) return std::nullopt;
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#' || line.front() == '!' || line.front() == ';') continue;
    if (lines == 0 && is_markup(line)) return std::nullopt;
    ++lines;

    bool has_name = false;
    const auto on_name = [&](const ListedName& name) {
      // A lone word is more likely a line of an error page than a top-level domain.
      has_name = has_name || name.labels > 1 || !name.covers_name;
      return true;
    };
    bool is_lone_address = false;
    const auto on_problem = [&](const LineProblem& problem) {
      is_lone_address = problem.fault == LineFault::an_address;
    };
    LineReader hosts(ListFormat::hosts, false);
    hosts.read(line, true, on_name, on_problem);
    // Of a hosts file's preamble nothing is listed, but it is a hosts file's.
    if (has_name || (hosts.result().problems == 0 && hosts.result().entries == 0)) {
      ++hosts_lines;
      continue;
    }
    LineReader domains(ListFormat::domains, false);
    domains.read(line, true, on_name, on_problem);
    if (has_name) ++domain_lines;
    if (is_lone_address) ++address_lines;
  }
  if (hosts_lines * 2 > lines) return ListFormat::hosts;
  if (domain_lines * 2 > lines - address_lines) return ListFormat::domains;
  return std::nullopt;
}

ReadResult read_list(std::string_view text, ListFormat format, bool subdomains,
                     const std::function<void(const Entry&)>& on_entry,
                     const std::function<void(const LineProblem&)>& on_problem) {
  LineReader reader(format, subdomains);
  Entry entry;
  reader.read(
      text, true,
      [&](const ListedName& listed) {
        const auto name = dns::Name::from_wire(listed.wire);
        check(name.has_value());
        entry = {*name, listed.covers_name, listed.covers_below, listed.line};
        on_entry(entry);
        return true;
      },
      on_problem);
  return reader.result();
}

std::optional<Entry> find_line(std::string_view text, ListFormat format, bool subdomains, const dns::Name& name) {
  const dns::Name lowered = name.lowered();
  const auto wanted = lowered.wire();
  std::optional<Entry> found;
  LineReader reader(format, subdomains);
  reader.read(
      text, true,
      [&](const ListedName& listed) {
        const auto wire = listed.wire;
        if (wire.size() > wanted.size()) return true;
        const bool equal = wire.size() == wanted.size();
        if (equal ? !listed.covers_name : !listed.covers_below) return true;
        if (std::memcmp(wanted.data() + wanted.size() - wire.size(), wire.data(), wire.size()) != 0) return true;
        const auto entry_name = dns::Name::from_wire(wire);
        check(entry_name.has_value());
        // The same octets might begin inside a label; is_within counts in labels.
        if (!lowered.is_within(*entry_name)) return true;
        found = Entry{*entry_name, listed.covers_name, listed.covers_below, listed.line};
        return false;
      },
      [](const LineProblem&) {});
  return found;
}

}  // namespace doline::blocklist
