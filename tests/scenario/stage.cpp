#include "scenario/stage.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <memory>
#include <set>

#include "dns/cookie.h"
#include "place_file.h"
#include "scenario/snapshot_of.h"
#include "temporary_folder.h"

namespace doline::tests {

namespace {

const dns::SipKey this_secret{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
const std::array<std::uint8_t, 8> client_cookie{0xc0, 0x0c, 0x1e, 0xc0, 0x0c, 0x1e, 0xc0, 0x0c};
const Endpoint our_address{IpAddress::v4(192, 168, 1, 1), 53};
const Endpoint upstream_server{IpAddress::v4(192, 0, 2, 53), 53};

/// The story was otherwise: caught in play(), which knows the line.
struct Otherwise {
  std::string what;
};
[[noreturn]] void otherwise(std::string what) {
  throw Otherwise{std::move(what)};
}

std::string text_of(const Said& said) {
  static constexpr std::string_view sections[] = {"answer: ", "authority: ", "additional: "};
  const dns::Record& record = said.record;
  return std::string(sections[static_cast<std::size_t>(said.section)]) + record.owner.to_string() + ' ' +
         std::to_string(record.ttl) + ' ' + dns::to_string(record.type) + ' ' +
         dns::rdata_to_string(record.type, record.rdata);
}
std::string text_of(const std::vector<Said>& records) {
  std::string text;
  for (const Said& said : records) text += "\n      " + text_of(said);
  return text.empty() ? " nothing" : text;
}
/// RDATA that is made of names, and small letters in them: they are compressed against the question, whose case is the
/// client's.
Said lowered(Said said) {
  using dns::RecordType;
  const RecordType type = said.record.type;
  if (type == RecordType::cname || type == RecordType::dname || type == RecordType::ns || type == RecordType::ptr ||
      type == RecordType::mx || type == RecordType::srv || type == RecordType::soa)
    for (std::uint8_t& octet : said.record.rdata)
      if (octet >= 'A' && octet <= 'Z') octet = static_cast<std::uint8_t>(octet | 0x20);
  return said;
}
bool is_same(const std::vector<Said>& left, const std::vector<Said>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const Said& one, const Said& other) {
    return one.section == other.section && lowered(one).record == lowered(other).record;
  });
}

std::string flags_of(dns::Octets message) {
  static constexpr std::tuple<std::size_t, int, std::string_view> flags[] = {
      {2, 0x04, "aa"}, {2, 0x02, "tc"}, {2, 0x01, "rd"}, {3, 0x80, "ra"}, {3, 0x20, "ad"}, {3, 0x10, "cd"}};
  std::string text;
  for (const auto& [octet, bit, name] : flags)
    if ((message[octet] & bit) != 0) text += (text.empty() ? "" : " ") + std::string(name);
  return text;
}

/// One query on its way.
struct Query {
  std::string client;
  std::vector<std::uint8_t> octets;
  std::optional<Asks> asks;  ///< absent: octets of `sends`
  dns::Question question;
  bool over_tcp = false;
  enum class State { under_way, answered, dropped } state = State::under_way;
};

class Stage {
 public:
  explicit Stage(const Story& story) : story_(story), out_(resolver::response_octets_max) {
    for (const auto& [name, text] : story.files) folder_.write(name, name.ends_with(".mmdb") ? place_file(text) : text);
    const Prepared first = prepare(story.configuration, story.configuration_line);
    options_.cache = first.settings.fixed.cache;
    options_.seed = 1;
    resolver_ = std::make_unique<resolver::Resolver>(
        options_,
        resolver::Doors{.exchange = exchange_,
                        .outbox = outbox_,
                        .send = [this](const listener::ReplyRoute& route, const Endpoint& client,
                                       dns::Octets response) { arrived(route, client, response); },
                        .forget = [this](const listener::ReplyRoute& route) { leave(route, Query::State::dropped); },
                        .report_unknown_client = [this](const IpAddress& client) { unknown_.push_back(client); },
                        .raise_lock_alarm = [this](const resolver::LockAlarm& alarm) { alarms_.push_back(alarm); },
                        .find_mac = [this](const IpAddress& client) -> std::optional<device::MacAddress> {
                          const auto found = neighbours_.find(client);
                          if (found == neighbours_.end()) return std::nullopt;
                          return found->second;
                        },
                        .interface_name = [this](std::uint32_t index) { return interfaces_.at(index - 1); },
                        .wake_at = [this](MonotonicTime at) { wake_at_ = std::min(wake_at_, at); },
                        .clock = clock_},
        first.snapshot);
    snapshot_ = first.snapshot;
    policy_ = first.settings.live.policy;
  }

