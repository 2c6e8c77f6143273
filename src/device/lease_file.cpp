#include "device/lease_file.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace doline::device {

namespace {

constexpr std::size_t recognised_lines = 200;  // how far the format is looked for

bool is_blank(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\r';
}
bool is_letter_or_digit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9');
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_words(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    while (at < line.size() && is_blank(line[at])) ++at;
    std::size_t end = at;
    while (end < line.size() && !is_blank(line[end])) ++end;
    if (end > at) words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

/// Lines with their numbers.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return true;
  }
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// The link-layer address in a DUID-LLT or DUID-LL of Ethernet (RFC 8415 §11.2, §11.4): `00:01:00:01:…`, with or
/// without colons.
std::optional<MacAddress> mac_of_duid(std::string_view text) {
  std::string digits;
  for (const char letter : text)
    if (letter != ':') digits.push_back(letter);
  const bool is_llt = digits.starts_with("00010001") && digits.size() == 28;
  const bool is_ll = digits.starts_with("00030001") && digits.size() == 20;
  if (!is_llt && !is_ll) return std::nullopt;
  return MacAddress::parse(std::string_view(digits).substr(digits.size() - 12));
}

/// Collects leases; the last word on an address counts.
class Collector {
 public:
  Collector(LeaseReading& reading, WallTime now)
      : reading_(reading), now_(std::chrono::duration_cast<seconds>(now.time_since_epoch()).count()) {}

  /// `ends`: seconds since 1970; absent: never.
  void add(const IpAddress& address, std::optional<MacAddress> mac, std::string_view hostname,
           std::optional<std::int64_t> ends) {
    if (ends && *ends < now_) return end(address);
    place(address) = {{address, mac.value_or(MacAddress{}), to_hostname(hostname), !ends.has_value()}, true};
  }
  void end(const IpAddress& address) { place(address).runs = false; }
  void complain(std::size_t line, std::string what) {
    if (reading_.problems.size() < lease_problems_max) reading_.problems.push_back({line, std::move(what)});
  }
  [[nodiscard]] bool is_full() const { return leases_.size() >= leases_max; }
  void finish() {
    for (Lease& lease : leases_) {
      if (!lease.runs)
        ++reading_.ended;
      else if (lease.sighting.mac.is_zero())
        ++reading_.without_mac;
      else
        reading_.sightings.push_back(std::move(lease.sighting));
    }
  }

 private:
  struct Lease {
    Sighting sighting;
    bool runs = false;
  };
  Lease& place(const IpAddress& address) {
    const auto [found, is_new] = places_.try_emplace(address, leases_.size());
    if (is_new) leases_.emplace_back();
    return leases_[found->second];
  }

  LeaseReading& reading_;
  std::int64_t now_;
  std::vector<Lease> leases_;
  std::unordered_map<IpAddress, std::size_t> places_;
};

// ── dnsmasq: `expiry mac address host-name client-id`; behind the server's `duid` line: `expiry iaid address host-name
// duid` ──

/// Older builds of OpenWrt write how long a lease runs, not until when: such a number is far in the past.
constexpr std::int64_t earliest_expiry = 1'000'000'000;

bool is_dnsmasq(const std::vector<std::string_view>& words) {
  if (words.size() == 2 && words[0] == "duid") return true;
  return (words.size() == 4 || words.size() == 5) && parse_number<std::int64_t>(words[0]) && IpAddress::parse(words[2]);
}

void read_dnsmasq(std::string_view text, Collector& collector) {
  Lines lines(text);
  std::string_view line;
  while (lines.next(line) && !collector.is_full()) {
    const auto words = split_words(line);
    if (words.empty() || words[0] == "duid") continue;
    if (words.size() < 4) {
      collector.complain(lines.number(), "expected: expiry, MAC or IAID, address, host name, client id");
      continue;
    }
    const auto expiry = parse_number<std::int64_t>(words[0]);
    const auto address = IpAddress::parse(words[2]);
    if (!expiry) {
      collector.complain(lines.number(), "the expiry is not a number");
    } else if (!address) {
      collector.complain(lines.number(), "the third word is not an address");
    } else {
      const auto mac = address->is_v4()   ? MacAddress::parse(words[1])
                       : words.size() > 4 ? mac_of_duid(words[4])
                                          : std::nullopt;
      collector.add(*address, mac, words[3], *expiry < earliest_expiry ? std::nullopt : expiry);
    }
  }
}

// ── Kea's memfile: CSV whose first line names the columns; `&#x2c` for what would break it; a journal: the last line
// counts ──

bool is_kea(std::string_view line) {
  return line.starts_with("address,") &&
         (line.find(",hwaddr,") != std::string_view::npos || line.find(",duid,") != std::string_view::npos);
}

std::string unescape_kea(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.substr(at, 3) == "&#x" && text.size() - at >= 5)
      if (const auto octet = parse_number<std::uint8_t>(text.substr(at + 3, 2), 16)) {
        plain.push_back(static_cast<char>(*octet));
        at += 4;
        continue;
      }
    plain.push_back(text[at]);
  }
  return plain;
}

