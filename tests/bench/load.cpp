// bench_load: asks one DNS server for names from files, over UDP (sendmmsg, recvmmsg) or TCP (epoll), judges every
// response and prints one JSON object. UDP keeps a fixed number of queries outstanding, or asks at a fixed rate; then a
// response's time is the kernel's, so that how late this program runs does not count. It asks 127.0.0.0/8 only.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

constexpr std::string_view usage = R"(usage: bench_load --port PORT --names SOURCE [--names SOURCE...] [OPTION...]

Asks the DNS server at 127.0.0.1 and prints one JSON object: what was sent, received, lost and wrong, and the latencies in microseconds.

  --names SOURCE     words with commas between them:
                       file=PATH | unique=SUFFIX    one name a line, or names below SUFFIX that nobody asked before
                       order=zipf:S|sequence|once   of a file: drawn with Zipf exponent S, from top to end again and again, or once
                       skip=N                       of a file: begin with name N; with order=once N is too much if it has no more
                       weight=W                     share of the queries (1)
                       expect=address|blocked|anything   what is not wrong: the address that bench_echo makes from the name;
                                                    NXDOMAIN, no record or a null address; whatever (anything)
  --address ADDRESS  in 127.0.0.0/8 (127.0.0.1)
  --seconds S        stop after so long (5), or
  --queries N        after so many
  --window N         queries outstanding over UDP (128)
  --rate N           instead: queries a second
  --sockets N        UDP sockets (8)
  --tcp N            ask over so many connections from 64 addresses, with one query outstanding on each
  --reconnect        a new connection for every query
  --patience MS      a query without a response for so long is lost (2000)
  --seed N           of all that is random (1)

A response is wrong, too, if it is none (QR), if its question is not the one that was asked (but for case) or if its
records belong to other names than that and those that it leads to; over TCP if its ID is not the query's. Over UDP one
with another ID, or none at all, is `stray`, and its query then lost.

exit codes: 0 asked, 1 could not ask, 64 the command line is wrong, 66 a file is not there

examples:
  bench_load --port 5300 --names file=names.txt,order=zipf:0.9,expect=address --seconds 2
  bench_load --port 5300 --names unique=example.com --rate 5000
  bench_load --port 5300 --names file=names.txt --tcp 16 --reconnect
)";

constexpr std::size_t query_octets_max = 320;
constexpr std::size_t response_octets_max = 4096;
constexpr unsigned batch_max = 64;

[[noreturn]] void stop(int status, const std::string& why) {
  std::cerr << "bench_load: " << why << '\n';
  std::exit(status);
}

// Nanoseconds of a clock.
std::uint64_t now(clockid_t clock = CLOCK_MONOTONIC) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