  void carry_out(const Step& step) {
    std::visit([this](const auto& what) { (*this)(what); }, step.what);
    check_conservation();
  }

  /// Nothing may be left that the story does not tell.
  void end() const {
    if (noted_ < exchange_.asked().size())
      otherwise("at the end: upstream is asked " + exchange_.asked()[noted_].request.question.to_string() +
                ", which the story does not tell");
    for (const auto& [client, responses] : responses_)
      if (!responses.empty()) otherwise("at the end: " + client + " got a response that the story does not tell");
    if (!alarms_.empty())
      otherwise("at the end: an alarm for " + alarms_.front().name.to_string() + ", which the story does not tell");
  }

  // ── what happens
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  void operator()(const Asks& asks) {
    for (const dns::Question& question : asks.questions) {
      std::vector<std::uint8_t> octets(1024);
      dns::MessageWriter writer(octets);
      writer.header(static_cast<std::uint16_t>(0xa000 + queries_.size()),
                    {.response = false,
                     .recursion_desired = asks.recursion_desired,
                     .recursion_available = false,
                     .authentic_data = asks.authentic_data,
                     .checking_disabled = asks.checking_disabled},
                    dns::ResponseCode::noerror);
      check(writer.question(question));
      if (asks.has_edns) {
        const std::size_t before = writer.size();
        check(writer.opt({.udp_payload_size = asks.payload_size,
                          .dnssec_ok = asks.dnssec_ok,
                          .cookie = asks.has_cookie ? dns::Octets(client_cookie) : dns::Octets()}));
        octets[before + 6] = asks.version;
        std::vector<std::uint8_t> options;
        for (const auto& [code, value] : asks.options) {
          for (const std::size_t word : {std::size_t{code}, value.size()}) {
            options.push_back(static_cast<std::uint8_t>(word >> 8));
            options.push_back(static_cast<std::uint8_t>(word));
          }
          options.insert(options.end(), value.begin(), value.end());
        }
        octets.resize(writer.size());
        octets.insert(octets.end(), options.begin(), options.end());
        const std::size_t in_all = octets.size() - before - 11;
        octets[before + 9] = static_cast<std::uint8_t>(in_all >> 8);
        octets[before + 10] = static_cast<std::uint8_t>(in_all);
      } else {
        octets.resize(writer.size());
      }
      queries_.push_back({asks.client, octets, asks, question, asks.over_tcp, Query::State::under_way});
      send(asks.meant_for, asks.interface);
    }
  }

  void operator()(const Sends& sends) {
    queries_.push_back({sends.client, sends.octets, std::nullopt, {}, sends.over_tcp, Query::State::under_way});
    send(std::nullopt, "");
  }

  void operator()(const Answers& answers) {
    const std::size_t which = pending(answers.to);
    std::optional<dns::OptRecord> opt;
    if (answers.error) opt = {.error = answers.error, .error_text = answers.error_text};
    const auto octets = server_octets(exchange_.asked()[which].request.question, answers.code, answers.authentic_data,
                                      answers.records, opt);
    if (const auto fault = exchange_.answer(which, octets, upstream_server))
      otherwise("upstream::accept() does not believe this answer (fault " + std::to_string(static_cast<int>(*fault)) +
                ")");
  }

