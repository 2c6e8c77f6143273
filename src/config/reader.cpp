#include "config/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "config/document.h"
#include "config/keys.h"
#include "config/reading.h"
#include "config/sections.h"

namespace doline::config {

namespace {

/// The whole file, at most file_octets_max; the fault is a sentence without the file's name.
Result<std::string, std::string> load(const std::filesystem::path& file) {
  const auto failed = [] { return fail("cannot be read: " + std::generic_category().message(errno)); };
  // Not to hang on a pipe that nobody writes to.
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed();
  std::string text;
  Result<std::string, std::string> outcome;
  struct stat facts{};
  if (fstat(descriptor, &facts) != 0) {
    outcome = failed();
  } else if (S_ISDIR(facts.st_mode)) {
    outcome = fail(std::string("is a folder, not a file"));
  } else {
    std::array<char, 65'536> part;
    ssize_t count = 0;
    while (text.size() <= file_octets_max && (count = read(descriptor, part.data(), part.size())) != 0) {
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) break;
      text.append(part.data(), static_cast<std::size_t>(count));
    }
    if (count < 0)
      outcome = failed();
    else
      outcome = std::move(text);
  }
  close(descriptor);
  return outcome;
}

/// Whatever stands there, the settings are usable as far as they go; what is wrong is in `reading`.
Settings read_sections(Reading& reading, const Node& root, const std::filesystem::path& file) {
  Settings settings;
  settings.file = file;
  const Keys top(reading, root, "");
  read_server(reading, top, settings);
  read_upstreams(reading, top, settings);
  read_lists(reading, top, settings);
  read_devices(reading, top, settings);
  read_records(reading, top, settings);
  read_policy(reading, top, settings);
  read_cache(reading, top, settings);
  read_query_log(reading, top, settings);
  read_redirect(reading, top, settings);
  return settings;
}

}  // namespace

Result<Settings, std::vector<Problem>> read_settings_text(std::string_view text, const std::filesystem::path& file) {
  Reading reading(text, file);
  if (text.size() > file_octets_max) {
    reading.add_without_place("has more than " + std::to_string(file_octets_max >> 20) + " MiB",
                              "long lists of names belong into files of their own, named under 'lists'");
    return fail(reading.take_problems());
  }
  const auto document = read_document(text);
  if (!document) {
    reading.add(document.error().place, document.error().message);
    return fail(reading.take_problems());
  }
  for (const DocumentFault& fault : document->faults) reading.add(fault.place, fault.message);

  Settings settings = read_sections(reading, document->root, file);
  if (reading.problem_count() > 0) return fail(reading.take_problems());
  return settings;
}

Result<Settings, std::vector<Problem>> read_settings(const std::filesystem::path& file) {
  auto text = load(file);
  if (text) return read_settings_text(*text, file);
  Reading reading({}, file);
  reading.add_without_place(text.error());
  return fail(reading.take_problems());
}

Settings read_places(const std::filesystem::path& file) {
  const auto text = load(file);
  const std::string_view readable = text && text->size() <= file_octets_max ? std::string_view(*text) : "";
  Reading reading(readable, file);
  const auto document = read_document(readable);
  return read_sections(reading, document ? document->root : Node{}, file);
}

}  // namespace doline::config