sockaddr* address_of(sockaddr_in& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

void set_option(int socket, int level, int name, int value) {
  setsockopt(socket, level, name, &value, sizeof value);  // what the kernel refuses makes it slower, not wrong
}

// ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────

enum class Expect { anything, address, blocked };
enum class Order { zipf, sequence, once };

// Where names come from: a file's, in some order, or a counter's below a suffix.
struct Names {
  std::string file;
  std::string suffix;
  Expect expect = Expect::anything;
  Order order = Order::sequence;
  double exponent = 1;
  double weight = 1;
  std::size_t place = 0;  // in `drawn`, or in the file

  std::vector<std::uint8_t> octets;                    // all names in wire form
  std::vector<std::uint32_t> begins;                   // of each, and the end of the last
  std::vector<std::array<std::uint8_t, 4>> addresses;  // of each, if one is expected
  std::vector<std::uint32_t> drawn;                    // for zipf: which name comes next, drawn before
  std::vector<std::uint8_t> below;                     // `suffix` in wire form
  std::uint64_t number = 0;                            // of the next name below it
};

struct Options {
  sockaddr_in server{};
  std::vector<Names> names;
  double seconds = 5;
  std::uint64_t queries = UINT64_MAX;
  unsigned window = 128;
  double rate = 0;
  unsigned sockets = 8;
  unsigned connections = 0;  // 0: UDP
  bool reconnect = false;
  std::uint64_t patience = 2'000'000'000;
  std::uint64_t seed = 1;
};

// Appends the name in wire form; false, and nothing is appended, if it is none.
bool append_name(std::string_view text, std::vector<std::uint8_t>& octets) {
  const std::size_t start = octets.size();
  while (!text.empty()) {
    const std::string_view label = text.substr(0, text.find('.'));
    if (label.empty() || label.size() > 63 || octets.size() - start + label.size() > 253) {
      octets.resize(start);
      return false;
    }
    octets.push_back(static_cast<std::uint8_t>(label.size()));
    octets.insert(octets.end(), label.begin(), label.end());
    text.remove_prefix(std::min(label.size() + 1, text.size()));
  }
  if (octets.size() == start) return false;
  octets.push_back(0);
  return true;
}

// What bench_echo answers for a name (here with the root's octet), as its `answer` says.
std::array<std::uint8_t, 4> address_of_name(std::span<const std::uint8_t> name) {
  std::uint32_t hash = 2166136261;
  for (const std::uint8_t octet : name.first(name.size() - 1)) hash = (hash ^ (octet | 0x20U)) * 16777619;
  return {198, static_cast<std::uint8_t>(18 + (hash & 1)), static_cast<std::uint8_t>(hash >> 8),
          static_cast<std::uint8_t>(hash >> 16)};
}

// A million draws; which names are the frequent ones is random too.
std::vector<std::uint32_t> draw(std::size_t count, double exponent, std::mt19937_64& random) {
  std::vector<double> cumulated(count);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) cumulated[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  std::vector<std::uint32_t> ranked(count);
  for (std::size_t i = 0; i < count; ++i) ranked[i] = static_cast<std::uint32_t>(i);
  std::shuffle(ranked.begin(), ranked.end(), random);
  std::uniform_real_distribution<double> uniform(0, sum);
  std::vector<std::uint32_t> drawn(1 << 20);
  for (std::uint32_t& name : drawn) {
    const auto found = std::lower_bound(cumulated.begin(), cumulated.end() - 1, uniform(random));
    name = ranked[static_cast<std::size_t>(found - cumulated.begin())];
  }
  return drawn;
}

void load_names(Names& names, std::mt19937_64& random) {
  if (!names.suffix.empty()) {
    if (!append_name(names.suffix, names.below) || names.below.size() > 238) stop(64, names.suffix + " is no suffix");
    names.number = random();
    return;
  }
  std::ifstream file(names.file);
  if (!file) stop(66, names.file + " cannot be read");
  for (std::string line; std::getline(file, line);) {
    const auto begin = static_cast<std::uint32_t>(names.octets.size());
    if (!append_name(line, names.octets)) continue;
    names.begins.push_back(begin);
    if (names.expect == Expect::address)
      names.addresses.push_back(address_of_name(std::span(names.octets).subspan(begin)));
  }
  if (names.begins.empty()) stop(66, names.file + " has no names");
  const std::size_t count = names.begins.size();
  names.begins.push_back(static_cast<std::uint32_t>(names.octets.size()));
  if (names.order == Order::once && names.place >= count) stop(66, names.file + " has no names that were not asked");
  names.place %= count;
  if (names.order == Order::zipf) names.drawn = draw(count, names.exponent, random);
}

// A query, and what a right response to it says.
struct Query {
  std::array<std::uint8_t, query_octets_max> octets;
  std::size_t size = 0;
  Expect expect = Expect::anything;
  std::array<std::uint8_t, 4> address{};
};

// Writes queries: every source has its share of a wheel that is turned by one for each.
class Queries {
 public:
  explicit Queries(Options& options) : sources_(options.names) {
    std::mt19937_64 random(options.seed);
    double total = 0;
    for (Names& names : sources_) {
      load_names(names, random);
      total += names.weight;
    }
    double sum = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      sum += sources_[i].weight;
      const bool last = i + 1 == sources_.size();
      const auto end =
          last ? wheel_.size() : static_cast<std::size_t>(sum / total * static_cast<double>(wheel_.size()));
      while (at < end) wheel_[at++] = static_cast<std::uint8_t>(i);
    }
    std::shuffle(wheel_.begin(), wheel_.end(), random);
  }

  // False when a source is asked only once and is at its end.
  bool write(Query& query, std::uint16_t id) {
    Names& names = sources_[wheel_[turn_++ % wheel_.size()]];
    query.expect = names.expect;
    const std::array<std::uint8_t, 12> header{
        static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    std::uint8_t* const name_begin = std::copy(header.begin(), header.end(), query.octets.data());
    std::uint8_t* end = name_begin;
    if (!names.below.empty()) {
      std::uint64_t mixed = names.number++;
      mixed ^= mixed << 29;
      mixed *= 0xbf58476d1ce4e5b9;
      mixed ^= mixed >> 32;
      *end++ = 16;
      for (int i = 0; i < 16; ++i, mixed >>= 4) *end++ = static_cast<std::uint8_t>('a' + (mixed & 15));
      end = std::copy(names.below.begin(), names.below.end(), end);
      query.address = address_of_name({name_begin, end});
    } else {
      std::size_t name = names.place++;
      if (!names.drawn.empty()) {
        name = names.drawn[name % names.drawn.size()];
      } else if (name + 1 >= names.begins.size()) {
        over_ = names.order == Order::once;
        if (over_) return false;
        name = 0;
        names.place = 1;
      }
      end = std::copy(names.octets.begin() + names.begins[name], names.octets.begin() + names.begins[name + 1], end);
      if (!names.addresses.empty()) query.address = names.addresses[name];
    }
    for (const int octet : {0, 1, 0, 1}) *end++ = static_cast<std::uint8_t>(octet);  // A, IN
    query.size = static_cast<std::size_t>(end - query.octets.data());
    return true;
  }

  bool over() const { return over_; }

 private:
  std::vector<Names>& sources_;
  std::array<std::uint8_t, 4096> wheel_{};
  std::size_t turn_ = 0;
  bool over_ = false;
};

// ── what came back ───────────────────────────────────────────────────────────────────────────────────────────────────

// Nanoseconds, in 64 steps for each power of two.
class Latencies {
 public:
  void add(std::uint64_t time) {
    ++count_;
    largest_ = std::max(largest_, time);
    if (time < 64) {
      ++steps_[time];
      return;
    }
    const int exponent = 63 - std::countl_zero(time);
    ++steps_[static_cast<std::size_t>(exponent - 5) * 64 + (time >> (exponent - 6) & 63)];
  }

  double microseconds(double quantile) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      sum += steps_[i];
      if (sum < wanted || steps_[i] == 0) continue;
      if (i < 64) return static_cast<double>(i) * 1e-3;
      return std::ldexp(64.5 + static_cast<double>(i % 64), static_cast<int>(i / 64) - 1) * 1e-3;
    }
    return 0;
  }

  double largest() const { return static_cast<double>(largest_) * 1e-3; }

 private:
  std::array<std::uint64_t, 64 * 64> steps_{};
  std::uint64_t count_ = 0;
  std::uint64_t largest_ = 0;
};

