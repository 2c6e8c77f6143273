#include "scenario/story.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace doline::tests {

namespace {

/// Ends the reading; caught in read_story(). Tests may throw.
struct Wrong {
  int line;
  std::string what;
};

struct Line {
  int number = 0;
  std::size_t indent = 0;
  std::string text;  ///< without indent and without spaces at its end
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    lines.push_back({number, indent, std::string(line.substr(indent))});
  }
  return lines;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::string join(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i > from ? " " : "") + words[i];
  return text;
}

/// What stands between commas: the sentence, then its clauses, each as words.
std::vector<std::vector<std::string>> clauses_of(std::string_view text) {
  std::vector<std::vector<std::string>> clauses;
  while (true) {
    const std::size_t comma = text.find(", ");
    clauses.push_back(words_of(text.substr(0, comma)));
    if (comma == std::string_view::npos) return clauses;
    text.remove_prefix(comma + 2);
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : lines_(lines_of(text)) {}

  Story read() {
    Story story;
    bool has_story = false;
    while (skip_to_text()) {
      const Line& line = lines_[at_++];
      number_ = line.number;
      if (line.indent != 0) wrong("a section begins at the left edge");
      const auto words = words_of(line.text);
      if (line.text.starts_with("scenario: ")) {
        if (!story.title.empty()) wrong("a second title");
        story.title = line.text.substr(10);
      } else if (words.size() == 3 && words[0] == "client" && words[1].ends_with(':')) {
        const std::string name = words[1].substr(0, words[1].size() - 1);
        if (!story.clients.emplace(name, address(words[2])).second) wrong("a second client '" + name + "'");
      } else if (line.text == "configuration:") {
        if (!story.configuration.empty()) wrong("a second configuration; later ones are given by the step `reload:`");
        story.configuration_line = line.number + 1;
        story.configuration = block(0);
      } else if (words.size() == 2 && words[0] == "file" && words[1].ends_with(':')) {
        story.files[words[1].substr(0, words[1].size() - 1)] = block(0);
      } else if (line.text == "story:") {
        if (has_story) wrong("a second story");
        has_story = true;
        read_steps(story);
      } else {
        wrong(
            "no such section; there are `scenario: TITLE`, `client NAME: ADDRESS`, `configuration:`, `file NAME:`, "
            "`story:`");
      }
    }
    number_ = 1;
    if (story.title.empty()) wrong("no `scenario: TITLE`");
    if (story.configuration.empty()) wrong("no `configuration:`");
    if (story.steps.empty()) wrong("no `story:`, or nothing happens in it");
    for (const Step& step : story.steps) check_client(story, step);
    return story;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const { throw Wrong{number_, what}; }

  bool skip_to_text() {
    while (at_ < lines_.size() && (lines_[at_].text.empty() || lines_[at_].text.starts_with('#'))) ++at_;
    return at_ < lines_.size();
  }

  /// All lines that stand deeper than `indent`, without two more spaces.
  std::string block(std::size_t indent) {
    std::string text;
    for (; at_ < lines_.size() && (lines_[at_].indent > indent || lines_[at_].text.empty()); ++at_) {
      const Line& line = lines_[at_];
      number_ = line.number;
      if (!line.text.empty() && line.indent < indent + 2) wrong("a block stands two spaces deeper");
      if (!line.text.empty()) text += std::string(line.indent - indent - 2, ' ') + line.text;
      text += '\n';
    }
    if (words_of(text).empty()) wrong("an empty block");
    return text;
  }

  void read_steps(Story& story) {
    while (skip_to_text() && lines_[at_].indent > 0) {
      const Line line = lines_[at_++];
      number_ = line.number;
      if (line.indent != 2) wrong("a step stands two spaces deep, what belongs to it four");
      Step step{line.number, {}};
      read_step(line, step);
      story.steps.push_back(std::move(step));
      if (skip_to_text() && lines_[at_].indent > 2) {
        number_ = lines_[at_].number;
        wrong("nothing can stand below this step");
      }
    }
  }

  void read_step(const Line& line, Step& step) {
    if (line.text == "reload:") {
      step.what = Reloads{block(2), line.number + 1};
      return;
    }
    const auto clauses = clauses_of(line.text);
    const auto& sentence = clauses[0];
    const auto is = [&](std::size_t from, std::string_view text) {
      const auto words = words_of(text);
      return sentence.size() >= from + words.size() && std::equal(words.begin(), words.end(), sentence.begin() + from);
    };
    const auto alone = [&](std::string_view text) { return line.text == text; };

    if (alone("upstream is not asked")) {
      step.what = IsNotAsked{};
    } else if (alone("nothing is recorded")) {
      step.what = IsNotRecorded{};
    } else if (alone("the log is full")) {
      step.what = LogIs{true};
    } else if (alone("the log has room")) {
      step.what = LogIs{false};
    } else if (is(0, "upstream is asked")) {
      step.what = is_asked(clauses);
    } else if (is(0, "upstream answers")) {
      step.what = answers(clauses);
    } else if (is(0, "upstream fails")) {
      step.what = fails(clauses);
    } else if (is(0, "wait") && sentence.size() == 2) {
      step.what = Passes{duration(sentence[1])};
    } else if (is(0, "the clock is set to") && sentence.size() == 7) {
      step.what = ClockIsSet{wall_time(sentence[5], sentence[6])};
    } else if (is(0, "the kernel sees") && is(4, "at") && sentence.size() == 6) {
      step.what = KernelSees{mac(sentence[3]), address(sentence[5])};
    } else if ((is(1, "is locked to") && sentence.size() > 4) || (is(1, "is unlocked") && sentence.size() == 3)) {
      step.what = locks(clauses);
    } else if (is(1, "raises an alarm for") && sentence.size() == 6) {
      step.what = IsAlarmed{sentence[0], sentence[5]};
    } else if (is(0, "recorded:")) {
      step.what = recorded(clauses);
    } else if (is(1, "is reported as unknown") && sentence.size() == 5) {
      step.what = IsReported{address(sentence[0])};
    } else if (is(1, "asks")) {
      step.what = asks(clauses);
    } else if (is(1, "sends")) {
      step.what = sends(clauses);
    } else if (is(1, "gets nothing") && sentence.size() == 3) {
      step.what = GetsNothing{sentence[0]};
    } else if (is(1, "waits") && sentence.size() == 2) {
      step.what = Waits{sentence[0]};
    } else if (is(1, "gets")) {
      step.what = gets(clauses);
    } else {
      wrong("no such step; README.md lists them");
    }
  }

  // ── steps
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  using Clauses = std::vector<std::vector<std::string>>;

  [[noreturn]] void no_clause(const std::vector<std::string>& clause) const {
    wrong("this step has no clause '" + join(clause, 0) + "'");
  }

  Asks asks(const Clauses& clauses) const {
    const auto& sentence = clauses[0];
    if (sentence.size() != 4) wrong("`CLIENT asks NAME TYPE`");
    Asks asks;
    asks.client = sentence[0];
    for (const std::string& name : names(sentence[2])) asks.questions.push_back(question(name, sentence[3]));
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      if (join(clause, 0) == "over tcp") {
        asks.over_tcp = true;
      } else if (clause[0] == "meant" && clause.size() == 3) {
        asks.meant_for = endpoint(clause[2]);
      } else if (clause[0] == "by" && clause.size() == 2) {
        asks.interface = clause[1];
      } else if (clause[0] == "with") {
        for (std::size_t word = 1; word < clause.size(); ++word) ask_with(asks, clause[word]);
      } else if (join(clause, 0) == "without rd") {
        asks.recursion_desired = false;
      } else {
        no_clause(clause);
      }
    }
    return asks;
  }

  void ask_with(Asks& asks, const std::string& word) const {
    if (word == "cd") {
      asks.checking_disabled = true;
    } else if (word == "ad") {
      asks.authentic_data = true;
    } else if (word.starts_with("class=")) {
      for (dns::Question& question : asks.questions)
        question.qclass = static_cast<dns::RecordClass>(number(word.substr(6)));
    } else {
      asks.has_edns = true;
      if (word == "edns") return;
      if (word == "do")
        asks.dnssec_ok = true;
      else if (word == "cookie")
        asks.has_cookie = true;
      else if (word.starts_with("edns="))
        asks.payload_size = static_cast<std::uint16_t>(number(word.substr(5)));
      else if (word.starts_with("mac="))
        asks.options.emplace_back(65'001, mac_option(word.substr(4)));
      else if (word.starts_with("id="))
        asks.options.emplace_back(65'074, std::vector<std::uint8_t>(word.begin() + 3, word.end()));
      else if (word.starts_with("subnet="))
        asks.options.emplace_back(8, subnet_option(word.substr(7)));
      else if (word.starts_with("version="))
        asks.version = static_cast<std::uint8_t>(number(word.substr(8)));
      else
        wrong("'" + word +
              "' is none of edns, edns=SIZE, do, cookie, mac=MAC, id=TEXT, subnet=ADDRESS, version=N, cd, ad, class=N");
    }
  }

  std::vector<std::uint8_t> mac_option(const std::string& text) const {
    const device::MacAddress said = mac(text);
    return {said.octets.begin(), said.octets.end()};
  }

  /// Of one host, as routers that add it send it.
  std::vector<std::uint8_t> subnet_option(const std::string& text) const {
    const IpAddress host = address(text);
    const bool is_v4 = host.is_v4();
    std::vector<std::uint8_t> option{0, static_cast<std::uint8_t>(is_v4 ? 1 : 2),
                                     static_cast<std::uint8_t>(is_v4 ? 32 : 128), 0};
    option.insert(option.end(), host.octets().begin(), host.octets().end());
    return option;
  }

  Locks locks(const Clauses& clauses) const {
    const auto& sentence = clauses[0];
    Locks locks{sentence[0], sentence.size() == 3, {}};
    locks.lock.device = sentence[0];
    for (std::size_t word = 4; word < sentence.size(); ++word) {
      const bool is_alone = sentence[word].starts_with('=');
      const auto name = dns::Name::parse(sentence[word].substr(is_alone ? 1 : 0));
      if (!name) wrong("`" + sentence[word] + "` is no name");
      (is_alone ? locks.lock.names : locks.lock.subtrees).push_back(name->lowered());
    }
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      if (join(clauses[i], 0) != "observing") no_clause(clauses[i]);
      locks.lock.mode = policy::Mode::observe;
    }
    return locks;
  }

  Sends sends(const Clauses& clauses) const {
    Sends sends;
    sends.client = clauses[0][0];
    const std::string digits = [&] {
      std::string all;
      for (std::size_t i = 2; i < clauses[0].size(); ++i) all += clauses[0][i];
      return all;
    }();
    if (digits.size() % 2 != 0) wrong("an odd number of hexadecimal digits");
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      std::uint8_t octet = 0;
      const auto [end, error] = std::from_chars(digits.data() + i, digits.data() + i + 2, octet, 16);
      if (error != std::errc() || end != digits.data() + i + 2) wrong("'" + digits.substr(i, 2) + "' is no octet");
      sends.octets.push_back(octet);
    }
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      if (join(clauses[i], 0) != "over tcp") no_clause(clauses[i]);
      sends.over_tcp = true;
    }
    return sends;
  }

  IsAsked is_asked(const Clauses& clauses) const {
    const auto& sentence = clauses[0];
    if (sentence.size() != 5) wrong("`upstream is asked NAME TYPE`");
    IsAsked asked;
    asked.question = question(sentence[3], sentence[4]);
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      if (clause[0] == "of" && clause.size() == 2) {
        asked.route = clause[1];
      } else if (clause[0] == "with") {
        for (std::size_t word = 1; word < clause.size(); ++word)
          (clause[word] == "do"   ? asked.dnssec_ok
           : clause[word] == "cd" ? asked.checking_disabled
                                  : (wrong("neither do nor cd"), asked.dnssec_ok)) = true;
      } else {
        no_clause(clause);
      }
    }
    return asked;
  }

  Answers answers(const Clauses& clauses) {
    const auto& sentence = clauses[0];
    if (sentence.size() != 3) wrong("`upstream answers RCODE`");
    Answers answers;
    answers.code = code(sentence[2]);
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      if (clause[0] == "to" && clause.size() == 3)
        answers.to = question(clause[1], clause[2]);
      else if (join(clause, 0) == "with ad")
        answers.authentic_data = true;
      else if (clause[0] == "saying" && clause.size() > 1) {
        answers.error = static_cast<dns::ExtendedError>(number(clause[1]));
        answers.error_text = join(clause, 2);
      } else
        no_clause(clause);
    }
    while (next_detail())
      if (!read_record(answers.records)) wrong("`answer: RECORD`, `authority: RECORD` or `additional: RECORD`");
    return answers;
  }

  Fails fails(const Clauses& clauses) const {
    const auto& sentence = clauses[0];
    if (sentence.size() != 3) wrong("`upstream fails FAULT`");
    Fails fails;
    if (sentence[2] == "timeout")
      fails.fault = upstream::ExchangeFault::timeout;
    else if (sentence[2] == "unreachable")
      fails.fault = upstream::ExchangeFault::unreachable;
    else if (sentence[2] == "server_failed")
      fails.fault = upstream::ExchangeFault::server_failed;
    else if (sentence[2] == "overloaded")
      fails.fault = upstream::ExchangeFault::overloaded;
    else
      wrong("'" + sentence[2] + "' is none of timeout, unreachable, server_failed, overloaded");
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      if (clause[0] == "to" && clause.size() == 3)
        fails.to = question(clause[1], clause[2]);
      else if (join(clause, 0) == "all")
        fails.all = true;
      else
        no_clause(clause);
    }
    return fails;
  }

  Gets gets(const Clauses& clauses) {
    const auto& sentence = clauses[0];
    if (sentence.size() != 3) wrong("`CLIENT gets RCODE`");
    Gets gets;
    gets.client = sentence[0];
    gets.code = code(sentence[2]);
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      if (clause[0] == "flags")
        gets.flags = join(clause, 1);
      else if (clause.size() == 2 && clause[1] == "times")
        gets.times = static_cast<int>(number(clause[0]));
      else
        no_clause(clause);
    }
    while (next_detail()) {
      const Line& line = lines_[at_ - 1];
      if (line.text.starts_with("EDE ")) {
        const auto words = words_of(line.text);
        gets.extended_error.emplace(static_cast<std::uint16_t>(number(words[1])), std::nullopt);
        if (words.size() > 2) gets.extended_error->second = join(words, 2);
      } else if (!read_record(gets.records)) {
        wrong("`answer: RECORD`, `authority: RECORD`, `additional: RECORD` or `EDE CODE TEXT`");
      }
    }
    return gets;
  }

  Recorded recorded(const Clauses& clauses) const {
    const auto& sentence = clauses[0];
    if (sentence.size() != 5) wrong("`recorded: CLIENT NAME TYPE VERDICT`");
    Recorded record;
    record.client = sentence[1];
    record.question = question(sentence[2], sentence[3]);
    record.verdict = verdict(sentence[4]);
    for (std::size_t i = 1; i < clauses.size(); ++i) {
      const auto& clause = clauses[i];
      const std::string text = join(clause, 0);
      if (text.starts_with("by rule ") && clause.size() == 3)
        record.rule = clause[2];
      else if (text == "by the lists")
        record.rule = "lists";
      else if (text == "by no rule")
        record.rule = "otherwise";
      else if (text.starts_with("listed in ") && clause.size() > 2)
        record.listed.assign(clause.begin() + 2, clause.end());
      else if (text.starts_with("would ") && clause.size() >= 4 && clause[2] == "by")
        record.observed.emplace(verdict(clause[1]), clause[3] == "rule" && clause.size() == 5 ? clause[4] : "lists");
      else if (text.starts_with("meant for ") && clause.size() == 3)
        record.meant_for = endpoint(clause[2]);
      else if (clause[0] == "from" && clause.size() == 2)
        record.source = source(clause[1]);
      else if (text.starts_with("answered ") && clause.size() == 2)
        record.code = code(clause[1]);
      else if (text.starts_with("of device ") && clause.size() == 3)
        record.device = clause[2];
      else if (clause[0] == "after" && clause.size() == 2)
        record.latency = duration(clause[1]);
      else if (text == "over tcp")
        record.over_tcp = true;
      else if (text == "anonymously")
        record.is_anonymous = true;
      else if (text == "withheld")
        record.is_withheld = true;
      else
        no_clause(clause);
    }
    return record;
  }

  // ── what stands below a step
  // ────────────────────────────────────────────────────────────────────────────────────────────

  bool next_detail() {
    if (!skip_to_text() || lines_[at_].indent <= 2) return false;
    number_ = lines_[at_].number;
    if (lines_[at_].indent != 4) wrong("what belongs to a step stands four spaces deep");
    ++at_;
    return true;
  }

  bool read_record(std::vector<Said>& records) const {
    const std::string& text = lines_[at_ - 1].text;
    static constexpr std::pair<std::string_view, dns::Section> sections[] = {
        {"answer: ", dns::Section::answer},
        {"authority: ", dns::Section::authority},
        {"additional: ", dns::Section::additional}};
    for (const auto& [prefix, section] : sections) {
      if (!text.starts_with(prefix)) continue;
      const std::string_view rest = std::string_view(text).substr(prefix.size());
      // `{1-40}` in the RDATA: so many records.
      for (const std::string& one : names(std::string(rest))) {
        const auto record = dns::parse_record(one, 0);
        if (!record) wrong("'" + one + "' is no record: " + record.error());
        records.push_back({section, *record});
      }
      return true;
    }
    return false;
  }

  // ── words
  // ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

  /// `n{1-3}.example`: n1.example, n2.example, n3.example.
  std::vector<std::string> names(const std::string& text) const {
    const std::size_t open = text.find('{'), close = text.find('}');
    if (open == std::string::npos || close == std::string::npos) return {text};
    const std::string range = text.substr(open + 1, close - open - 1);
    const std::size_t dash = range.find('-');
    if (dash == std::string::npos) wrong("a range is {FIRST-LAST}");
    const unsigned first = number(range.substr(0, dash)), last = number(range.substr(dash + 1));
    if (first > last || last - first > 100'000) wrong("a range goes upwards, and not so far");
    std::vector<std::string> all;
    for (unsigned i = first; i <= last; ++i)
      all.push_back(text.substr(0, open) + std::to_string(i) + text.substr(close + 1));
    return all;
  }

  unsigned number(const std::string& text) const {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) wrong("'" + text + "' is no number");
    return value;
  }
  dns::Question question(const std::string& name, const std::string& type) const {
    const auto qname = dns::Name::parse(name);
    if (!qname) wrong("'" + name + "' is no name: " + std::string(dns::to_string(qname.error())));
    const auto qtype = dns::parse_record_type(type);
    if (!qtype) wrong("'" + type + "' is no record type");
    return {*qname, *qtype};
  }
  dns::ResponseCode code(const std::string& text) const {
    const auto code = dns::parse_response_code(text);
    if (!code) wrong("'" + text + "' is no RCODE");
    return *code;
  }
  querylog::VerdictKind verdict(const std::string& text) const {
    const auto kind = querylog::parse_verdict_kind(text);
    if (!kind) wrong("'" + text + "' is no verdict");
    return *kind;
  }
  querylog::Source source(const std::string& text) const {
    for (int i = 0; i <= 5; ++i)
      if (const auto source = static_cast<querylog::Source>(i); text == querylog::to_string(source)) return source;
    wrong("'" + text + "' is nowhere that an answer comes from");
  }
  IpAddress address(const std::string& text) const {
    const auto address = IpAddress::parse(text);
    if (!address) wrong("'" + text + "' is no address");
    return *address;
  }
  device::MacAddress mac(const std::string& text) const {
    const auto mac = device::MacAddress::parse(text);
    if (!mac) wrong("'" + text + "' is no MAC address");
    return *mac;
  }
  Endpoint endpoint(const std::string& text) const {
    const auto endpoint = Endpoint::parse(text, 53);
    if (!endpoint) wrong("'" + text + "' is no address");
    return *endpoint;
  }
  microseconds duration(const std::string& text) const {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string unit = text.substr(digits);
    const microseconds one = unit == "ms"  ? milliseconds(1)
                             : unit == "s" ? seconds(1)
                             : unit == "m" ? std::chrono::minutes(1)
                             : unit == "h" ? std::chrono::hours(1)
                                           : microseconds(0);
    if (one.count() == 0) wrong("'" + text + "' is no time; units are ms, s, m, h");
    return number(text.substr(0, digits)) * one;
  }
  WallTime wall_time(const std::string& day, const std::string& minute) const {
    int year = 0;
    unsigned month = 0, day_of_month = 0;
    int hour = 0, minutes = 0;
    if (std::sscanf(day.c_str(), "%d-%u-%u", &year, &month, &day_of_month) != 3 ||
        std::sscanf(minute.c_str(), "%d:%d", &hour, &minutes) != 2)
      wrong("a time is `2026-01-05 21:30`");
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day_of_month)};
    if (!date.ok() || hour > 23 || minutes > 59) wrong("there is no such time");
    return WallTime{std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minutes)};
  }

  void check_client(const Story& story, const Step& step) {
    number_ = step.line;
    const auto known = [&](const std::string& client) {
      if (!story.clients.contains(client)) wrong("no line `client " + client + ": ADDRESS`");
    };
    if (const auto* asks = std::get_if<Asks>(&step.what)) known(asks->client);
    if (const auto* sends = std::get_if<Sends>(&step.what)) known(sends->client);
    if (const auto* gets = std::get_if<Gets>(&step.what)) known(gets->client);
    if (const auto* waits = std::get_if<Waits>(&step.what)) known(waits->client);
    if (const auto* nothing = std::get_if<GetsNothing>(&step.what)) known(nothing->client);
    if (const auto* recorded = std::get_if<Recorded>(&step.what)) known(recorded->client);
  }

  std::vector<Line> lines_;
  std::size_t at_ = 0;
  int number_ = 1;
};

}  // namespace

Result<Story, std::string> read_story(std::string_view text, const std::string& file) {
  try {
    Story story = Reader(text).read();
    story.file = file;
    return story;
  } catch (const Wrong& wrong) {
    return fail(file + ":" + std::to_string(wrong.line) + ": " + wrong.what);
  }
}

}  // namespace doline::tests
