#include "control/list_copy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "blocklist/compile.h"
#include "blocklist/unpacker.h"
#include "control/download.h"
#include "control/text_file.h"
#include "policy/decide.h"

namespace doline::control {

namespace {

constexpr std::size_t name_octets_max = 100;  // of a file name; the file systems' limit is 255
constexpr std::size_t notes_octets_max = 16 * 1024;
constexpr std::size_t judged_octets = std::size_t{1} << 20;          // of a text's beginning
constexpr std::size_t described_octets_max = std::size_t{64} << 20;  // of a text whose lines are shown

/// A whole file, mapped as long as this lives. Nobody writes to it: downloads are ours, copies are replaced by rename.
class MappedText {
 public:
  explicit MappedText(const std::filesystem::path& file) {
    const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status{};
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
      is_there_ = true;
      size_ = static_cast<std::size_t>(status.st_size);
      if (size_ > 0) octets_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (octets_ == MAP_FAILED) is_there_ = false;
    }
    if (descriptor >= 0) close(descriptor);
  }
  ~MappedText() {
    if (octets_ && octets_ != MAP_FAILED) munmap(octets_, size_);
  }
  MappedText(const MappedText&) = delete;
  MappedText& operator=(const MappedText&) = delete;

  [[nodiscard]] bool is_there() const { return is_there_; }
  [[nodiscard]] std::string_view text() const {
    return is_there_ && octets_ ? std::string_view(static_cast<const char*>(octets_), size_) : std::string_view();
  }

 private:
  bool is_there_ = false;
  void* octets_ = nullptr;
  std::size_t size_ = 0;
};

constexpr const char* blanks = " \t\r\n\f\v";

bool begins_as_web_page(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::size_t start = text.find_first_not_of(blanks);
  return start != std::string_view::npos && text[start] == '<';
}

std::string because(const std::filesystem::path& file, const char* what) {
  return file.string() + " " + what + ": " + std::strerror(errno);
}

/// Octets to the disk, then the name: a power failure leaves the old file or the new one.
Result<void, std::string> put_in_place(const std::filesystem::path& file, const std::filesystem::path& target) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const bool is_kept = descriptor >= 0 && fsync(descriptor) == 0;
  if (descriptor >= 0) close(descriptor);
  if (!is_kept || rename(file.c_str(), target.c_str()) != 0) return fail(because(target, "cannot be written"));
  const int folder = open(target.parent_path().c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (folder >= 0) {
    fsync(folder);  // the file is right either way; only its survival is at stake
    close(folder);
  }
  return {};
}

bool is_header_value(const std::string& text) {
  return text.size() <= validator_octets_max &&
         std::all_of(text.begin(), text.end(), [](char letter) { return letter >= ' ' && letter <= '~'; });
}

/// The first of `names` of which a client of whom nothing is known gets no address, where these lists alone say what
/// happens; null: there is none.
const dns::Name* find_blocked(const blocklist::ListSet& lists, const std::vector<dns::Name>& names) {
  policy::RuleBookSettings settings;
  settings.lists.resize(lists.list_count());
  const policy::RuleBook book(std::move(settings));
  const device::Roster nobody;
  const auto is_blocked = [&](const dns::Name& name, dns::RecordType type, const IpAddress& client) {
    const dns::Question question{name, type};
    return !policy::decide(book, lists,
                           {.device = nobody.devices().front(),
                            .client = client,
                            .question = question,
                            .lowered_qname = name,
                            .destination = {},
                            .time = {}})
                .forwards();
  };
  const IpAddress of_each_family[] = {IpAddress::v4(192, 0, 2, 1), *IpAddress::parse("2001:db8::1")};
  for (const dns::Name& name : names)
    for (const dns::RecordType type : {dns::RecordType::a, dns::RecordType::aaaa})
      for (const IpAddress& client : of_each_family)
        if (is_blocked(name, type, client)) return &name;
  return nullptr;
}

/// The lines on a name that is blocked.
std::string describe(const std::vector<blocklist::Entry>& entries) {
  if (entries.empty()) return "it blocks clients, whatever they ask for";
  std::string lines;
  for (const blocklist::Entry& entry : entries)
    lines += (lines.empty() ? "line " : "; line ") + std::to_string(entry.line) + ": " + to_string(entry);
  return lines;
}

}  // namespace