// Reads a response; what is cut off or leads in circles makes it wrong, not the reader.
class Response {
 public:
  Response(const std::uint8_t* octets, std::size_t size) : octets_(octets), size_(size) {}

  // As a response to the query. Its ID is not looked at.
  bool is_right(const Query& query) const {
    const std::size_t question = query.size - 12;
    if (size_ < query.size || (octets_[2] & 0xf8) != 0x80 || number(4) != 1) return false;
    if (std::memcmp(octets_ + 12, query.octets.data() + 12, question) != 0 &&
        !std::equal(octets_ + 12, octets_ + query.size, query.octets.data() + 12, is_same_letter)) {
      return false;
    }
    if (query.expect == Expect::anything) return true;
    const int rcode = octets_[3] & 15;
    if (query.expect == Expect::blocked && rcode == 3) return true;
    if (rcode != 0 || (octets_[2] & 2) != 0) return false;
    if (number(6) == 0) return query.expect == Expect::blocked;
    static constexpr std::array<std::uint8_t, 4> null{};
    return leads_to(query.size, query.expect == Expect::blocked ? null : query.address);
  }

 private:
  static bool is_same_letter(std::uint8_t left, std::uint8_t right) {
    return left == right || ((left ^ right) == 0x20 && (left | 0x20) >= 'a' && (left | 0x20) <= 'z');
  }

  unsigned number(std::size_t at) const { return static_cast<unsigned>(octets_[at] << 8 | octets_[at + 1]); }

