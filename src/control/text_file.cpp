#include "control/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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

}  // namespace doline::control
