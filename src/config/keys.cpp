#include "config/keys.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace doline::config {

namespace {

using When = KnownKey::When;

constexpr auto table = std::to_array<KnownKey>({
    {"listen", When::restart},
    {"certificate", When::not_yet},
    {"certificate.chain", When::not_yet},
    {"certificate.key", When::not_yet},
    {"allow_clients"},
    {"workers", When::restart},
    {"user", When::restart},
    {"time_zone", When::restart},
    {"upstreams"},
    {"upstreams.*.servers"},
    {"upstreams.*.strategy"},
    {"upstreams.*.bootstrap", When::not_yet},
    {"upstreams.*.timeout"},
    {"forward"},
    {"dnssec", When::not_yet, "off"},
    {"dnssec.validate", When::not_yet, "false off no"},
    {"dnssec.trust_anchors", When::not_yet},
    {"dnssec.negative_anchors", When::not_yet},
    {"client_subnet", When::not_yet, "strip"},
    {"cache", When::restart},
    {"cache.size", When::restart},
    {"cache.stale", When::restart},
    {"cache.prefetch", When::not_yet, "true on yes"},
    {"cache.min_ttl", When::restart},
    {"cache.max_ttl", When::restart},
    {"cache.max_negative_ttl", When::restart},
    {"cache.save", When::not_yet, "false off no"},
    {"records"},
    {"records.*.a"},
    {"records.*.aaaa"},
    {"records.*.caa"},
    {"records.*.cname"},
    {"records.*.https"},
    {"records.*.mx"},
    {"records.*.naptr"},
    {"records.*.ns"},
    {"records.*.ptr"},
    {"records.*.srv"},
    {"records.*.sshfp"},
    {"records.*.svcb"},
    {"records.*.tlsa"},
    {"records.*.txt"},
    {"records.*.ttl"},
    {"hosts_files"},
    {"local_domain"},
    {"lists"},
    {"lists.*.url"},
    {"lists.*.file"},
    {"lists.*.zone"},
    {"lists.*.primary"},
    {"lists.*.key"},
    {"lists.*.key.name"},
    {"lists.*.key.algorithm"},
    {"lists.*.key.secret_file"},
    {"lists.*.every"},
    {"lists.*.format"},
    {"lists.*.subdomains"},
    {"lists.*.kind"},
    {"lists.*.mode"},
    {"must_resolve"},
    {"resolver_list"},
    {"geo"},
    {"geo.country"},
    {"geo.asn"},
    {"devices"},
    {"devices.*.mac"},
    {"devices.*.address"},
    {"devices.*.client_id"},
    {"devices.*.hostname"},
    {"devices.*.groups"},
    {"devices.*.log"},
    {"groups"},
    {"groups.*.network"},
    {"groups.*.log"},
    {"groups.*.flows", When::not_yet},
    {"groups.*.encrypted", When::not_yet},
    {"leases"},
    {"rules"},
    {"rules.*.when"},
    {"rules.*.when.device"},
    {"rules.*.when.group"},
    {"rules.*.when.network"},
    {"rules.*.when.interface"},
    {"rules.*.when.name"},
    {"rules.*.when.type"},
    {"rules.*.when.listed"},
    {"rules.*.when.intercepted"},
    {"rules.*.when.between"},
    {"rules.*.when.days"},
    {"rules.*.when.meant_for"},
    {"rules.*.when.service"},
    {"rules.*.when.answer_address"},
    {"rules.*.when.answer_country"},
    {"rules.*.when.answer_asn"},
    {"rules.*.then"},
    {"rules.*.then.forward"},
    {"rules.*.then.rewrite"},
    {"rules.*.then.safe_search"},
    {"rules.*.then.delay"},
    {"rules.*.mode"},
    {"otherwise"},
    {"otherwise.forward"},
    {"otherwise.rewrite"},
    {"block_response"},
    {"block_ttl"},
    {"rebinding"},
    {"rebinding.protect"},
    {"rebinding.allow"},
    {"rate_limit"},
    {"rate_limit.per_device"},
    {"special_use"},
    {"canaries"},
    {"canaries.firefox"},
    {"canaries.icloud"},
    {"state", When::restart},
    {"control_socket", When::restart},
    {"redirect", When::restart},
    {"redirect.mode", When::restart},
    {"redirect.interfaces", When::restart},
    {"redirect.ports", When::restart},
    {"redirect.exempt", When::restart},
    {"redirect.exempt.from", When::restart},
    {"redirect.exempt.to", When::restart},
    {"redirect.encrypted", When::restart},
    {"redirect.on_failure", When::restart},
    {"redirect.trusted_routers"},
    {"redirect.kernel", When::restart},
    {"redirect.kernel.mark", When::restart},
    {"redirect.kernel.table", When::restart},
    {"redirect.kernel.nflog_group", When::restart},
    {"flows", When::restart},
    {"flows.watch", When::restart},
    {"flows.warm_up", When::restart},
    {"querylog", When::restart},
    {"querylog.path", When::restart},
    {"querylog.keep"},
    {"querylog.max_size"},
    {"querylog.answers", When::restart},
    {"export", When::not_yet, "off"},
    {"export.postgresql", When::not_yet},
    {"export.postgresql.dsn", When::not_yet},
    {"export.dnstap", When::not_yet},
    {"export.syslog", When::not_yet},
    {"dashboard", When::not_yet, "off"},
    {"dashboard.listen", When::not_yet, "off"},
    {"dashboard.password_file", When::not_yet},
    {"alerts", When::not_yet},
    {"alerts.*.on", When::not_yet},
    {"alerts.*.to", When::not_yet},
    {"alerts.*.quiet", When::not_yet},
});

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

const KnownKey* find_known(std::string_view path) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const KnownKey& key) { return key.path == path; });
  return found == table.end() ? nullptr : &*found;
}

