#include "blocklist/compile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "blocklist/gathering.h"
#include "blocklist/image.h"
#include "blocklist/line_reader.h"
#include "blocklist/pattern_set.h"
#include "blocklist/rule_table.h"
#include "blocklist/unpacker.h"

namespace doline::blocklist {
namespace {

/// A file beyond this is not read: the largest published list has a twentieth of it.
constexpr std::uint64_t text_octets_max = std::uint64_t{1} << 30;
constexpr std::size_t buffer_octets = std::size_t{1} << 20;
constexpr std::size_t packed_octets = std::size_t{64} << 10;
/// Repetitions are merged first when so many entries are there, then whenever their number has doubled.
constexpr std::uint64_t merge_entries = 8'000'000;
/// An unlucky seed has a probability below 2^-14 (FORMAT.md); this many in a row do not happen.
constexpr int attempts_max = 8;

const std::string too_many_names = "with this list there would be more than " + std::to_string(names_max) + " names";

/// Of all lists: what they say of names by rules, and addresses.
constexpr std::size_t rules_said_max = 16'000'000;
const std::string too_many_rules = "with this list there would be more rules, expressions or addresses than fit";

std::string because(std::string_view what, const std::filesystem::path& file, int error) {
  return std::string(what) + " " + file.string() + ": " + std::strerror(error);
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  [[nodiscard]] int number() const { return number_; }
  bool close() {
    const int number = std::exchange(number_, -1);
    return number < 0 || ::close(number) == 0;
  }

 private:
  int number_;
};

/// A file's text, unpacked where it is packed.
class TextSource {
 public:
  explicit TextSource(int file) : file_(file) {}
  /// Fills the room, or comes to the end; 0 there. The fault is why not.
  Result<std::size_t, std::string> read(std::span<char> room);

 private:
  /// Into packed_, behind what is left there; false at the end of the file.
  Result<bool, std::string> read_packed();