  void operator()(const Fails& fails) {
    do {
      exchange_.fail(pending(fails.to), fails.fault);
    } while (fails.all && !exchange_.asked().empty());
  }

  void operator()(const Passes& passes) {
    clock_.pass(passes.time);
    if (wake_at_ > clock_.now().monotonic) return;
    wake_at_ = MonotonicTime::max();
    resolver_->send_due();
  }
  void operator()(const ClockIsSet& set) { clock_.set(set.wall); }
  void operator()(const KernelSees& seen) { neighbours_[seen.address] = seen.mac; }

  void operator()(const LogIs& log) { outbox_.is_full = log.full; }

  void operator()(const Reloads& reloads) {
    const Prepared next = prepare(reloads.configuration, reloads.line);
    policy_ = next.settings.live.policy;
    install(next.snapshot);
  }

  void operator()(const Locks& locks) {
    std::erase_if(policy_.locks, [&](const policy::Lock& lock) { return lock.device == locks.device; });
    if (!locks.is_end) policy_.locks.push_back(locks.lock);
    auto next = std::make_shared<resolver::Snapshot>(*snapshot_);
    next->generation = ++generation_;
    next->rules = std::make_shared<const policy::RuleBook>(policy_);
    install(std::move(next));
  }

  // ── what must be so
  // ───────────────────────────────────────────────────────────────────────────────────────────────────

  void operator()(const IsAsked& expected) {
    if (noted_ >= exchange_.asked().size()) otherwise("upstream is not asked");
    const upstream::Request& request = exchange_.asked()[noted_].request;
    const auto& routes = snapshot_->upstream->routes;
    const std::string route = request.route < routes.size() ? routes[request.route].name : "none";
    const auto text = [](const dns::Question& question, const std::string& of, bool dnssec_ok, bool cd) {
      return question.to_string() + ", of " + of + (dnssec_ok ? ", with do" : "") + (cd ? ", with cd" : "");
    };
    const std::string is = text(request.question, route, request.dnssec_ok, request.checking_disabled);
    const std::string due = text(expected.question, expected.route, expected.dnssec_ok, expected.checking_disabled);
    if (!(request.question == expected.question) || is != due) otherwise("upstream is asked " + is);
    ++noted_;
  }

  void operator()(const IsNotAsked&) const {
    if (noted_ < exchange_.asked().size())
      otherwise("upstream is asked " + exchange_.asked()[noted_].request.question.to_string());
  }

  void operator()(const Gets& gets) {
    for (int i = 0; i < gets.times; ++i) {
      auto& responses = responses_[gets.client];
      if (responses.empty())
        otherwise(gets.client + " gets nothing" + (i > 0 ? " more after " + std::to_string(i) + " times" : ""));
      const auto [which, octets] = std::move(responses.front());
      responses.pop_front();
      compare(gets, queries_[which], octets);
    }
  }

  void operator()(const Waits& waits) {
    check_nothing_for(waits.client);
    const Query* query = last_of(waits.client);
    if (!query || query->state != Query::State::under_way)
      otherwise(waits.client + " does not wait: " + (query ? "its query was dropped" : "it asked nothing"));
  }

  void operator()(const GetsNothing& nothing) {
    check_nothing_for(nothing.client);
    const Query* query = last_of(nothing.client);
    if (!query || query->state != Query::State::dropped)
      otherwise("what " + nothing.client + " asked last was not dropped");
  }

