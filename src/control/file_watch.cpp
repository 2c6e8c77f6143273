#include "control/file_watch.h"

#include <set>
#include <string>
#include <utility>

namespace doline::control {

FolderWatches watch_files(Loop& loop, const std::vector<std::filesystem::path>& files,
                          const std::function<void()>& on_change) {
  std::map<std::filesystem::path, std::set<std::string>> names;
  for (const std::filesystem::path& file : files) {
    const auto parent = file.parent_path();
    names[parent.empty() ? "." : parent].insert(file.filename().native());
  }
  FolderWatches folders;
  for (auto& [folder, of_folder] : names)
    folders[folder] = loop.on_folder(folder, [on_change, ours = std::move(of_folder)](const std::string& name) {
      if (name.empty() || ours.contains(name)) on_change();
    });
  return folders;
}

}  // namespace doline::control
