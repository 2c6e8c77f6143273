#include "policy/walk.h"

#include <algorithm>

#include "policy/name_set.h"
#include "policy/suffix_hash.h"
#include "policy/weigh.h"

namespace doline::policy {

namespace {

bool has_bit(std::span<const std::uint64_t> row, std::size_t at) {
  return (row[at / 64] >> at % 64 & 1) != 0;
}

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_in(const std::vector<IpPrefix>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const IpPrefix& network) { return network.contains(address); });
}

bool is_same_text(std::string_view left, std::string_view right) {
  const auto small = [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [&](char one, char other) { return small(one) == small(other); });
}

}  // namespace

Walk::Walk(const RuleBook& book, const blocklist::ListSet& lists, const Asking& asking,
           const blocklist::Listing& listing)
    : book_(book), lists_(lists), asking_(asking), listing_(listing) {
  if (listing_.is_empty()) return;
  std::fill_n(listed_.begin(), book_.list_words_, 0);
  const std::size_t known = book_.settings_.lists.size();
  for (const blocklist::Covering& covering : listing_.all()) {
    if (lists_.has_words()) has_words_ = has_words_ || !lists_.words_of(covering.set).empty();
    for (const blocklist::ListId id : lists_.lists_of(covering.set))
      if (id.value < known) listed_[id.value / 64] |= std::uint64_t{1} << id.value % 64;
  }
}

bool Walk::has_lists(std::size_t place) const {
  return book_.compiled_[place].lists != RuleBook::no_lists;
}

void Walk::find_candidates(RuleBook::Row& row, const RuleBook::Row& among) const {
  const std::size_t words = book_.words_;
  const auto narrow = [&](const RuleBook::Row& without, auto&& add) {
    RuleBook::Row kept;
    std::copy_n(without.begin(), words, kept.begin());
    add(kept);
    for (std::size_t i = 0; i < words; ++i) row[i] &= kept[i];
  };
  const auto add_equal = [](const HashIndex& index, std::uint64_t hash, RuleBook::Row& kept) {
    index.each(hash, [&](std::uint16_t place) { kept[place / 64] |= std::uint64_t{1} << place % 64; });
  };

  for (std::size_t i = 0; i < words; ++i) row[i] = among[i];
  if (!book_.by_name_.is_empty() || book_.expressions_)
    narrow(book_.without_names_, [&](RuleBook::Row& kept) {
      if (!book_.by_name_.is_empty())
        each_suffix_hash(asking_.lowered_qname, [&, depth = std::size_t{0}](std::uint64_t hash) mutable {
          if (book_.name_depths_[depth++]) add_equal(book_.by_name_, hash, kept);
        });
      if (!book_.expressions_) return;
      for (const std::uint32_t number : book_.expressions_->match(asking_.lowered_qname)) {
        const std::uint16_t place = book_.expression_places_[number];
        kept[place / 64] |= std::uint64_t{1} << place % 64;
      }
    });
  if (!book_.by_type_.is_empty())
    narrow(book_.without_types_, [&](RuleBook::Row& kept) {
      add_equal(book_.by_type_, static_cast<std::uint64_t>(asking_.question.qtype), kept);
    });
  if (!book_.by_device_.is_empty())
    narrow(book_.without_devices_,
           [&](RuleBook::Row& kept) { add_equal(book_.by_device_, hash_of(asking_.device.name), kept); });
  if (!book_.by_group_.empty())
    narrow(book_.without_groups_, [&](RuleBook::Row& kept) {
      for (device::GroupMask groups = asking_.groups; groups != 0; groups &= groups - 1) {
        const RuleBook::Row& of_group = book_.by_group_[static_cast<std::size_t>(__builtin_ctzll(groups))];
        for (std::size_t i = 0; i < words; ++i) kept[i] |= of_group[i];
      }
    });
}

bool Walk::is_time(const Condition& when) const {
  const auto [minute, weekday] = asking_.time;
  const auto has_day = [&](int day) { return (when.days >> day & 1) != 0; };
  if (when.between.empty()) return has_day(weekday);
  const int day_before = (weekday + 6) % 7;
  return std::any_of(when.between.begin(), when.between.end(), [&](const Period& period) {
    if (period.from_minute < period.to_minute)
      return minute >= period.from_minute && minute < period.to_minute && has_day(weekday);
    return (minute >= period.from_minute && has_day(weekday)) || (minute < period.to_minute && has_day(day_before));
  });
}