  void operator()(const Recorded& expected) {
    if (outbox_.kept.empty()) otherwise("nothing is recorded");
    const querylog::Record record = outbox_.kept.front().first;
    outbox_.kept.pop_front();
    const std::string name = rule_name(record.rule);
    std::string is = "recorded: " + record.client.to_string() + ' ' +
                     dns::Question{record.qname.lowered(), record.qtype}.to_string() + ' ' +
                     std::string(querylog::to_string(record.verdict));
    std::string due = "recorded: " + story_.clients.at(expected.client).to_string() + ' ' +
                      dns::Question{expected.question.qname.lowered(), expected.question.qtype}.to_string() + ' ' +
                      std::string(querylog::to_string(expected.verdict));
    const auto both = [&](const std::string& what, const std::string& left, const std::string& right) {
      is += ", " + what + ' ' + left;
      due += ", " + what + ' ' + right;
    };
    if (expected.rule) both("by rule", name, *expected.rule);
    both("listed in", record.has_listing ? lists_of(record.list_set) : "no list",
         expected.listed.empty() ? "no list" : join(expected.listed));
    both("observed",
         record.has_observed
             ? std::string(querylog::to_string(record.observed)) + " by rule " + rule_name(record.observed_rule)
             : "nothing",
         expected.observed
             ? std::string(querylog::to_string(expected.observed->first)) + " by rule " + expected.observed->second
             : "nothing");
    both("meant for", record.destination.endpoint.to_string(), expected.meant_for.value_or(our_address).to_string());
    both("intercepted", record.destination.is_intercepted() ? "yes" : "no", expected.meant_for ? "yes" : "no");
    if (expected.source)
      both("from", std::string(querylog::to_string(record.source)), std::string(querylog::to_string(*expected.source)));
    if (expected.code) both("answered", dns::to_string(record.code), dns::to_string(*expected.code));
    if (expected.device) {
      const auto devices = snapshot_->roster->devices();
      both("of device", record.device.value < devices.size() ? devices[record.device.value].name : "out of range",
           *expected.device);
    }
    if (expected.latency)
      both("after", std::to_string(record.latency_us) + "us", std::to_string(expected.latency->count()) + "us");
    both("over", std::string(querylog::to_string(record.transport)), expected.over_tcp ? "tcp" : "udp");
    both("anonymously", record.log == device::LogChoice::anonymous ? "yes" : "no",
         expected.is_anonymous ? "yes" : "no");
    both("withheld", record.is_withheld ? "yes" : "no", expected.is_withheld ? "yes" : "no");
    if (is != due) otherwise(is + "\n  the story:   " + due);
  }

  void operator()(const IsNotRecorded&) const {
    if (!outbox_.kept.empty()) otherwise("recorded: " + outbox_.kept.front().first.qname.to_string());
  }

  void operator()(const IsAlarmed& alarmed) {
    if (alarms_.empty()) otherwise("there is no alarm");
    const std::string is = alarms_.front().device + ' ' + alarms_.front().name.to_string();
    alarms_.pop_front();
    if (is != alarmed.device + ' ' + alarmed.name) otherwise("the alarm is of " + is);
  }

  void operator()(const IsReported& reported) {
    if (unknown_.empty()) otherwise("no client is reported as unknown");
    if (unknown_.front() != reported.client) otherwise(unknown_.front().to_string() + " is reported as unknown");
    unknown_.pop_front();
  }

 private:
  void install(std::shared_ptr<const resolver::Snapshot> next) {
    const auto old = resolver_->install(next);
    if (old != snapshot_) otherwise("install() does not give back the snapshot that was in use");
    snapshot_ = std::move(next);
    kept_.push_back(old);  // as control does
  }

  Prepared prepare(const std::string& configuration, int line) {
    auto prepared = snapshot_of(configuration, folder_.path(), ++generation_, story_.file, line - 1);
    if (!prepared) otherwise("the configuration does not stand:\n" + prepared.error());
    return *std::move(prepared);
  }

  /// From 1 on; none: 0.
  std::uint32_t index_of(const std::string& interface) {
    if (interface.empty()) return 0;
    auto found = std::find(interfaces_.begin(), interfaces_.end(), interface);
    if (found == interfaces_.end()) found = interfaces_.insert(found, interface);
    return static_cast<std::uint32_t>(found - interfaces_.begin()) + 1;
  }

