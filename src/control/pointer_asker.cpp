#include "control/pointer_asker.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <map>

#include "base/check.h"
#include "control/connected_socket.h"
#include "dns/message.h"
#include "dns/writer.h"
#include "response/local_records.h"
#include "upstream/random_source.h"

namespace doline::control {

namespace {

constexpr std::size_t datagram_octets_max = 4'096;

}  // namespace

struct PointerAsker::Impl {
  struct Question {
    IpAddress address;
    dns::Question question;
    std::uint16_t id = 0;
    int descriptor = -1;
    Watch readable, patience;

    Question() = default;
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;
    ~Question() {
      readable = Watch();
      if (descriptor >= 0) ::close(descriptor);
    }
  };

  Impl(Loop& loop_in, const Clock& clock_in, std::vector<Zone> zones_in, Found found_in, milliseconds patience_in)
      : loop(loop_in), clock(clock_in), zones(std::move(zones_in)), found(std::move(found_in)), patience(patience_in) {}

  [[nodiscard]] const Zone* zone_of(const dns::Name& reverse) const {
    const auto zone =
        std::find_if(zones.begin(), zones.end(), [&](const Zone& one) { return reverse.is_within(one.suffix); });
    return zone == zones.end() ? nullptr : &*zone;
  }

  bool ask(const IpAddress& address) {
    if (zone_of(response::reverse_name(address)) == nullptr || waiting.size() >= pointers_waiting_max) return false;
    const MonotonicTime now = clock.now().monotonic;
    if (asked.size() >= pointers_remembered_max) asked.clear();
    const auto [entry, is_new] = asked.try_emplace(address, now + pointer_again);
    if (!is_new && now < entry->second) return false;
    entry->second = now + pointer_again;
    waiting.push_back(address);
    go_on();
    return true;
  }

  void go_on() {
    while (!waiting.empty() && in_flight.size() < pointers_in_flight_max) {
      const IpAddress address = waiting.front();
      waiting.pop_front();
      send(address);
    }
  }

  void send(const IpAddress& address) {
    const dns::Name reverse = response::reverse_name(address);
    const Zone* zone = zone_of(reverse);
    check(zone != nullptr);
    const int descriptor = connected_socket(zone->server);
    if (descriptor < 0) return;
    const auto question = in_flight.emplace(in_flight.end());
    question->address = address;
    question->question = {reverse, dns::RecordType::ptr, dns::RecordClass::in};
    question->id = random.next<std::uint16_t>();
    question->descriptor = descriptor;
    const std::vector<std::uint8_t> query = dns::make_query(question->id, question->question);
    (void)::send(descriptor, query.data(), query.size(), 0);  // what is lost is asked for again another day
    question->readable = loop.on_events(descriptor, UV_READABLE, [this, question](int) { read(question); });
    question->patience = loop.after(patience, [this, question] { end(question); });
  }

  void read(std::list<Question>::iterator question) {
    std::array<std::uint8_t, datagram_octets_max> buffer;
    const ssize_t size = ::recv(question->descriptor, buffer.data(), buffer.size(), 0);
    if (size <= 0) return end(question);  // refused: nobody is there
    const auto view = dns::ResponseView::parse({buffer.data(), static_cast<std::size_t>(size)});
    if (!view || view->id() != question->id || !(view->question() == question->question)) return;  // not its answer
    const IpAddress address = question->address;
    std::optional<dns::Name> name;
    for (const dns::RecordView& record : *view)
      if (record.section == dns::Section::answer && record.type == dns::RecordType::ptr &&
          view->owner(record) == question->question.qname) {
        name = view->rdata_name(record, 0);
        break;
      }
    end(question);
    if (name) found(address, *name);
  }

  void end(std::list<Question>::iterator question) {
    in_flight.erase(question);
    go_on();
  }

  Loop& loop;
  const Clock& clock;
  const std::vector<Zone> zones;
  const Found found;
  const milliseconds patience;
  upstream::RandomSource random;
  std::deque<IpAddress> waiting;
  std::list<Question> in_flight;
  std::map<IpAddress, MonotonicTime> asked;  // and when they may be asked for again
};

PointerAsker::PointerAsker(Loop& loop, const Clock& clock, std::vector<Zone> zones, Found found, milliseconds patience)
    : impl_(std::make_unique<Impl>(loop, clock, std::move(zones), std::move(found), patience)) {}
PointerAsker::~PointerAsker() = default;

bool PointerAsker::ask(const IpAddress& address) {
  return impl_->ask(address);
}

}  // namespace doline::control