  // The answer section, which begins here, is the question's name, with the aliases that it has, and this address
  // alone.
  bool leads_to(std::size_t at, const std::array<std::uint8_t, 4>& address) const {
    std::size_t owner = 12;
    bool is_found = false;
    for (unsigned left = number(6); left > 0; --left) {
      if (at + 12 > size_ || (number(at) != (0xc000 | owner) && !is_same_name(at, owner))) return false;
      at = end_of_name(at);
      if (at + 10 > size_ || at + 10 + number(at + 8) > size_ || number(at + 2) != 1) return false;
      const unsigned type = number(at);
      const std::size_t data = at + 10;
      at = data + number(at + 8);
      if (type == 1) {
        if (at != data + 4 || std::memcmp(octets_ + data, address.data(), 4) != 0) return false;
        is_found = true;
      } else if (type == 5 && !is_found) {
        owner = data;
      } else {
        return false;
      }
    }
    return is_found;
  }

  // Past the octets that the name has here; past the end if it is cut off.
  std::size_t end_of_name(std::size_t at) const {
    while (at < size_ && octets_[at] != 0 && octets_[at] < 0xc0) at += 1 + octets_[at];
    return at + (at < size_ && octets_[at] >= 0xc0 ? 2 : 1);
  }

  // Where the next label of a name is, through pointers; past the end if there is none.
  std::size_t label(std::size_t at) const {
    for (int jumps = 0; at + 1 < size_ && octets_[at] >= 0xc0; ++jumps) at = jumps < 64 ? number(at) & 0x3fff : size_;
    return at;
  }

  bool is_same_name(std::size_t left, std::size_t right) const {
    for (int labels = 0; labels < 128; ++labels) {
      left = label(left);
      right = label(right);
      if (left >= size_ || right >= size_ || octets_[left] != octets_[right]) return false;
      const std::size_t length = octets_[left];
      if (length == 0) return true;
      if (length > 63 || left + 1 + length > size_ || right + 1 + length > size_) return false;
      if (!std::equal(octets_ + left + 1, octets_ + left + 1 + length, octets_ + right + 1, is_same_letter))
        return false;
      left += 1 + length;
      right += 1 + length;
    }
    return false;
  }

  const std::uint8_t* octets_;
  std::size_t size_;
};

struct Tally {
  std::uint64_t started = 0, ended = 0;  // when the first query was sent, and when the last might have been
  std::uint64_t sent = 0, received = 0, lost = 0, wrong = 0, stray = 0;
  std::uint64_t connections = 0, connection_errors = 0;
  std::uint64_t outstanding = 0;
  Latencies latencies;

  void receive(bool is_right, std::uint64_t time) {
    latencies.add(time);
    ++received;
    --outstanding;
    if (!is_right) ++wrong;
  }

  void lose() {
    ++lost;
    --outstanding;
  }
};

// Says when to stop asking, and when to stop waiting.
class Course {
 public:
  Course(const Options& options, const Queries& queries, Tally& tally)
      : options_(options), queries_(queries), tally_(tally) {
    tally_.started = now();
  }

  bool asking(std::uint64_t time) {
    if (asking_ && (time >= tally_.started + static_cast<std::uint64_t>(options_.seconds * 1e9) ||
                    tally_.sent >= options_.queries || queries_.over())) {
      asking_ = false;
      tally_.ended = time;
    }
    return asking_;
  }

  bool is_over(std::uint64_t time) const {
    return !asking_ && (tally_.outstanding == 0 || time > tally_.ended + options_.patience);
  }

 private:
  const Options& options_;
  const Queries& queries_;
  Tally& tally_;
  bool asking_ = true;
};

// ── UDP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// A query's ID is its slot's number, and above it how often the slot was used.
constexpr unsigned slot_bits = 10;
constexpr unsigned slots_max = 1U << slot_bits;

struct Slot {
  std::uint64_t sent_at = 0;
  bool is_waiting = false;
  std::uint8_t use = 0;
  Query query;

  void free() {
    is_waiting = false;
    use = (use + 1) & 63;
  }
};

struct Socket {
  int descriptor = -1;
  std::vector<Slot> slots;
  std::vector<std::uint16_t> unused;

  bool is_idle() const { return unused.size() == slots.size(); }
};

// Room for a batch of messages, and the heads that the system calls take.
struct Batch {
  std::vector<std::array<std::uint8_t, response_octets_max>> octets{batch_max};
  std::array<std::array<char, 64>, batch_max> stamps{};
  std::array<iovec, batch_max> pieces{};
  std::array<mmsghdr, batch_max> heads{};