void split_commas(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const std::size_t end = line.find(',');
    fields.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

void read_kea(std::string_view text, Collector& collector) {
  constexpr std::int64_t infinite_lifetime = 0xffffffff;  // RFC 2131 §3.3
  Lines lines(text);
  std::string_view line;
  (void)lines.next(line);
  std::vector<std::string_view> columns, fields;
  split_commas(line, columns);
  const auto field = [&](std::string_view name) -> std::string_view {
    const auto at = static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
    return at < fields.size() ? fields[at] : std::string_view{};
  };
  while (lines.next(line) && !collector.is_full()) {
    if (line.empty()) continue;
    split_commas(line, fields);
    const auto address = IpAddress::parse(field("address"));
    const auto lifetime = parse_number<std::int64_t>(field("valid_lifetime"));
    const auto expiry = parse_number<std::int64_t>(field("expire"));
    const auto state = parse_number<int>(field("state"));
    if (fields.size() < columns.size() &&
        fields.size() + 2 < columns.size()) {  // the last two came with later versions
      collector.complain(lines.number(), "too few fields");
    } else if (!address) {
      collector.complain(lines.number(), "the address is none");
    } else if (!lifetime || !expiry || !state) {
      collector.complain(lines.number(), "lifetime, expiry or state is not a number");
    } else if (field("lease_type") == "2") {
      continue;  // a prefix delegated to a router
    } else if (*state != 0 || *lifetime == 0) {
      collector.end(*address);
    } else {
      auto mac = MacAddress::parse(field("hwaddr"));
      if (!mac) mac = mac_of_duid(field("duid"));
      if (!mac && !field("hwaddr").empty()) collector.complain(lines.number(), "the hardware address is not a MAC");
      collector.add(*address, mac, unescape_kea(field("hostname")),
                    *lifetime == infinite_lifetime ? std::nullopt : expiry);
    }
  }
}

// ── odhcpd: `# interface duid iaid host-name expiry id length address/length…`, `# interface mac ipv4 host-name …`
// ──────────

bool is_odhcpd(const std::vector<std::string_view>& words) {
  return words.size() >= 8 && words[0] == "#" && parse_number<std::int64_t>(words[5]) &&
         (words[3] == "ipv4" || parse_number<std::uint32_t>(words[3], 16));
}

void read_odhcpd(std::string_view text, Collector& collector) {
  Lines lines(text);
  std::string_view line;
  while (lines.next(line) && !collector.is_full()) {
    const auto words = split_words(line);
    if (words.empty() || words[0] != "#") continue;  // the other lines are those of a hosts file and say the same
    if (!is_odhcpd(words)) {
      collector.complain(lines.number(),
                         "expected: #, interface, DUID or MAC, IAID or ipv4, host name, expiry, id, length, addresses");
      continue;
    }
    const auto mac = words[3] == "ipv4" ? MacAddress::parse(words[2]) : mac_of_duid(words[2]);
    const auto expiry = parse_number<std::int64_t>(words[5]);
    constexpr std::string_view broken = "broken\\x20";  // a name that odhcpd itself found unfit
    const std::string_view hostname = words[4].starts_with(broken) ? std::string_view{} : words[4];
    for (std::size_t i = 8; i < words.size() && !collector.is_full(); ++i) {
      const std::size_t slash = words[i].find('/');
      const auto address = IpAddress::parse(words[i].substr(0, slash));
      if (!address)
        collector.complain(lines.number(), "an address is none");
      else if (slash == std::string_view::npos || words[i].substr(slash) == (address->is_v4() ? "/32" : "/128"))
        collector.add(*address, mac, hostname, *expiry < 0 ? std::nullopt : expiry);
    }
  }
}

// ── ISC dhcpd: dhcpd.leases(5); a journal: the last block of an address counts
// ──────────────────────────────────────────

/// Statements of words and quoted strings, ended by `;`, `{` or `}`.
class IscReader {
 public:
  explicit IscReader(std::string_view text) : text_(text) {}

  /// The words up to the mark that is returned; '\0' at the end of the text. Of long statements and words only the
  /// beginning.
  char statement(std::vector<std::string>& words) {
    constexpr std::size_t words_max = 16, word_octets_max = 256;
    words.clear();
    while (skip_blanks()) {
      const char first = text_[at_];
      if (first == ';' || first == '{' || first == '}') {
        ++at_;
        return first;
      }
      std::string word = first == '"' ? take_string() : take_word();
      if (word.size() > word_octets_max) word.resize(word_octets_max);
      if (words.size() < words_max) words.push_back(std::move(word));
    }
    return '\0';
  }
  [[nodiscard]] std::size_t line() const { return line_; }

 private:
  /// Over comments too. False: nothing is left.
  bool skip_blanks() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_ == text_.size()) return false;
      if (text_[at_] == '\n')
        ++line_;
      else if (!is_blank(text_[at_]))
        return true;
    }
    return false;
  }
  std::string take_word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) &&
           std::string_view("\n{};\"#").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }
  std::string take_string() {
    std::string taken;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      if (text_[at_] == '\n') ++line_;
      taken.push_back(text_[at_]);
    }
    at_ = std::min(at_ + 1, text_.size());
    return taken;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

