#include <array>
#include <optional>
#include <string>
#include <unordered_map>

#include "blocklist/list_rule.h"
#include "config/sections.h"
#include "dns/code.h"

namespace doline::config {

namespace {

using dns::RecordType;
using response::LocalName;
using response::LocalRecord;

constexpr std::size_t local_names_max = 65'535;
constexpr std::size_t same_type_max = 32;  // records of one name and type; addresses fit a response without truncation
constexpr std::size_t text_octets_max = 4'096;
constexpr std::size_t hosts_files_max = 64;

struct KnownType {
  std::string_view key;
  RecordType type;
  std::string_view example;
};
constexpr std::array known_types{
    KnownType{"a", RecordType::a, "192.168.1.10"},
    KnownType{"aaaa", RecordType::aaaa, "fd00::10"},
    KnownType{"caa", RecordType::caa, "0 issue \"letsencrypt.org\""},
    KnownType{"https", RecordType::https, "1 . alpn=h2"},
    KnownType{"mx", RecordType::mx, "10 mail.home.arpa"},
    KnownType{"naptr", RecordType::naptr, "10 100 \"S\" \"SIP+D2U\" \"\" _sip._udp.home.arpa"},
    KnownType{"ns", RecordType::ns, "ns.home.arpa"},
    KnownType{"ptr", RecordType::ptr, "nas.home.arpa"},
    KnownType{"srv", RecordType::srv, "0 0 631 printer.home.arpa"},
    KnownType{"sshfp", RecordType::sshfp, "4 2 and 64 hexadecimal digits"},
    KnownType{"svcb", RecordType::svcb, "1 nas.home.arpa alpn=h2"},
    KnownType{"tlsa", RecordType::tlsa, "3 1 1 and 64 hexadecimal digits"},
    KnownType{"txt", RecordType::txt, "any text"},
};

/// RFC 1035 §3.3: character-strings of at most 255 octets.
std::vector<std::uint8_t> to_character_strings(std::string_view text) {
  std::vector<std::uint8_t> rdata;
  do {
    const std::string_view piece = text.substr(0, 255);
    rdata.push_back(static_cast<std::uint8_t>(piece.size()));
    rdata.insert(rdata.end(), piece.begin(), piece.end());
    text.remove_prefix(piece.size());
  } while (!text.empty());
  return rdata;
}

class RecordSection {
 public:
  RecordSection(Reading& reading, std::vector<LocalName>& names) : reading_(reading), names_(names) {}

  void read(const Node& node) {
    if (expect_map(reading_, node, "names") == nullptr) return;
    for (const auto& [key, value] : node.entries) {
      if (reading_.is_full()) return;
      if (names_.size() == local_names_max) {
        reading_.add(key, "more than " + std::to_string(local_names_max) + " names");
        return;
      }
      LocalName name;
      std::string_view owner = key.text;
      name.is_wildcard = owner.starts_with("*.");
      if (name.is_wildcard) owner.remove_prefix(2);
      if (owner.find('*') != std::string_view::npos) {
        reading_.add(key, quote(key.text) + " is not a name or '*.name'",
                     "a '*' stands for whole labels at the left only");
        continue;
      }
      const auto read = read_name(reading_, key, owner);
      if (value.kind == Node::Kind::map)
        read_map(value, name.records);
      else
        read_addresses(value, name.records);
      if (!read || name.records.empty()) continue;
      name.owner = *read;
      names_.push_back(std::move(name));
      keys_.push_back(&key);
    }
    find_circles();
  }