  Batch() {
    for (unsigned i = 0; i < batch_max; ++i) {
      pieces[i] = {octets[i].data(), octets[i].size()};
      heads[i].msg_hdr.msg_iov = &pieces[i];
      heads[i].msg_hdr.msg_iovlen = 1;
    }
  }
};

class Udp {
 public:
  Udp(Options& options, Queries& queries, Tally& tally)
      : options_(options),
        queries_(queries),
        tally_(tally),
        clock_(options.rate > 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC),  // the kernel's stamps are of the former
        sockets_(options.sockets) {
    const unsigned each = options.rate > 0 ? slots_max : (options.window + options.sockets - 1) / options.sockets;
    for (Socket& socket : sockets_) {
      socket.descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      set_option(socket.descriptor, SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20);
      set_option(socket.descriptor, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20);
      if (options.rate > 0) set_option(socket.descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1);
      if (connect(socket.descriptor, address_of(options.server), sizeof options.server) != 0) stop(1, "cannot connect");
      socket.slots.resize(std::min(each, slots_max));
      for (std::size_t i = socket.slots.size(); i-- > 0;) socket.unused.push_back(static_cast<std::uint16_t>(i));
    }
  }

  void run() {
    Course course(options_, queries_, tally_);
    std::uint64_t swept = tally_.started;
    for (;;) {
      const std::uint64_t time = now();
      const bool asking = course.asking(time);
      if (course.is_over(time)) break;
      bool progress = false;
      for (Socket& socket : sockets_) progress |= !socket.is_idle() && receive(socket);
      if (time - swept > 50'000'000) {
        swept = time;
        give_up();
      }
      const std::uint64_t due = asking ? how_many(time) : 0;
      if (due > 0) progress |= send(due);
      if (!progress) wait(time, asking);
    }
    tally_.lost += tally_.outstanding;
  }

 private:
  bool receive(Socket& socket) {
    bool progress = false;
    for (unsigned count = batch_max; count == batch_max;) {
      if (options_.rate > 0) {
        for (unsigned i = 0; i < batch_max; ++i) {
          received_.heads[i].msg_hdr.msg_control = received_.stamps[i].data();
          received_.heads[i].msg_hdr.msg_controllen = received_.stamps[i].size();
        }
      }
      const int done = recvmmsg(socket.descriptor, received_.heads.data(), batch_max, MSG_DONTWAIT, nullptr);
      if (done <= 0) break;
      progress = true;
      count = static_cast<unsigned>(done);
      const std::uint64_t time = now(clock_);
      for (unsigned i = 0; i < count; ++i) take(socket, i, time);
    }
    return progress;
  }