bool is_isc(const std::vector<std::string_view>& words) {
  return (words.size() == 3 && words[0] == "lease" && words[2] == "{") ||
         (words.size() == 2 && (words[0] == "authoring-byte-order" || words[0] == "server-duid"));
}

/// `never`, `epoch 1703034959`, or `3 2023/12/20 01:15:59` (UTC). Nothing where it cannot be read; an inner nothing is
/// `never`.
std::optional<std::optional<std::int64_t>> parse_isc_time(const std::vector<std::string>& words) {
  if (words.size() >= 2 && words[1] == "never") return std::optional<std::int64_t>{};
  if (words.size() >= 3 && words[1] == "epoch") {
    const auto value = parse_number<std::int64_t>(words[2]);
    return value ? std::optional(value) : std::nullopt;
  }
  if (words.size() < 4 || words[2].size() != 10 || words[3].size() != 8) return std::nullopt;
  const std::string_view date = words[2], time = words[3];
  const auto year = parse_number<int>(date.substr(0, 4));
  const auto month = parse_number<unsigned>(date.substr(5, 2)), day = parse_number<unsigned>(date.substr(8, 2));
  const auto hour = parse_number<int>(time.substr(0, 2)), minute = parse_number<int>(time.substr(3, 2)),
             second = parse_number<int>(time.substr(6, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day civil{std::chrono::year(*year), std::chrono::month(*month), std::chrono::day(*day)};
  if (!civil.ok() || *hour < 0 || *hour > 23 || *minute < 0 || *minute > 59 || *second < 0 || *second > 60)
    return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(civil).time_since_epoch().count();
  return std::optional<std::int64_t>(days * 86'400 + *hour * 3'600 + *minute * 60 + *second);
}

/// Leaves a block that has just been entered; its own blocks too.
bool skip_block(IscReader& reader, std::vector<std::string>& words) {
  for (int depth = 1; depth > 0;) {
    const char mark = reader.statement(words);
    if (mark == '\0') return false;
    if (mark == '{') ++depth;
    if (mark == '}') --depth;
  }
  return true;
}

void read_isc(std::string_view text, Collector& collector) {
  IscReader reader(text);
  std::vector<std::string> words;
  while (!collector.is_full()) {
    const char mark = reader.statement(words);
    if (mark == '\0') return;
    if (mark != '{') continue;
    const std::size_t line = reader.line();
    if (words.size() != 2 || words[0] != "lease") {
      if (!skip_block(reader, words)) return;
      continue;
    }
    const auto address = IpAddress::parse(words[1]);
    if (!address) {
      collector.complain(line, "the address of a lease is none");
      if (!skip_block(reader, words)) return;
      continue;
    }
    std::optional<MacAddress> mac;
    std::string hostname;
    std::optional<std::int64_t> ends;
    bool is_active = true;  // as long as nothing else is said (BOOTP)
    for (;;) {
      const char end = reader.statement(words);
      if (end == '\0') return collector.complain(line, "the lease is not ended");
      if (end == '{' && !skip_block(reader, words)) return collector.complain(line, "the lease is not ended");
      if (end == '}') break;
      if (end != ';' || words.empty()) continue;
      if (words[0] == "binding" && words.size() == 3 && words[1] == "state") {
        is_active = words[2] == "active";
      } else if (words[0] == "hardware" && words.size() == 3 && words[1] == "ethernet") {
        mac = MacAddress::parse(words[2]);
        if (!mac) collector.complain(reader.line(), "the hardware address is not a MAC");
      } else if (words[0] == "client-hostname" && words.size() == 2) {
        hostname = words[1];
      } else if (words[0] == "ends") {
        if (const auto time = parse_isc_time(words))
          ends = *time;
        else
          collector.complain(reader.line(), "the time of the end cannot be read");
      }
    }
    if (is_active)
      collector.add(*address, mac, hostname, ends);
    else
      collector.end(*address);
  }
}

std::optional<LeaseFormat> recognise(std::string_view text, bool& is_empty) {
  Lines lines(text);
  std::string_view line;
  is_empty = true;
  while (lines.next(line) && lines.number() <= recognised_lines) {
    const auto words = split_words(line.substr(0, 4'096));
    if (words.empty()) continue;
    is_empty = false;
    if (is_kea(line)) return LeaseFormat::kea;
    if (is_odhcpd(words)) return LeaseFormat::odhcpd;
    if (is_isc(words)) return LeaseFormat::isc_dhcpd;
    if (is_dnsmasq(words)) return LeaseFormat::dnsmasq;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(LeaseFormat format) {
  switch (format) {
    case LeaseFormat::dnsmasq:
      return "dnsmasq";
    case LeaseFormat::kea:
      return "Kea";
    case LeaseFormat::isc_dhcpd:
      return "ISC dhcpd";
    case LeaseFormat::odhcpd:
      return "odhcpd";
  }
  return "?";
}

LeaseReading read_leases(std::string_view text, WallTime now) {
  LeaseReading reading;
  bool is_empty = false;
  reading.format = recognise(text, is_empty);
  if (!reading.format) {
    if (!is_empty) reading.problems.push_back({1, "not a lease file of dnsmasq, Kea, ISC dhcpd or odhcpd"});
    return reading;
  }
  Collector collector(reading, now);
  switch (*reading.format) {
    case LeaseFormat::dnsmasq:
      read_dnsmasq(text, collector);
      break;
    case LeaseFormat::kea:
      read_kea(text, collector);
      break;
    case LeaseFormat::isc_dhcpd:
      read_isc(text, collector);
      break;
    case LeaseFormat::odhcpd:
      read_odhcpd(text, collector);
      break;
  }
  collector.finish();
  return reading;
}

std::string to_hostname(std::string_view untrusted) {
  std::string name;
  bool says_something = false;
  for (const char letter : untrusted.substr(0, hostname_octets_max)) {
    says_something = says_something || is_letter_or_digit(letter);
    name.push_back(is_letter_or_digit(letter) || letter == '-' || letter == '_' || letter == '.' ? letter : '-');
  }
  if (!says_something) return {};
  const auto is_edge = [](char letter) { return letter == '-' || letter == '.'; };
  while (!name.empty() && is_edge(name.back())) name.pop_back();
  name.erase(0, static_cast<std::size_t>(std::find_if_not(name.begin(), name.end(), is_edge) - name.begin()));
  return name;
}

}  // namespace doline::device