  void send(std::optional<Endpoint> meant_for, const std::string& interface) {
    const Query query = queries_.back();
    listener::Arrival arrival;
    arrival.message = query.octets;
    arrival.client = {story_.clients.at(query.client), 40'000};
    arrival.destination = meant_for ? device::Destination{*meant_for, device::DestinationSource::tproxy}
                                    : device::Destination{our_address, device::DestinationSource::local};
    arrival.route.carrier = query.over_tcp ? listener::Carrier::tcp : listener::Carrier::udp;
    arrival.route.local = arrival.destination.endpoint.address;
    arrival.route.connection = queries_.size() - 1;
    arrival.route.interface = index_of(interface);
    arrival.at = clock_.now();
    resolver_->begin_batch(arrival.at);
    const std::size_t size = resolver_->serve(arrival, out_);
    if (size > 0) arrived(arrival.route, arrival.client, dns::Octets(out_).first(size));
  }

  void leave(const listener::ReplyRoute& route, Query::State state) {
    Query& query = queries_.at(route.connection);
    if (query.state != Query::State::under_way) otherwise("a query of " + query.client + " is answered twice");
    query.state = state;
  }

  void arrived(const listener::ReplyRoute& route, const Endpoint& client, dns::Octets response) {
    leave(route, Query::State::answered);
    const Query& query = queries_.at(route.connection);
    if (client != Endpoint{story_.clients.at(query.client), 40'000})
      otherwise("a response for " + query.client + " is sent to " + client.to_string());
    responses_[query.client].emplace_back(route.connection,
                                          std::vector<std::uint8_t>(response.begin(), response.end()));
  }

  std::size_t pending(const std::optional<dns::Question>& question) {
    const auto& asked = exchange_.asked();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (question && !(asked[i].request.question == *question)) continue;
      if (i < noted_) --noted_;  // it leaves the queue
      return i;
    }
    otherwise(question ? "upstream has no open question " + question->to_string() : "upstream has no open question");
  }

  void compare(const Gets& gets, const Query& query, dns::Octets octets) const {
    const auto word = [&](std::size_t at) { return octets[at] << 8 | octets[at + 1]; };
    if (octets.size() < dns::header_octets || (octets[2] & 0x80) == 0) otherwise("what is sent is no response");
    if (word(0) != (query.octets[0] << 8 | query.octets[1])) otherwise("the response has another ID");
    if (((octets[2] ^ query.octets[2]) & 0x78) != 0) otherwise("the response has another opcode");
    std::string is, due;
    const auto both = [&](const std::string& what, const std::string& left, const std::string& right) {
      is += what + left;
      due += what + right;
    };
    if (!query.asks) {  // the header, and the question where it could be read
      both("", dns::to_string(static_cast<dns::ResponseCode>(octets[3] & 0x0f)), dns::to_string(gets.code));
      both(", flags ", flags_of(octets), gets.flags);
      if (is != due) otherwise(query.client + " gets " + is + "\n  the story: " + due);
      const bool has_question = word(4) == 1;
      if ((word(4) > 1 || word(6) != 0 || word(8) != 0 || word(10) != 0) ||
          has_question != (octets.size() > dns::header_octets) || octets.size() > query.octets.size() ||
          !std::equal(octets.begin() + dns::header_octets, octets.end(), query.octets.begin() + dns::header_octets))
        otherwise("behind the header there is something else than the question as it was sent");
      return;
    }
    const auto view = dns::ResponseView::parse(octets);
    if (!view) otherwise("the response does not parse: " + std::string(dns::to_string(view.error())));
    both("", dns::to_string(view->code()), dns::to_string(gets.code));
    both(", flags ", flags_of(octets), gets.flags);
    std::vector<Said> records;
    for (const dns::RecordView& record : *view) records.push_back({record.section, dns::to_record(*view, record)});
    if (!is_same(records, gets.records)) both("\n    with", text_of(records), text_of(gets.records));
    const auto error = extended_error(octets);
    if (error.has_value() != gets.extended_error.has_value() ||
        (error && (error->first != gets.extended_error->first ||
                   (gets.extended_error->second && error->second != gets.extended_error->second)))) {
      both("\n    EDE ", error ? std::to_string(error->first) + ' ' + error->second.value_or("") : "none",
           gets.extended_error
               ? std::to_string(gets.extended_error->first) + ' ' + gets.extended_error->second.value_or("")
               : "none");
    }
    if (is != due) otherwise(query.client + " gets " + is + "\n  the story: " + due);
    check_always(query, *query.asks, *view, octets);
  }

  /// What holds of every response.
  void check_always(const Query& query, const Asks& asks, const dns::ResponseView& view, dns::Octets octets) const {
    const auto sent = query.question.qname.wire();
    if (!std::equal(sent.begin(), sent.end(), octets.begin() + dns::header_octets) ||
        view.question().qtype != query.question.qtype || view.question().qclass != query.question.qclass)
      otherwise("the question comes back as " + view.question().to_string());
    if (view.edns().has_value() != asks.has_edns)
      otherwise(asks.has_edns ? "the response has no OPT" : "the response has an OPT that nobody asked for");
    std::size_t octets_max = 512;
    if (asks.has_edns) octets_max = std::clamp<std::size_t>(asks.payload_size, 512, response::udp_octets_max);
    if (asks.over_tcp) octets_max = dns::message_octets_max;
    if (octets.size() > octets_max)
      otherwise("the response has " + std::to_string(octets.size()) + " octets, " + std::to_string(octets_max) +
                " were allowed");
    if (!asks.has_edns) return;
    if (view.edns()->version != 0) otherwise("the response has another EDNS version than 0");
    if (view.edns()->dnssec_ok != asks.dnssec_ok) otherwise("DO is not as in the query (RFC 3225 §3)");
    const auto& cookie = view.edns()->cookie;
    if (cookie.has_value() != asks.has_cookie) otherwise("a cookie where none was sent, or none where one was");
    if (cookie &&
        (cookie->size() != dns::full_cookie_octets ||
         options_.cookies.judge(*cookie, story_.clients.at(query.client), clock_.now().wall) != dns::CookieState::good))
      otherwise("the cookie would not be taken back");
  }

  /// The EDE option, which views do not read: nobody sends it to us.
  static std::optional<std::pair<std::uint16_t, std::optional<std::string>>> extended_error(dns::Octets octets) {
    std::optional<std::pair<std::uint16_t, std::optional<std::string>>> found;
    const auto word = [&](std::size_t at) { return static_cast<std::size_t>(octets[at] << 8 | octets[at + 1]); };
    if (word(10) == 0) return found;
    std::size_t at = octets.size();  // OPT is the last record: its owner is the root, its type 41, its end the end
    for (std::size_t begin = dns::header_octets; begin + 11 <= octets.size(); ++begin)
      if (octets[begin] == 0 && word(begin + 1) == 41 && begin + 11 + word(begin + 9) == octets.size()) at = begin;
    for (at += 11; at + 4 <= octets.size(); at += 4 + word(at + 2)) {
      if (word(at) != 15) continue;
      if (found) otherwise("two EDE options");
      found.emplace(static_cast<std::uint16_t>(word(at + 4)),
                    std::string(octets.begin() + static_cast<std::ptrdiff_t>(at) + 6,
                                octets.begin() + static_cast<std::ptrdiff_t>(at + 4 + word(at + 2))));
    }
    return found;
  }

  void check_nothing_for(const std::string& client) const {
    const auto responses = responses_.find(client);
    if (responses == responses_.end() || responses->second.empty()) return;
    otherwise(client + " gets " +
              dns::to_string(static_cast<dns::ResponseCode>(responses->second.front().second[3] & 0x0f)));
  }
  const Query* last_of(const std::string& client) const {
    const auto found =
        std::find_if(queries_.rbegin(), queries_.rend(), [&](const Query& query) { return query.client == client; });
    return found == queries_.rend() ? nullptr : &*found;
  }

  std::string rule_name(policy::RuleId rule) const {
    if (rule == policy::no_rule) return "otherwise";
    if (rule == policy::lists_rule) return "lists";
    const std::size_t locks = snapshot_->rules->rules().size() - policy_.rules.size();
    return rule.value < locks ? "lock" : std::to_string(rule.value - locks + 1);
  }
  static std::string join(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
  }
  std::string lists_of(std::uint32_t set) const {
    std::vector<std::string> names;
    for (const blocklist::ListId list : snapshot_->lists->lists_of(set))
      names.push_back(snapshot_->rules->lists()[list.value].name);
    return join(names);
  }

  void check_conservation() const {
    const resolver::Statistics& is = resolver_->statistics();
    const std::uint64_t waiting = static_cast<std::uint64_t>(std::count_if(
        queries_.begin(), queries_.end(), [](const Query& query) { return query.state == Query::State::under_way; }));
    const auto equal = [](const char* what, std::uint64_t left, std::uint64_t right) {
      if (left != right)
        otherwise("the conservation law is broken: " + std::string(what) + ": " + std::to_string(left) + " and " +
                  std::to_string(right));
    };
    equal("received, queries sent", is.received, queries_.size());
    equal("waiting, queries under way", is.waiting, waiting);
    equal("received = answered + dropped + waiting", is.received,
          is.answered + is.dropped_by_verdict + is.dropped_malformed + is.waiting);
    equal("answered + held back = the sum of the ways to answer", is.answered + is.held_back,
          is.rejected + is.refused_client + is.over_limit + is.rate_limited + is.synthesized + is.from_cache +
              is.stale + is.forwarded + is.failed);
    equal("received - waiting = recorded + lost + not recorded", is.received - is.waiting,
          is.recorded + is.records_lost + is.not_recorded);
    equal("exchanges - ended, open questions of upstream", is.exchanges - exchange_.ended(), exchange_.asked().size());
  }

  const Story& story_;
  tests::TemporaryFolder folder_;  // where the story's files lie
  std::uint64_t generation_ = 0;
  OwnClock clock_;
  ToldExchange exchange_;
  KeptRecords outbox_;
  resolver::Options options_{.cache = {}, .seed = 1, .cookies = dns::CookieSecrets(this_secret, this_secret)};
  std::shared_ptr<const resolver::Snapshot> snapshot_;
  std::vector<std::shared_ptr<const resolver::Snapshot>> kept_;
  std::vector<Query> queries_;
  std::map<std::string, std::deque<std::pair<std::uint64_t, std::vector<std::uint8_t>>>> responses_;
  std::deque<IpAddress> unknown_;
  std::deque<resolver::LockAlarm> alarms_;
  policy::RuleBookSettings policy_;  // of the snapshot that is in use
  std::map<IpAddress, device::MacAddress> neighbours_;
  std::vector<std::string> interfaces_;
  MonotonicTime wake_at_ = MonotonicTime::max();
  std::size_t noted_ = 0;  ///< questions of upstream's queue that the story has told
  std::vector<std::uint8_t> out_;
  std::unique_ptr<resolver::Resolver> resolver_;  // last: ends first
};

}  // namespace

std::vector<std::string> play(const Story& story) {
  int line = story.configuration_line;
  try {
    Stage stage(story);
    for (const Step& step : story.steps) {
      line = step.line;
      stage.carry_out(step);
    }
    stage.end();
    return {};
  } catch (const Otherwise& otherwise) {
    return {story.file + ":" + std::to_string(line) + ": " + otherwise.what};
  }
}

}  // namespace doline::tests