  int file_;
  bool has_begun_ = false, has_ended_ = false;  // the file
  std::optional<Unpacker> unpacker_;
  std::string packed_;
  std::size_t taken_ = 0;
};

Result<bool, std::string> TextSource::read_packed() {
  packed_.erase(0, taken_);
  taken_ = 0;
  const std::size_t held = packed_.size();
  packed_.resize(held + packed_octets);
  ssize_t got = 0;
  do got = ::read(file_, packed_.data() + held, packed_octets);
  while (got < 0 && errno == EINTR);
  packed_.resize(held + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0) return fail(std::string(std::strerror(errno)));
  return got > 0;
}

Result<std::size_t, std::string> TextSource::read(std::span<char> room) {
  if (!has_begun_) {
    has_begun_ = true;
    while (packed_.size() < packing_octets) {
      const auto more = read_packed();
      if (!more) return fail(more.error());
      if (!*more) break;
    }
    if (const auto packing = find_packing(packed_)) unpacker_.emplace(*packing);
  }
  if (!unpacker_) {  // what was read to look at it, then the file itself
    if (taken_ < packed_.size()) {
      const std::size_t count = packed_.copy(room.data(), room.size(), taken_);
      taken_ += count;
      return count;
    }
    for (;;) {
      const ssize_t got = ::read(file_, room.data(), room.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(std::string(std::strerror(errno)));
      return static_cast<std::size_t>(got);
    }
  }
  for (;;) {
    const auto behind = has_ended_ ? Unpacker::Behind::nothing : Unpacker::Behind::more;
    const auto step = unpacker_->unpack(std::string_view(packed_).substr(taken_), behind, room);
    if (!step) return fail(std::string(to_string(step.error())));
    taken_ += step->taken;
    if (step->made > 0) return step->made;
    if (step->taken > 0 && taken_ < packed_.size()) continue;
    if (has_ended_ && !unpacker_->is_whole()) return fail(std::string(to_string(UnpackFault::cut_off)));
    if (has_ended_) return 0;
    const auto more = read_packed();
    if (!more) return fail(more.error());
    has_ended_ = !*more;
  }
}

// All texts of one attempt, read under one seed.
class Reading {
 public:
  Reading(const Seed& seed, std::size_t list_count) : seed_(seed), dropped_(list_count), merge_at_(merge_entries) {
    rules.formats.resize(list_count);
    rules.servers.resize(list_count);
  }

  ListReport read(const ListInput& input, ListId list);

  /// Merges, leaves out lists from the last until the others fit, and returns how many names there are.
  std::uint64_t finish(std::vector<ListReport>& reports);

  Gathering gathering;
  Depths below;
  RuleTable rules;

  /// A flag a list: left out.
  [[nodiscard]] const std::vector<bool>& dropped() const { return dropped_; }

 private:
  std::string read_text(const ListInput& input, ListId list, ListReport& report);

  Seed seed_;
  std::vector<bool> dropped_;
  std::uint64_t merge_at_;
  std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(buffer_octets);
};

ListReport Reading::read(const ListInput& input, ListId list) {
  ListReport report;
  report.name = input.name;
  report.failure = read_text(input, list, report);
  if (!report.failure.empty()) dropped_[list.value] = true;
  return report;
}

// Returns why the list is to be left out, or "".
std::string Reading::read_text(const ListInput& input, ListId list, ListReport& report) {
  // O_NONBLOCK: a FIFO in a list's place must not hold up the rest.
  const Descriptor file(::open(input.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) return because("cannot read", input.file, errno);
  if (!S_ISREG(status.st_mode)) return input.file.string() + " is not a file";
  if (static_cast<std::uint64_t>(status.st_size) > text_octets_max)
    return input.file.string() + " is larger than 1 GiB";

  std::optional<LineReader> reader;
  const auto on_name = [&](const ListedName& name) {
    gathering.add(
        {key_of(name.wire.first(name.wire.size() - 1), seed_), list, extents_of(name.covers_name, name.covers_below)});
    if (name.covers_below) below.add(name.labels);
    return true;
  };
  bool has_room = true;
  const auto on_rule = [&](const ListedRule& listed) {
    const auto word = rules.word_of(list, listed.rule);
    has_room = word && gathering.more_count() < rules_said_max && rules.patterns.size() < patterns_max &&
               rules.prefixes.size() < rules_said_max;
    if (!has_room) return false;
    switch (listed.of) {
      case Listed::pattern:
        rules.add_pattern(listed.pattern, *word);
        return true;
      case Listed::answer_address:
        rules.add_prefix(listed.prefix, PrefixKind::answer, *word);
        return true;
      case Listed::client_address:
        rules.add_prefix(listed.prefix, PrefixKind::client, *word);
        return true;
      case Listed::server_address:
        rules.add_prefix(listed.prefix, PrefixKind::server, *word);
        return true;
      case Listed::server_name:
        rules.servers[list.value] = true;
        break;
      case Listed::name:
        break;
    }
    const ListedName& name = listed.name;
    const NameKey key = key_of(name.wire.first(name.wire.size() - 1), seed_);
    const Extents extents = extents_of(name.covers_name, name.covers_below);
    if ((*word & plain_word) != 0)
      gathering.add(Said(key, list, extents));
    else
      gathering.add(SaidMore{key, *word, extents});
    if (name.covers_below) below.add(name.labels);
    return true;
  };
  const auto on_problem = [&](const LineProblem& problem) {
    if (report.first_problems.size() < problems_shown) report.first_problems.push_back(problem);
  };
  TextSource source(file.number());
  std::size_t held = 0;  // octets of the buffer not yet read as lines
  std::uint64_t total = 0;
  for (bool last = false; !last;) {
    // A full buffer first: recognise() judges by it.
    while (held < buffer_octets) {
      const auto got = source.read({buffer_.get() + held, buffer_octets - held});
      if (!got) return "cannot read " + input.file.string() + ": " + got.error();
      if (*got == 0) {
        last = true;
        break;
      }
      held += *got;
      total += *got;
      if (total > text_octets_max) return input.file.string() + " is larger than 1 GiB";
    }
    const std::string_view text(buffer_.get(), held);
    if (!reader) {
      report.format = input.format ? input.format : recognise(text);
      if (!report.format && last && says_nothing(text)) return "";
      if (!report.format) return input.file.string() + ' ' + why_unrecognised(text);
      rules.formats[list.value] = report.format;
      reader.emplace(*report.format, input.subdomains);
    }
    const std::size_t used = reader->read(text, last, on_name, on_rule, on_problem);
    held -= used;
    std::memmove(buffer_.get(), buffer_.get() + used, held);
    report.read = reader->result();
    if (!has_room) return too_many_rules;
    if (gathering.count() > merge_at_) {
      if (gathering.merge(dropped_) > names_max) return too_many_names;
      merge_at_ = std::max(merge_entries, 2 * gathering.count());
    }
  }
  return "";
}

std::uint64_t Reading::finish(std::vector<ListReport>& reports) {
  gathering.settle_more(rules.put_in_order(), [&](std::uint32_t rule) { return !dropped_[rules.list_of(rule).value]; });
  std::uint64_t names = gathering.merge(dropped_);
  for (std::size_t at = reports.size(); names > names_max; names = gathering.merge(dropped_)) {
    check(at > 0);
    if (dropped_[--at]) continue;
    dropped_[at] = true;
    reports[at].failure = too_many_names;
  }
  return names;
}

Seed random_seed() {
  Seed seed;
  check(::getrandom(&seed, sizeof seed, 0) == static_cast<ssize_t>(sizeof seed));
  return seed;
}

// A set compiled anew keeps its seed, so that equal lists make an equal file.
Seed seed_for(const std::filesystem::path& target) {
  const Descriptor file(::open(target.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  FileHeader header;
  if (file.number() < 0 || ::read(file.number(), &header, sizeof header) != static_cast<ssize_t>(sizeof header) ||
      header.magic != file_magic || header.version != file_version || header.checksum != header_checksum(header)) {
    return random_seed();
  }
  return header.seed;
}

constexpr std::string_view beside_begin = ".new-", beside_end = "XXXXXX";

// Takes away what writers left beside the target that were killed: whoever still writes holds a lock on his file.
void sweep_beside(const std::filesystem::path& target) {
  const std::string begin = target.filename().string() + std::string(beside_begin);
  std::error_code error;
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(begin) || name.size() != begin.size() + beside_end.size()) continue;
    const Descriptor left(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (left.number() >= 0 && ::flock(left.number(), LOCK_EX | LOCK_NB) == 0) ::unlink(entry.path().c_str());
  }
}

// Written beside the target, onto the disk, then renamed: a reader or a power failure finds the old file or the new
// one.
class Replacement {
 public:
  explicit Replacement(const std::filesystem::path& target)
      : target_(target),
        beside_(target.string() + std::string(beside_begin) + std::string(beside_end)),
        file_(::mkostemp(beside_.data(), O_CLOEXEC)),
        is_beside_(file_.number() >= 0),
        error_(is_beside_ ? 0 : errno) {
    if (is_beside_) (void)::flock(file_.number(), LOCK_EX | LOCK_NB);
    sweep_beside(target);
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;
  ~Replacement() {
    if (is_beside_) ::unlink(beside_.c_str());
  }

  void append(Octets octets) {
    while (!octets.empty() && error_ == 0) {
      const ssize_t wrote = ::write(file_.number(), octets.data(), octets.size());
      if (wrote >= 0)
        octets = octets.subspan(static_cast<std::size_t>(wrote));
      else if (errno != EINTR)
        error_ = errno;
    }
  }
  /// Its octets begin with `header` now. The sentence why not, here or before, or "".
  std::string take_place(const FileHeader& header);

 private:
  const std::filesystem::path& target_;
  std::string beside_;
  Descriptor file_;
  bool is_beside_;
  int error_;
};

std::string Replacement::take_place(const FileHeader& header) {
  const bool is_placed = error_ == 0 &&
                         ::pwrite(file_.number(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
                         ::fchmod(file_.number(), 0644) == 0 && ::fsync(file_.number()) == 0 && file_.close() &&
                         ::rename(beside_.c_str(), target_.c_str()) == 0;
  if (!is_placed) return because("cannot write", target_, error_ != 0 ? error_ : errno);
  is_beside_ = false;
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (directory.number() >= 0)
    ::fsync(directory.number());  // the file is right either way; only its survival is at stake
  return "";
}

// nullopt: an unlucky seed, to be tried again under another seed.
std::optional<Result<CompileReport, std::string>> attempt(std::span<const ListInput> inputs,
                                                          const std::filesystem::path& target, const Seed& seed,
                                                          std::uint64_t fingerprint) {
  CompileReport report;
  report.fingerprint = fingerprint;
  Reading reading(seed, inputs.size());
  for (std::size_t at = 0; at < inputs.size(); ++at) {
    report.lists.push_back(reading.read(inputs[at], ListId{static_cast<std::uint16_t>(at)}));
  }
  const std::uint64_t names = reading.finish(report.lists);
  Replacement file(target);
  const auto image = make_image({std::move(reading.gathering), names, seed, fingerprint, reading.dropped(),
                                 reading.below, std::move(reading.rules)},
                                [&](Octets octets) { file.append(octets); });
  if (!image && image.error() == ImageFault::unlucky_seed) return std::nullopt;
  if (!image) return {fail(std::string("the lists name their names in too many different combinations"))};
  for (std::size_t at = 0; at < inputs.size(); ++at) report.lists[at].names = image->lists[at].names;
  report.names = names;
  report.file_octets = image->header.file_octets;
  if (std::string failure = file.take_place(image->header); !failure.empty()) return {fail(std::move(failure))};
  return {std::move(report)};
}

}  // namespace

std::uint64_t fingerprint_of(const std::vector<ListInput>& inputs) {
  std::string described = "version " + std::to_string(file_version);
  for (const ListInput& input : inputs) {
    struct stat status{};
    const bool there = ::stat(input.file.c_str(), &status) == 0;
    described += "\nlist " + input.file.string() + '\0';
    described += input.format ? to_string(*input.format) : "any";
    described += input.subdomains ? " subdomains" : "";
    if (!there) continue;
    for (const auto number :
         {static_cast<std::int64_t>(status.st_size), static_cast<std::int64_t>(status.st_mtim.tv_sec),
          static_cast<std::int64_t>(status.st_mtim.tv_nsec), static_cast<std::int64_t>(status.st_ino)}) {
      described += ' ' + std::to_string(number);
    }
  }
  return XXH3_64bits(described.data(), described.size());
}

Result<CompileReport, std::string> compile(const std::vector<ListInput>& inputs, const std::filesystem::path& target) {
  // Before the texts are read: one that changes meanwhile makes the set stale, not falsely fresh.
  const std::uint64_t fingerprint = fingerprint_of(inputs);
  const std::span<const ListInput> within = std::span(inputs).first(std::min(inputs.size(), lists_max));
  std::optional<Result<CompileReport, std::string>> result;
  Seed seed = seed_for(target);
  for (int count = 0; count < attempts_max && !result; ++count, seed = random_seed()) {
    result = attempt(within, target, seed, fingerprint);
  }
  check(result.has_value());
  if (!*result) return std::move(*result);
  for (std::size_t at = lists_max; at < inputs.size(); ++at) {
    ListReport report;
    report.name = inputs[at].name;
    report.failure = "more than " + std::to_string(lists_max) + " lists";
    (*result)->lists.push_back(std::move(report));
  }
  return std::move(*result);
}

}  // namespace doline::blocklist
