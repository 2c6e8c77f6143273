// ListRule: what a line of a list says that is more than "this name is listed": an exception, an answer of its own, for
// whom and of which questions it holds.
//
// A value. Lines that say the same share one rule, so there are few, however long the list. The one text form is the
// modifiers of AdBlock's DNS rules: list files are read from it, the compiled file stores it, people are shown it. What
// RPZ, hosts files and others can say is said in it too (`$dnsrewrite=DROP` and `TCP-ONLY` are our own words).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"
#include "blocklist/list_id.h"
#include "dns/code.h"
#include "dns/name.h"

namespace doline::blocklist {

/// What is answered in place of the upstream's words.
struct LineAnswer {
  enum class Kind : std::uint8_t { code /* no records */, record, drop, tcp_only };
  Kind kind = Kind::code;
  dns::ResponseCode code = dns::ResponseCode::noerror;
  dns::RecordType type = dns::RecordType::a;  ///< of a record
  std::vector<std::uint8_t> rdata;            ///< uncompressed; of a CNAME `*.name`: the name asked for stands for `*`
  bool operator==(const LineAnswer&) const = default;
};

/// Whom a line is for: a name (of a device or a group), an address or prefix, a MAC address.
struct ClientMatch {
  std::string text;                ///< as written
  std::optional<IpPrefix> prefix;  ///< where the text is an address or a prefix
  bool operator==(const ClientMatch&) const = default;
};

/// What must hold besides the name. Of each pair: one of the first, where there are any, and none of the second.
struct LineConditions {
  std::vector<ClientMatch> clients, not_clients;
  std::vector<std::string> tags, not_tags;  ///< groups
  std::vector<dns::RecordType> types, not_types;
  std::vector<dns::Name> but_within;  ///< names for which it does not hold, with all below; small letters
  /// Of the answer's addresses: `CN`, `AS4134`.
  std::vector<std::string> origins, not_origins;
  bool operator==(const LineConditions&) const = default;
};

struct ListRule {
  enum class Effect : std::uint8_t {
    block,       ///< as the list's plain lines do
    allow,       ///< `@@`, RPZ's PASSTHRU
    answer,      ///< `answer` says
    pass,        ///< nothing, so that what its list says of a shorter name does not hold: `$transparent`, our own word
    no_rewrite,  ///< an exception of `$dnsrewrite` lines: of those with this answer, or of all
    cancel,      ///< `$badfilter`: lines that say the same but for it do not count
  };
  ListId list;
  Effect effect = Effect::block;
  bool is_exception = false;  ///< it begins with `@@`
  bool is_important = false;
  std::optional<LineAnswer> answer;
  std::shared_ptr<const LineConditions> conditions;  ///< null: none

  /// Nothing but "listed": such a line needs no rule.
  [[nodiscard]] bool is_plain() const { return effect == Effect::block && !is_important && !conditions; }
};

enum class RuleFault : std::uint8_t { unknown_modifier, bad_value };

/// The modifiers behind `$`, without it; "" gives the plain rule.
[[nodiscard]] Result<ListRule, RuleFault> parse_modifiers(std::string_view text, bool is_exception);
/// `@@$important,client=10.0.0.7`: `$` and the modifiers in a fixed order, `@@` before it for an exception; "" for the
/// plain rule. Equal texts mean equal rules (lists apart).
[[nodiscard]] std::string to_string(const ListRule& rule);
/// The inverse of to_string().
[[nodiscard]] Result<ListRule, RuleFault> parse_rule(std::string_view text);

/// An answer by its type and value as zone files write it; nothing where it does not parse.
[[nodiscard]] std::optional<LineAnswer> make_answer(dns::RecordType type, std::string_view value);
[[nodiscard]] LineAnswer make_answer(const IpAddress& address);
[[nodiscard]] LineAnswer make_answer(const dns::Name& cname);

}  // namespace doline::blocklist
