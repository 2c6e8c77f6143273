#include "control/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "blocklist/unpacker.h"

namespace doline::control {

Result<std::string, std::string> read_text_file(const std::filesystem::path& file, std::size_t octets_max) {
  const auto fault = [&](const std::string& why) { return fail(file.native() + " cannot be read: " + why + '.'); };
  // Non-blocking, so that a FIFO in the place of a file cannot hold us.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fault(std::strerror(errno));
  struct stat facts{};
  std::string text;
  std::string why;
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    why = "it is no regular file";
  } else {
    std::string chunk(65'536, '\0');
    for (;;) {
      const ssize_t count = ::read(descriptor, chunk.data(), chunk.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) why = std::strerror(errno);
      if (count <= 0) break;
      text.append(chunk, 0, static_cast<std::size_t>(count));
      if (text.size() <= octets_max) continue;
      why = "it is larger than " + std::to_string(octets_max) + " octets";
      break;
    }
  }
  ::close(descriptor);
  if (!why.empty()) return fault(why);
  return text;
}

Result<std::string, std::string> read_list_text(const std::filesystem::path& file) {
  auto text = read_text_file(file);
  if (!text) return text;
  auto unpacked = blocklist::unpack_all(std::move(*text), list_text_octets_max);
  if (!unpacked)
    return fail(file.native() + " cannot be read: " + std::string(blocklist::to_string(unpacked.error())) + '.');
  return std::move(*unpacked);
}

std::string replace_text_file(const std::filesystem::path& file, const std::string& text, const char* suffix) {
  const std::string beside = file.string() + suffix;
  const auto because = [&] { return file.string() + " cannot be written: " + std::strerror(errno); };
  // Of the people of this house: nobody else's business.
  const int descriptor = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (descriptor < 0) return because();
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t wrote = ::write(descriptor, text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) break;
    at += static_cast<std::size_t>(wrote);
  }
  const bool is_written = at == text.size() && ::fsync(descriptor) == 0;
  std::string failure = is_written ? "" : because();
  if (::close(descriptor) != 0 && failure.empty()) failure = because();
  if (failure.empty() && ::rename(beside.c_str(), file.c_str()) != 0) failure = because();
  if (!failure.empty()) ::unlink(beside.c_str());
  return failure;
}

}  // namespace doline::control