  void take(Socket& socket, unsigned i, std::uint64_t time) {
    const std::uint8_t* response = received_.octets[i].data();
    const std::size_t size = received_.heads[i].msg_len;
    const unsigned id = static_cast<unsigned>(response[0] << 8 | response[1]);
    const unsigned number = id & (slots_max - 1);
    if (size < 12 || number >= socket.slots.size() || (response[2] & 0x80) == 0) {
      ++tally_.stray;
      return;
    }
    Slot& slot = socket.slots[number];
    if (!slot.is_waiting || slot.use != id >> slot_bits) {
      ++tally_.stray;
      return;
    }
    msghdr& head = received_.heads[i].msg_hdr;
    for (cmsghdr* part = CMSG_FIRSTHDR(&head); part != nullptr; part = CMSG_NXTHDR(&head, part)) {
      if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec stamp{};
      std::memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
      time = static_cast<std::uint64_t>(stamp.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(stamp.tv_nsec);
    }
    tally_.receive(Response(response, size).is_right(slot.query), time > slot.sent_at ? time - slot.sent_at : 0);
    slot.free();
    socket.unused.push_back(static_cast<std::uint16_t>(number));
  }

  void give_up() {
    const std::uint64_t time = now(clock_);
    for (Socket& socket : sockets_) {
      for (std::size_t i = 0; i < socket.slots.size(); ++i) {
        Slot& slot = socket.slots[i];
        if (!slot.is_waiting || time < slot.sent_at + options_.patience) continue;
        slot.free();
        socket.unused.push_back(static_cast<std::uint16_t>(i));
        tally_.lose();
      }
    }
  }

  // How many queries may be sent now.
  std::uint64_t how_many(std::uint64_t time) const {
    std::uint64_t due = static_cast<std::uint64_t>(batch_max) * sockets_.size();
    if (options_.rate > 0) {
      const double by_now = static_cast<double>(time - tally_.started) * 1e-9 * options_.rate;
      due = by_now >= static_cast<double>(tally_.sent) + 1 ? static_cast<std::uint64_t>(by_now) - tally_.sent : 0;
    }
    return std::min(due, options_.queries - tally_.sent);
  }

  bool send(std::uint64_t due) {
    bool progress = false;
    for (std::size_t turn = 0; turn < sockets_.size() && due > 0; ++turn) {
      Socket& socket = sockets_[next_socket_++ % sockets_.size()];
      // At a fixed rate what is due is spread over the sockets.
      const std::uint64_t share = options_.rate > 0 ? (due + sockets_.size() - 1) / sockets_.size() : due;
      const auto wanted = static_cast<unsigned>(std::min<std::uint64_t>({socket.unused.size(), batch_max, share}));
      const unsigned count = send(socket, wanted);
      due -= count;
      progress |= count > 0;
    }
    return progress;
  }

  unsigned send(Socket& socket, unsigned wanted) {
    unsigned count = 0;
    for (; count < wanted; ++count) {
      const std::uint16_t number = socket.unused[socket.unused.size() - 1 - count];
      Slot& slot = socket.slots[number];
      const auto id = static_cast<std::uint16_t>(number | slot.use << slot_bits);
      if (!queries_.write(slot.query, id)) break;
      sent_.pieces[count] = {slot.query.octets.data(), slot.query.size};
    }
    const std::uint64_t time = now(clock_);
    for (unsigned done = 0; done < count;) {
      const int more = sendmmsg(socket.descriptor, sent_.heads.data() + done, count - done, 0);
      if (more > 0) {
        done += static_cast<unsigned>(more);
      } else if (errno != EINTR && errno != ECONNREFUSED) {
        pollfd writable{socket.descriptor, POLLOUT, 0};
        poll(&writable, 1, 1);
      }
    }
    for (unsigned i = 0; i < count; ++i) {
      Slot& slot = socket.slots[socket.unused.back()];
      socket.unused.pop_back();
      slot.is_waiting = true;
      slot.sent_at = time;
    }
    tally_.sent += count;
    tally_.outstanding += count;
    return count;
  }

  // Until something arrives or a query is due, at most 2 ms.
  void wait(std::uint64_t time, bool asking) const {
    double patience = 2e6;
    if (options_.rate > 0 && asking) {
      const double due = static_cast<double>(tally_.sent + 1) / options_.rate * 1e9;
      patience = std::min(patience, due - static_cast<double>(time - tally_.started));
      if (patience < 1000) return;
    }
    std::vector<pollfd> readable;
    for (const Socket& socket : sockets_) readable.push_back({socket.descriptor, POLLIN, 0});
    const timespec limit{0, static_cast<long>(patience)};
    ppoll(readable.data(), readable.size(), &limit, nullptr);
  }

  Options& options_;
  Queries& queries_;
  Tally& tally_;
  clockid_t clock_;
  std::vector<Socket> sockets_;
  std::size_t next_socket_ = 0;
  Batch sent_;
  Batch received_;
};

// ── TCP ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct Connection {
  int descriptor = -1;
  bool is_open = false;
  bool is_waiting = false;
  Query query;
  std::uint64_t sent_at = 0;  // of the query; with --reconnect when the connection was begun
  std::uint64_t moved_at = 0;
  std::size_t have = 0;
  std::array<std::uint8_t, response_octets_max> response{};
};

class Tcp {
 public:
  Tcp(Options& options, Queries& queries, Tally& tally)
      : options_(options), queries_(queries), tally_(tally), connections_(options.connections) {}

  void run() {
    Course course(options_, queries_, tally_);
    std::uint64_t swept = tally_.started;
    for (Connection& connection : connections_) open(connection);
    std::array<epoll_event, 256> events{};
    for (;;) {
      const std::uint64_t time = now();
      asking_ = course.asking(time);
      if (course.is_over(time)) break;
      if (time - swept > 20'000'000) {
        swept = time;
        sweep(time);
      }
      const int count = epoll_wait(loop_, events.data(), events.size(), 5);
      for (int i = 0; i < count; ++i) {
        Connection& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (connection.descriptor < 0) continue;
        connection.is_open ? read(connection) : opened(connection);
      }
    }
    tally_.lost += tally_.outstanding;
  }