/// The last words of the keys right below `path`.
std::vector<std::string_view> keys_below(std::string_view path) {
  const std::string prefix = path.empty() ? "" : std::string(path) + ".";
  std::vector<std::string_view> keys;
  for (const KnownKey& known : table)
    if (known.path.starts_with(prefix) && known.path.find('.', prefix.size()) == std::string_view::npos)
      keys.push_back(known.path.substr(prefix.size()));
  return keys;
}

bool is_among(std::string_view word, std::string_view words) {
  while (!words.empty()) {
    const auto blank = words.find(' ');
    if (words.substr(0, blank) == word) return true;
    words.remove_prefix(blank == std::string_view::npos ? words.size() : blank + 1);
  }
  return false;
}

/// Does the value ask for nothing but what this build does? Of a map: do all its values?
bool is_done_anyway(const KnownKey& known, const Node& value) {
  switch (value.kind) {
    case Node::Kind::null:
      return true;
    case Node::Kind::list:
      return value.items.empty();
    case Node::Kind::scalar:
      return is_among(value.text, known.does);
    case Node::Kind::map:
      return std::all_of(value.entries.begin(), value.entries.end(), [&](const auto& entry) {
        const KnownKey* below = find_known(join(known.path, entry.key.text));
        return below != nullptr && is_done_anyway(*below, entry.value);
      });
  }
  return false;
}

/// Of a value that is not in this build yet, at least the keys are judged.
void judge_keys(Reading& reading, const Node& value, const std::string& path) {
  for (const Node* item : to_list(value)) {
    if (item->kind != Node::Kind::map) continue;
    const std::string here = value.kind == Node::Kind::list ? path + ".*" : path;
    const auto known = keys_below(here);
    for (const auto& [key, below] : item->entries) {
      if (std::find(known.begin(), known.end(), key.text) == known.end())
        reading.add_unknown_key(key, quote(path), known);
      else
        judge_keys(reading, below, join(here, key.text));
    }
  }
}

}  // namespace

std::span<const KnownKey> known_keys() {
  return table;
}

Keys::Keys(Reading& reading, const Node& map, std::string path) : path_(std::move(path)) {
  if (map.kind == Node::Kind::null) return;
  // The operator's own words stand for `*` in what is said.
  const std::string title = path_.empty() ? "the top level" : quote(path_);
  if (map.kind != Node::Kind::map) {
    reading.add(map, "expected keys and values as " + title + ", not " +
                         (map.kind == Node::Kind::list ? "a list" : quote(map.text)));
    return;
  }
  const auto known = keys_below(path_);
  for (const auto& [key, value] : map.entries) {
    const std::string full = join(path_, key.text);
    const KnownKey* found = find_known(full);
    if (found == nullptr || std::find(known.begin(), known.end(), key.text) == known.end()) {
      reading.add_unknown_key(key, title, known);
    } else if (found->when == When::not_yet) {
      judge_keys(reading, value, full);
      if (!is_done_anyway(*found, value))
        reading.add_not_yet(
            key, quote(key.text) + (value.kind == Node::Kind::scalar && !found->does.empty()
                                        ? " other than " + std::string(found->does.substr(0, found->does.find(' ')))
                                        : ""));
    } else if (value.kind != Node::Kind::null) {
      entries_.emplace_back(key.text, &value);
    }
  }
}

const Node* Keys::find(std::string_view key) const {
  check(find_known(join(path_, key)) != nullptr);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == key; });
  return found == entries_.end() ? nullptr : found->second;
}

const Node* expect_map(Reading& reading, const Node& node, std::string_view what) {
  if (node.kind == Node::Kind::map) return &node;
  reading.add(node, "expected " + std::string(what) + ", each with its value");
  return nullptr;
}

}  // namespace doline::config