Mismatch Walk::compare(const Condition& when) const {
  if (!when.device_names.empty() && !contains(when.device_names, asking_.device.name)) return Mismatch::device;
  if (when.groups != 0 && (when.groups & asking_.groups) == 0) return Mismatch::group;
  if (!when.networks.empty() && !is_in(when.networks, asking_.client)) return Mismatch::network;
  if (when.interfaces != 0 && (when.interfaces & asking_.interfaces) == 0) return Mismatch::interface;
  const dns::Name& qname = asking_.lowered_qname;
  if (!when.names.empty() && std::none_of(when.names.begin(), when.names.end(),
                                          [&](const NamePattern& pattern) { return pattern.matches(qname); }))
    return Mismatch::name;
  if (!when.service_names.empty() && std::none_of(when.service_names.begin(), when.service_names.end(),
                                                  [&](const dns::Name& name) { return qname.is_within(name); }))
    return Mismatch::service;
  if (when.unless && (asking_.led_from || when.unless->has(qname))) return Mismatch::unless;
  if (!when.types.empty() && !contains(when.types, asking_.question.qtype)) return Mismatch::type;
  if (when.intercepted && *when.intercepted != asking_.destination.is_intercepted()) return Mismatch::intercepted;
  if (!when.meant_for.is_empty() && !is_meant_for(when.meant_for)) return Mismatch::meant_for;
  if (!is_time(when)) return Mismatch::time;
  if (when.answer.is_empty()) return Mismatch::none;
  if (asking_.answer_addresses.empty()) return Mismatch::no_answer;
  return std::any_of(asking_.answer_addresses.begin(), asking_.answer_addresses.end(),
                     [&](const IpAddress& address) { return answers(when.answer, address); })
             ? Mismatch::none
             : Mismatch::answer;
}

bool Walk::is_meant_for(const MeantFor& meant_for) const {
  if (!asking_.destination.is_intercepted()) return false;
  const IpAddress& address = asking_.destination.endpoint.address;
  if (is_in(meant_for.networks, address)) return true;
  const geo::PublicResolver* resolver = asking_.resolvers ? asking_.resolvers->find(address) : nullptr;
  if (resolver && std::any_of(meant_for.operators.begin(), meant_for.operators.end(),
                              [&](const std::string& name) { return is_same_text(name, resolver->operator_name); }))
    return true;
  if (meant_for.countries.empty()) return false;
  geo::Country country;
  if (resolver)
    country = geo::Country::parse(resolver->country).value_or(country);
  else if (asking_.places)
    country = asking_.places->country_of(address);
  return country.is_known() && contains(meant_for.countries, country);
}

/// What is not known is nowhere: neither in a country that is named nor outside of it.
bool Walk::answers(const AnswerCondition& wanted, const IpAddress& address) const {
  if (!wanted.networks.empty() && !is_in(wanted.networks, address)) return false;
  if (!wanted.countries.empty()) {
    const geo::Country country = asking_.places ? asking_.places->country_of(address) : geo::Country();
    if (!country.is_known() || !contains(wanted.countries, country)) return false;
  }
  if (wanted.asns.empty()) return true;
  const std::uint32_t asn = asking_.places ? asking_.places->asn_of(address) : 0;
  return asn != 0 && contains(wanted.asns, asn);
}

const Rewrite* Walk::find_safe(const RuleBook::Compiled& rule) const {
  const auto end = book_.safe_names_.begin() + rule.safe_to;
  const std::uint64_t hash = whole_hash(asking_.lowered_qname);
  for (auto found = std::lower_bound(book_.safe_names_.begin() + rule.safe_from, end, hash,
                                     [](const auto& name, std::uint64_t wanted) { return name.hash < wanted; });
       found != end && found->hash == hash; ++found)
    if (found->safe.name == asking_.lowered_qname) return &found->safe.to;
  return nullptr;
}

template <class Among>
std::optional<blocklist::ListId> Walk::find_list(Among among) const {
  for (const blocklist::Covering& covering : listing_.all())
    for (const blocklist::ListId id : lists_.lists_of(covering.set))
      if (id.value < book_.settings_.lists.size() && among(id)) return id;
  return std::nullopt;
}

Judgement Walk::judge(std::size_t place) const {
  const RuleBook::Compiled& rule = book_.compiled_[place];
  Judgement judgement;
  if (rule.has_conditions) judgement.mismatch = compare(book_.settings_.rules[place].when);
  if (judgement.mismatch != Mismatch::none) return judgement;
  Action then = rule.then;
  if (rule.safe_from != rule.safe_to) {
    const Rewrite* safe = find_safe(rule);
    if (!safe) {
      judgement.mismatch = Mismatch::safe_search;
      return judgement;
    }
    then = *safe;
  }
  if (const auto* rewrite = std::get_if<Rewrite>(&then);
      rewrite && book_.rewrite(*rewrite).cname == asking_.lowered_qname) {
    judgement.mismatch = Mismatch::itself;
    return judgement;
  }
  if (rule.lists == RuleBook::no_lists) {
    (rule.mode == Mode::enforce ? judgement.decided : judgement.observed) = then;
    return judgement;
  }

  const auto named = book_.list_row(rule.lists);
  const auto allow = book_.list_row(book_.allow_lists_), enforcing = book_.list_row(book_.enforced_lists_);
  std::uint64_t any = 0, any_allow = 0, any_enforced = 0, any_enforced_allow = 0;
  if (!listing_.is_empty()) {
    for (std::size_t i = 0; i < named.size(); ++i) {
      const std::uint64_t hits = named[i] & listed_[i];
      any |= hits;
      any_allow |= hits & allow[i];
      any_enforced |= hits & enforcing[i];
      any_enforced_allow |= hits & enforcing[i] & allow[i];
    }
  }
  if (any == 0) {
    judgement.mismatch = Mismatch::listed;
    return judgement;
  }
  if (has_words_) {
    judge_words(place, then, judgement);
    return judgement;
  }
  // What it says if everything were enforced, and what it says with what is. Lists that observe count only in the
  // first.
  const Action if_all = any_allow != 0 ? rule.allowed : then;
  if (any_enforced != 0 && rule.mode == Mode::enforce)
    judgement.decided = any_enforced_allow != 0 ? rule.allowed : then;
  const bool is_by_enforced = judgement.decided.has_value();
  const bool is_by_allow = (is_by_enforced ? any_enforced_allow : any_allow) != 0;
  judgement.list = find_list([&](blocklist::ListId id) {
    return has_bit(named, id.value) && (!is_by_enforced || has_bit(enforcing, id.value)) &&
           (!is_by_allow || has_bit(allow, id.value));
  });
  if (judgement.decided != if_all) judgement.observed = if_all;
  return judgement;
}