std::optional<CopyNotes> read_notes(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::file_size(file, error) > notes_octets_max || error) return std::nullopt;
  const auto text = read_text_file(file);
  if (!text) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto string_of = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto number_of = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : std::uint64_t{0};
  };
  CopyNotes notes{string_of("url"),
                  string_of("etag"),
                  string_of("last_modified"),
                  WallTime(seconds(number_of("fetched") & 0xff'ffff'ffff)),  // years from now, not an overflow
                  number_of("octets"),
                  number_of("entries"),
                  std::nullopt};
  if (json.contains("serial")) {
    const auto short_number_of = [&](const char* key) { return static_cast<std::uint32_t>(number_of(key)); };
    notes.soa = {short_number_of("serial"), short_number_of("refresh"), short_number_of("retry"),
                 short_number_of("expire")};
  }
  if (!is_header_value(notes.etag)) notes.etag.clear();
  if (!is_header_value(notes.last_modified)) notes.last_modified.clear();
  if (notes.url.empty()) return std::nullopt;
  return notes;
}

Result<void, std::string> write_notes(const std::filesystem::path& file, const CopyNotes& notes) {
  nlohmann::json json{
      {"url", notes.url},
      {"etag", notes.etag},
      {"last_modified", notes.last_modified},
      {"fetched",
       std::max<std::int64_t>(0, std::chrono::duration_cast<seconds>(notes.fetched.time_since_epoch()).count())},
      {"octets", notes.octets},
      {"entries", notes.entries}};
  if (notes.soa)
    json.update({{"serial", notes.soa->serial},
                 {"refresh", notes.soa->refresh},
                 {"retry", notes.soa->retry},
                 {"expire", notes.soa->expire}});
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  // Without waiting for the disk: notes that are lost cost one download more.
  const std::filesystem::path beside = file.string() + ".new";
  std::FILE* stream = std::fopen(beside.c_str(), "we");
  if (!stream) return fail(because(file, "cannot be written"));
  const bool is_written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  const bool is_closed = std::fclose(stream) == 0;
  if (!is_written || !is_closed || std::rename(beside.c_str(), file.c_str()) != 0) {
    auto fault = because(file, "cannot be written");
    std::remove(beside.c_str());
    return fail(std::move(fault));
  }
  return {};
}