 private:
  void open(Connection& connection) {
    connection = {};
    connection.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connection.sent_at = connection.moved_at = now();
    set_option(connection.descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    // From 64 addresses: no server takes hundreds of connections from one client, and an address has ports for a few
    // seconds of new connections only, since each is in TIME_WAIT for a minute.
    set_option(connection.descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + opened_++ % 64);
    if (connection.descriptor < 0 || bind(connection.descriptor, address_of(own), sizeof own) != 0 ||
        (connect(connection.descriptor, address_of(options_.server), sizeof options_.server) != 0 &&
         errno != EINPROGRESS)) {
      close(connection, true);
      return;
    }
    epoll_event event{EPOLLIN | EPOLLOUT, {&connection}};
    epoll_ctl(loop_, EPOLL_CTL_ADD, connection.descriptor, &event);
  }

  void close(Connection& connection, bool is_error) {
    if (connection.descriptor >= 0) ::close(connection.descriptor);
    connection.descriptor = -1;
    connection.moved_at = now();
    if (connection.is_waiting) tally_.lose();
    connection.is_waiting = false;
    if (is_error) ++tally_.connection_errors;
  }

  void opened(Connection& connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection.descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      close(connection, true);
      return;
    }
    connection.is_open = true;
    ++tally_.connections;
    epoll_event event{EPOLLIN, {&connection}};
    epoll_ctl(loop_, EPOLL_CTL_MOD, connection.descriptor, &event);
    ask(connection);
  }

  void ask(Connection& connection) {
    if (!asking_ || tally_.sent >= options_.queries) return;
    Query& query = connection.query;
    if (!queries_.write(query, static_cast<std::uint16_t>(tally_.sent))) return;
    std::array<std::uint8_t, 2 + query_octets_max> message;
    message[0] = static_cast<std::uint8_t>(query.size >> 8);
    message[1] = static_cast<std::uint8_t>(query.size);
    std::copy_n(query.octets.data(), query.size, message.data() + 2);
    if (!options_.reconnect) connection.sent_at = now();
    connection.is_waiting = true;
    ++tally_.sent;
    ++tally_.outstanding;
    // With one query outstanding there is always room for it.
    if (::send(connection.descriptor, message.data(), query.size + 2, MSG_NOSIGNAL) !=
        static_cast<ssize_t>(query.size + 2)) {
      close(connection, true);
    }
  }

  void read(Connection& connection) {
    const ssize_t more = ::read(connection.descriptor, connection.response.data() + connection.have,
                                connection.response.size() - connection.have);
    if (more < 0 && errno == EAGAIN) return;
    if (more <= 0) {
      close(connection, connection.is_waiting);
      if (asking_) open(connection);
      return;
    }
    const std::uint64_t time = now();
    connection.moved_at = time;
    connection.have += static_cast<std::size_t>(more);
    const std::size_t size = static_cast<std::size_t>(connection.response[0] << 8 | connection.response[1]);
    if (connection.have < 2 || connection.have < 2 + size) return;
    if (!connection.is_waiting || connection.have > 2 + size) ++tally_.stray;  // more than was asked for
    connection.have = 0;
    if (!connection.is_waiting) return;
    connection.is_waiting = false;
    const std::uint8_t* response = connection.response.data() + 2;
    const bool has_id = size >= 12 && std::memcmp(response, connection.query.octets.data(), 2) == 0;
    tally_.receive(has_id && Response(response, size).is_right(connection.query), time - connection.sent_at);
    if (!options_.reconnect) {
      ask(connection);
      return;
    }
    close(connection, false);
    if (asking_) open(connection);
  }

  void sweep(std::uint64_t time) {
    for (Connection& connection : connections_) {
      const bool is_stuck = connection.is_waiting || !connection.is_open;
      if (connection.descriptor >= 0 && is_stuck && time > connection.moved_at + options_.patience)
        close(connection, true);
      if (connection.descriptor < 0 && asking_ && time > connection.moved_at + 50'000'000) open(connection);
    }
  }

  Options& options_;
  Queries& queries_;
  Tally& tally_;
  int loop_ = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections_;
  unsigned opened_ = 0;
  bool asking_ = true;
};

// ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────

double number_of(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0 || number < 0) stop(64, text + " is no number");
  return number;
}