void Walk::judge_words(std::size_t place, const Action& then, Judgement& judgement) const {
  const RuleBook::Compiled& rule = book_.compiled_[place];
  const auto named = book_.list_row(rule.lists);
  const auto action_of = [&](const Weighed& weighed) -> Action {
    if (weighed.outcome == Weighed::Outcome::allow) return rule.allowed;
    // A line's own answer replaces `block`, and nothing else that the operator wrote.
    if (!std::holds_alternative<Sinkhole>(then)) return then;
    if (weighed.outcome == Weighed::Outcome::answer) return to_action(lists_, weighed);
    return weighed.is_of_zone ? Action(NxDomain{}) : then;
  };
  const auto of_all = weigh(book_, lists_, asking_, listing_, named, named);
  const auto of_enforced = rule.mode == Mode::enforce
                               ? weigh(book_, lists_, asking_, listing_, named, book_.list_row(book_.enforced_lists_))
                               : std::nullopt;
  if (!of_all && !of_enforced) {
    judgement.mismatch = Mismatch::listed;
    return;
  }
  // A list that observes may take back all that the others say.
  const Action if_all = of_all ? action_of(*of_all) : rule.allowed;
  if (of_enforced) judgement.decided = action_of(*of_enforced);
  judgement.list = (of_enforced ? of_enforced : of_all)->list;
  if (judgement.decided != if_all) judgement.observed = if_all;
}

const Exemption* Walk::find_exemption_among(const Action& action) const {
  // Where queries go and what the operator answers himself is not blocking.
  if (std::holds_alternative<Forward>(action) || std::holds_alternative<Rewrite>(action)) return nullptr;
  const auto& groups = book_.settings_.groups;
  const auto is_for = [&](const Exemption& exemption) {
    if (exemption.name && !asking_.lowered_qname.is_within(*exemption.name) &&
        !(asking_.led_from && asking_.led_from->is_within(*exemption.name)))
      return false;
    if (!exemption.device.empty()) return exemption.device == asking_.device.name;
    if (exemption.group.empty()) return true;
    const auto found = std::find(groups.begin(), groups.end(), exemption.group);
    return found != groups.end() && (asking_.groups >> (found - groups.begin()) & 1) != 0;
  };
  const auto& all = book_.settings_.exemptions;
  const auto found = std::find_if(all.begin(), all.end(), is_for);
  return found == all.end() ? nullptr : &*found;
}

std::string_view to_string(Mismatch mismatch) {
  switch (mismatch) {
    case Mismatch::none:
      return "matches";
    case Mismatch::device:
      return "another device";
    case Mismatch::group:
      return "the device is in none of its groups";
    case Mismatch::network:
      return "the client is in none of its networks";
    case Mismatch::interface:
      return "it came by another interface";
    case Mismatch::name:
      return "another name";
    case Mismatch::service:
      return "the name belongs to none of its services";
    case Mismatch::unless:
      return "a name that it lets pass";
    case Mismatch::type:
      return "another type";
    case Mismatch::intercepted:
      return "it tells intercepted queries from those meant for us";
    case Mismatch::meant_for:
      return "it was meant for none of its resolvers";
    case Mismatch::safe_search:
      return "no name that safe search rewrites";
    case Mismatch::itself:
      return "it leads to this very name";
    case Mismatch::no_answer:
      return "tried when the answer is there";
    case Mismatch::answer:
      return "no address of the answer is what it names";
    case Mismatch::time:
      return "another time";
    case Mismatch::listed:
      return "none of its lists names it";
  }
  return "?";
}

std::uint64_t hash_of(std::string_view device_name) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char letter : device_name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return hash;
}

}  // namespace doline::policy