Result<Judgement, std::string> judge(const Candidate& candidate) {
  const MappedText file(candidate.file);
  if (!file.is_there()) return fail(because(candidate.file, "cannot be read"));
  // A packed text is kept as it came, and judged by what is in it; never all of it at once, for it may be made to be
  // large.
  const auto beginning = blocklist::unpack_beginning(file.text(), judged_octets);
  if (!beginning) return fail(std::string(to_string(beginning.error())));
  const std::string_view text = *beginning;
  if (text.find_first_not_of(blanks) == std::string_view::npos) return fail(std::string("it is empty"));
  if (begins_as_web_page(text)) return fail(std::string("it is a web page, not a list"));
  const auto format = candidate.format ? candidate.format : blocklist::recognise(text);
  if (!format) return fail("it " + blocklist::why_unrecognised(text));

  const std::filesystem::path image = candidate.file.string() + ".image";
  const auto compiled = blocklist::compile({{"", candidate.file, format, candidate.subdomains}}, image);
  const auto lists = blocklist::ListSet::open(image);
  unlink(image.c_str());
  if (!compiled) return fail(compiled.error());
  if (!lists) return fail("what it compiles to is " + std::string(to_string(lists.error())));
  const blocklist::ListReport& report = compiled->lists.front();
  if (!report.failure.empty()) return fail(report.failure);
  const blocklist::ReadResult& read = report.read;
  const std::uint64_t bad = read.damaged();
  Judgement judgement{read.entries, bad, false};
  if (read.entries == 0) return fail(std::string("it names nothing"));
  if (bad > read.entries)
    return fail("it has more bad lines (" + std::to_string(bad) + ") than names (" + std::to_string(read.entries) +
                ")");
  if (const dns::Name* name = find_blocked(**lists, candidate.must_resolve)) {
    std::string fault = "it would block " + name->to_string() + ", which must resolve";
    if (file.text().size() <= described_octets_max)
      if (const auto whole = blocklist::unpack_all(std::string(file.text()), described_octets_max))
        fault += " (" + describe(blocklist::find_lines(*whole, *format, candidate.subdomains, *name)) + ")";
    return fail(std::move(fault));
  }
  if (!candidate.is_whole && read.entries * 2 < candidate.entries_before)
    return fail("it has " + std::to_string(read.entries) + " names where there were " +
                std::to_string(candidate.entries_before) + ", and nothing says that it is whole");
  const MappedText copy(candidate.copy);
  judgement.is_same = copy.is_there() && copy.text() == file.text();
  return judgement;
}

Result<Judgement, std::string> take_copy(const Candidate& candidate) {
  auto judgement = judge(candidate);
  if (judgement && !judgement->is_same)
    if (auto placed = put_in_place(candidate.file, candidate.copy); !placed) judgement = fail(placed.error());
  unlink(candidate.file.c_str());
  return judgement;
}

std::filesystem::path new_copy_of(const std::filesystem::path& copy) {
  return copy.native() + ".new";
}

bool is_web_page(const std::filesystem::path& file) {
  constexpr std::size_t looked_at_octets = 512;
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char begin[looked_at_octets];
  const ssize_t size = descriptor >= 0 ? read(descriptor, begin, sizeof begin) : 0;
  if (descriptor >= 0) close(descriptor);
  return begins_as_web_page({begin, static_cast<std::size_t>(std::max<ssize_t>(size, 0))});
}

bool has_copy(const std::filesystem::path& file, const std::filesystem::path& copy) {
  std::error_code error;
  return std::filesystem::last_write_time(copy, error) == std::filesystem::last_write_time(file, error) &&
         std::filesystem::file_size(copy, error) == std::filesystem::file_size(file, error) && !error;
}

Result<void, std::string> keep_copy(const std::filesystem::path& file, const std::filesystem::path& copy) {
  namespace fs = std::filesystem;
  std::error_code error, none;
  const auto time = fs::last_write_time(file, error);
  if (error) return {};  // it is gone again
  if (has_copy(file, copy)) return {};
  const fs::path beside = new_copy_of(copy);
  fs::remove(beside, none);
  if (!fs::copy_file(file, beside, error) || (fs::last_write_time(beside, time, error), error)) {
    fs::remove(beside, none);
    return fail(file.string() + " cannot be copied to " + copy.string() + ": " + error.message());
  }
  return put_in_place(beside, copy);
}

std::string to_file_name(std::string_view list_name) {
  std::string name;
  for (const char letter : list_name) {
    const bool is_plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                          (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
    if (is_plain) {
      name.push_back(letter);
    } else {
      char octet[4];
      std::snprintf(octet, sizeof octet, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(letter)));
      name += octet;
    }
  }
  if (name.size() <= name_octets_max) return name;
  std::uint64_t digest = 0xcbf29ce484222325;  // FNV-1a: for names that an operator thinks up, no more is needed
  for (const char letter : list_name) digest = (digest ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  char tail[20];
  std::snprintf(tail, sizeof tail, "%%%016llx", static_cast<unsigned long long>(digest));
  return name.substr(0, name_octets_max) + tail;
}

}  // namespace doline::control