Names names_of(const std::string& text) {
  Names names;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const std::size_t sign = std::min(word.find('='), word.size());
    const std::string key = word.substr(0, sign);
    const std::string value = word.substr(std::min(sign + 1, word.size()));
    if (key == "file") {
      names.file = value;
    } else if (key == "unique") {
      names.suffix = value;
    } else if (key == "weight") {
      names.weight = number_of(value);
    } else if (key == "skip") {
      names.place = static_cast<std::size_t>(number_of(value));
    } else if (word == "expect=anything" || word == "expect=address" || word == "expect=blocked") {
      names.expect = value == "address" ? Expect::address : value == "blocked" ? Expect::blocked : Expect::anything;
    } else if (word == "order=sequence" || word == "order=once") {
      names.order = value == "once" ? Order::once : Order::sequence;
    } else if (word.starts_with("order=zipf:")) {
      names.order = Order::zipf;
      names.exponent = number_of(value.substr(5));
    } else {
      stop(64, "--names does not know " + word);
    }
  }
  if (names.file.empty() == names.suffix.empty()) stop(64, "--names needs file= or unique=");
  return names;
}

Options options_of(int count, char** words) {
  Options options;
  options.server.sin_family = AF_INET;
  options.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto number_to = [](auto& number) {
    return [&number](const std::string& text) {
      number = static_cast<std::remove_reference_t<decltype(number)>>(number_of(text));
    };
  };
  const std::map<std::string_view, std::function<void(const std::string&)>> known{
      {"--address",
       [&](auto& text) {
         if (inet_pton(AF_INET, text.c_str(), &options.server.sin_addr) != 1) stop(64, text + " is no IPv4 address");
       }},
      {"--port", [&](auto& text) { options.server.sin_port = htons(static_cast<std::uint16_t>(number_of(text))); }},
      {"--names", [&](auto& text) { options.names.push_back(names_of(text)); }},
      {"--seconds", number_to(options.seconds)},
      {"--queries", number_to(options.queries)},
      {"--window", number_to(options.window)},
      {"--rate", number_to(options.rate)},
      {"--sockets", number_to(options.sockets)},
      {"--tcp", number_to(options.connections)},
      {"--patience", [&](auto& text) { options.patience = static_cast<std::uint64_t>(number_of(text) * 1e6); }},
      {"--seed", number_to(options.seed)}};
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const auto found = known.find(word);
    if (word == "--help") {
      std::cout << usage;
      std::exit(0);
    } else if (word == "--reconnect") {
      options.reconnect = true;
    } else if (found == known.end() || i + 1 == count) {
      stop(64, word + " is not known or lacks its value; see bench_load --help");
    } else {
      found->second(words[++i]);
    }
  }
  if (options.names.empty() || options.server.sin_port == 0)
    stop(64, "--port and --names are needed; see bench_load --help");
  if (options.names.size() > 255 || options.window == 0 || options.sockets == 0) stop(64, "too few or too many");
  if (ntohl(options.server.sin_addr.s_addr) >> 24 != 127) stop(64, "only 127.0.0.0/8 is asked");
  return options;
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void print(const Tally& tally, double cpu) {
  const double seconds = static_cast<double>(tally.ended - tally.started) * 1e-9;
  const Latencies& latencies = tally.latencies;
  std::printf(
      "{\"seconds\":%.4f,\"sent\":%lu,\"received\":%lu,\"lost\":%lu,\"wrong\":%lu,\"stray\":%lu,\"rate\":%.1f,"
      "\"own_cpu_seconds\":%.3f,\"connections\":%lu,\"connection_errors\":%lu,"
      "\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"largest\":%.2f}\n",
      seconds, tally.sent, tally.received, tally.lost, tally.wrong, tally.stray,
      static_cast<double>(tally.received) / seconds, cpu, tally.connections, tally.connection_errors,
      latencies.microseconds(.5), latencies.microseconds(.9), latencies.microseconds(.99), latencies.microseconds(.999),
      latencies.largest());
}

}  // namespace

int main(int count, char** words) {
  Options options = options_of(count, words);
  prctl(PR_SET_TIMERSLACK, 1UL);
  Queries queries(options);
  Tally tally;
  const double before = cpu_seconds();
  if (options.connections > 0) {
    Tcp(options, queries, tally).run();
  } else {
    Udp(options, queries, tally).run();
  }
  print(tally, cpu_seconds() - before);
}