 private:
  /// CNAMEs that lead back to where they begin answer nobody.
  void find_circles() {
    const auto text_of = [](const std::vector<std::uint8_t>& wire) { return std::string(wire.begin(), wire.end()); };
    std::unordered_map<std::string, std::string> targets;  // by owner, in wire form
    for (const LocalName& name : names_)
      if (!name.is_wildcard && name.records[0].type == RecordType::cname)
        targets.emplace(std::string(name.owner.wire().begin(), name.owner.wire().end()),
                        text_of(name.records[0].rdata));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const std::string owner(names_[i].owner.wire().begin(), names_[i].owner.wire().end());
      auto step = targets.find(owner);
      for (std::size_t steps = 1; step != targets.end() && steps < response::local_chain_max; ++steps) {
        if (step->second == owner) {
          reading_.add(*keys_[i], "the 'cname' of " + quote(keys_[i]->text) + " leads back to it");
          break;
        }
        step = targets.find(step->second);
      }
    }
  }

  void read_addresses(const Node& node, std::vector<LocalRecord>& records) {
    const auto values = to_list(reading_, node, same_type_max, "addresses");
    if (values.empty()) reading_.add(node, "no address");
    for (const Node* value : values)
      if (const auto address = read_address(reading_, *value)) records.push_back(response::address_record(*address));
  }

  void read_map(const Node& node, std::vector<LocalRecord>& records) {
    const std::size_t problems_before = reading_.problem_count();
    const Keys keys(reading_, node, "records.*");
    if (const Node* cname = keys.find("cname"))
      if (const auto target = read_name(reading_, *cname)) {
        const auto wire = target->wire();
        records.push_back({RecordType::cname, response::local_ttl_seconds, {wire.begin(), wire.end()}});
      }
    for (const KnownType& known : known_types)
      if (const Node* values = keys.find(known.key))
        for (const Node* value : to_list(reading_, *values, same_type_max, "records"))
          if (auto record = read_record(*value, known)) records.push_back(*std::move(record));
    if (records.empty() && reading_.problem_count() == problems_before)
      reading_.add(node, "no record", "addresses, {cname: NAME} or {mx: \"10 mail.home.arpa\"} would be some");
    if (records.size() > 1 && records[0].type == RecordType::cname)
      reading_.add(node, "a name with a 'cname' has nothing else (RFC 1034)");
    if (const Node* ttl = keys.find("ttl"))
      if (const auto wanted = read_seconds(reading_, *ttl, seconds(0), std::chrono::hours(7 * 24)))
        for (LocalRecord& record : records) record.ttl_seconds = static_cast<std::uint32_t>(wanted->count());
  }

  std::optional<LocalRecord> read_record(const Node& node, const KnownType& known) {
    const std::string name = dns::to_string(known.type);
    const auto text = read_text(reading_, node, "the data of a record of type " + name);
    if (!text) return {};
    LocalRecord record{known.type, response::local_ttl_seconds, {}};
    // Text is meant as it stands; with quotes of its own it is several strings, as in a zone file.
    if (known.type == RecordType::txt && !text->starts_with('"') && text->size() <= text_octets_max) {
      record.rdata = to_character_strings(*text);
      return record;
    }
    if (text->size() <= text_octets_max) {
      if (auto answer = blocklist::make_answer(known.type, *text)) {
        record.rdata = std::move(answer->rdata);
        return record;
      }
    }
    reading_.add(node, quote(*text) + " is not the data of a record of type " + name,
                 quote(known.example) + " would be");
    return {};
  }

  Reading& reading_;
  std::vector<LocalName>& names_;
  std::vector<const Node*> keys_;  // of each
};

}  // namespace

void read_records(Reading& reading, const Keys& top, Settings& settings) {
  if (const Node* node = top.find("records")) RecordSection(reading, settings.live.records).read(*node);
  if (const Node* node = top.find("hosts_files"))
    for (const Node* file : to_list(reading, *node, hosts_files_max, "hosts files"))
      if (const auto path = read_input_path(reading, *file)) settings.live.hosts_files.push_back(*path);
  if (const Node* node = top.find("local_domain")) {
    const auto name = read_name(reading, *node);
    if (name && name->is_root())
      reading.add(*node, "the root is no domain of a house", "home.arpa would be (RFC 8375)");
    else
      settings.live.local_domain = settings.live.special_use.local_domain = name ? std::optional(*name) : std::nullopt;
  }
}

}  // namespace doline::config
