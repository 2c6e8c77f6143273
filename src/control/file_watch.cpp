#include "control/file_watch.h"

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace doline::control {

namespace {

namespace fs = std::filesystem;

constexpr int links_max = 40;  // of a path, as the kernel has it

/// Names by folder: where a change may make it another file.
using Places = std::map<fs::path, std::set<std::string>>;

/// Those of the file, of each link on the way to it, and of the first part that is not there.
void find_places(const fs::path& file, Places& places) {
  std::error_code error;
  std::vector<fs::path> left;  // the next part last
  const auto lead_to = [&](const fs::path& path) {
    left.insert(left.end(), std::make_reverse_iterator(path.end()), std::make_reverse_iterator(path.begin()));
  };
  lead_to(fs::absolute(file, error));
  fs::path folder;  // without links
  for (int links = 0; !left.empty();) {
    const fs::path part = left.back();
    left.pop_back();
    if (part.empty() || part == ".") continue;
    if (part.is_absolute() || part == "..") {
      folder = part == ".." ? folder.parent_path() : part;
      continue;
    }
    const fs::path whole = folder / part;
    const fs::file_status status = fs::symlink_status(whole, error);
    const bool is_link = fs::is_symlink(status);
    if (is_link || left.empty() || !fs::exists(status)) places[folder].insert(part.native());
    if (!fs::exists(status) || (is_link && ++links > links_max)) return;
    if (is_link)
      lead_to(fs::read_symlink(whole, error));
    else
      folder = whole;
  }
}

}  // namespace

struct FileWatch::Impl {
  /// The links may lead elsewhere than before.
  void follow() {
    Places places;
    for (const fs::path& file : files) find_places(file, places);
    std::map<fs::path, Watch> found;
    for (auto& [folder, names] : places)
      found[folder] = loop.on_folder(folder, [this, ours = std::move(names)](const std::string& name) {
        if (!name.empty() && !ours.contains(name)) return;
        const auto tell = on_change;  // a copy: the call may end this very watch
        follow();
        tell();
      });
    folders = std::move(found);
  }

  Loop& loop;
  std::vector<fs::path> files;
  std::function<void()> on_change;
  std::map<fs::path, Watch> folders;
};

FileWatch::FileWatch(Loop& loop, std::vector<fs::path> files, std::function<void()> on_change)
    : impl_(std::make_shared<Impl>(loop, std::move(files), std::move(on_change))) {
  impl_->follow();
}

std::vector<fs::path> FileWatch::unwatched() const {
  std::vector<fs::path> folders;
  if (!impl_) return folders;
  for (const auto& [folder, watch] : impl_->folders)
    if (!watch) folders.push_back(folder);
  return folders;
}

}  // namespace doline::control
