#include <algorithm>

#include "config/sections.h"

namespace doline::config {

namespace {

using std::chrono::hours;

constexpr std::size_t url_octets_max = 2'000;
constexpr std::size_t must_resolve_max = 1'000;

bool is_url(std::string_view text) {
  const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  return scheme != 0 && text.size() > scheme && text.size() <= url_octets_max && text[scheme] != '/' &&
         std::all_of(text.begin(), text.end(), [](char letter) { return letter > ' ' && letter < 0x7f; });
}

void read_format(Reading& reading, const Node& node, ListSettings& list) {
  const auto text = read_text(reading, node, "a list's format");
  if (!text) return;
  list.format = blocklist::parse_list_format(*text);
  if (list.format) return;
  std::vector<std::string_view> formats;
  for (std::size_t at = 0; at < blocklist::list_formats; ++at)
    formats.push_back(to_string(static_cast<blocklist::ListFormat>(at)));
  reading.add_unknown(node, "a list's format", *text, formats);
}

void read_key(Reading& reading, const Node& node, transfer::ZoneSource& source) {
  using transfer::Algorithm;
  const Keys keys(reading, node, "lists.*.key");
  transfer::KeySource& key = source.key.emplace();
  const Node* name = keys.find("name");
  const Node* secret = keys.find("secret_file");
  if (name == nullptr || secret == nullptr)
    reading.add(node, "a key has a 'name' and a 'secret_file'", "both are as the primary's operator says");
  if (name != nullptr) key.name = read_name(reading, *name).value_or(dns::Name());
  if (secret != nullptr)
    if (const auto path = read_input_path(reading, *secret)) key.secret_file = *path;
  if (const Node* algorithm = keys.find("algorithm"))
    key.algorithm = read_word<Algorithm>(reading, *algorithm, "an algorithm of TSIG",
                                         {{"hmac-sha256", Algorithm::hmac_sha256},
                                          {"hmac-sha384", Algorithm::hmac_sha384},
                                          {"hmac-sha512", Algorithm::hmac_sha512}})
                        .value_or(Algorithm::hmac_sha256);
}

void read_zone(Reading& reading, const Node& name, const Keys& keys, ListSettings& list) {
  const Node* zone = keys.find("zone");
  const Node* primary = keys.find("primary");
  const Node* key = keys.find("key");
  if (zone == nullptr) {
    for (const Node* other : {primary, key})
      if (other != nullptr) reading.add(*other, "'primary' and 'key' are for lists with a 'zone'");
    return;
  }
  transfer::ZoneSource& source = list.zone.emplace();
  source.zone = read_name(reading, *zone).value_or(dns::Name());
  if (const Node* format = keys.find("format");
      format != nullptr && list.format && list.format != blocklist::ListFormat::rpz)
    reading.add(*format, "a zone that is transferred is read as 'rpz'");
  list.format = blocklist::ListFormat::rpz;
  if (primary == nullptr)
    reading.add(name, "the list " + quote(name.text) + " has a 'zone' and no 'primary'",
                "the address of a server that lets us transfer it");
  else
    for (const Node* value : to_list(reading, *primary, transfer::primaries_max, "primaries"))
      if (const auto endpoint = read_endpoint(reading, *value, 53)) source.primaries.push_back(*endpoint);
  if (key != nullptr) read_key(reading, *key, source);
}

ListSettings read_one_list(Reading& reading, const Node& name, const Node& node) {
  ListSettings list;
  list.name = name.text;
  list.line = name.place.line;
  const Keys keys(reading, node, "lists.*");
  const Node* file = keys.find("file");
  const Node* url = keys.find("url");
  const int sources = (file != nullptr) + (url != nullptr) + (keys.find("zone") != nullptr);
  if (sources != 1)
    reading.add(
        name,
        "the list " + quote(name.text) +
            (sources == 0 ? " has neither 'file', 'url' nor 'zone'" : " has several of 'file', 'url' and 'zone'"),
        "one of them says where it is");
  if (file != nullptr)
    if (const auto path = read_input_path(reading, *file)) list.file = *path;
  if (url != nullptr)
    if (const auto text = read_text(reading, *url, "a URL")) {
      if (!is_url(*text)) reading.add(*url, quote(*text) + " is not an http:// or https:// URL");
      list.url = *text;
    }
  if (const Node* every = keys.find("every")) {
    if (url == nullptr && sources == 1)
      reading.add(*every, "'every' is for lists with a URL",
                  file != nullptr ? "a file is read again when it changes" : "a zone's SOA record says how often");
    if (const auto duration = read_seconds(reading, *every, std::chrono::minutes(5), hours(24 * 365)))
      list.every = *duration;
  }
  if (const Node* format = keys.find("format")) read_format(reading, *format, list);
  read_zone(reading, name, keys, list);
  if (const Node* subdomains = keys.find("subdomains"))
    list.subdomains = read_bool(reading, *subdomains).value_or(false);
  if (const Node* kind = keys.find("kind"))
    if (const auto word = read_word<policy::ListKind>(
            reading, *kind, "a kind of list",
            {{"block", policy::ListKind::block}, {"allow", policy::ListKind::allow}, {"doh", policy::ListKind::doh}}))
      list.kind = *word;
  if (const Node* mode = keys.find("mode"))
    if (const auto word = read_word<policy::Mode>(
            reading, *mode, "a mode", {{"enforce", policy::Mode::enforce}, {"observe", policy::Mode::observe}}))
      list.mode = *word;
  return list;
}

}  // namespace

void read_lists(Reading& reading, const Keys& top, Settings& settings) {
  if (const Node* node = top.find("lists");
      node != nullptr && expect_map(reading, *node, "names of lists") != nullptr) {
    if (node->entries.size() > blocklist::lists_max) {
      reading.add(*node, "more than " + std::to_string(blocklist::lists_max) + " lists");
      return;
    }
    for (const auto& [key, value] : node->entries)
      if (is_given_name(reading, key, "a list")) settings.live.lists.push_back(read_one_list(reading, key, value));
  }
  for (const ListSettings& list : settings.live.lists)
    settings.live.policy.lists.push_back({list.name, list.kind, list.mode});
  if (const Node* node = top.find("must_resolve"))
    for (const Node* value : to_list(reading, *node, must_resolve_max, "names"))
      if (const auto name = read_name(reading, *value)) settings.live.must_resolve.push_back(name->lowered());
  if (const Node* node = top.find("resolver_list"))
    if (const auto path = read_input_path(reading, *node)) settings.live.resolver_list = *path;
  if (const Node* node = top.find("geo")) {
    const Keys keys(reading, *node, "geo");
    for (const auto& [key, file] :
         {std::pair{"country", &settings.live.country_file}, {"asn", &settings.live.asn_file}})
      if (const Node* value = keys.find(key))
        if (const auto path = read_input_path(reading, *value)) *file = *path;
  }
}

}  // namespace doline::config
