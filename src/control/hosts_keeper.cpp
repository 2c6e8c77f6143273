#include "control/hosts_keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "control/text_file.h"
#include "response/hosts_file.h"

namespace doline::control {

HostsKeeper::HostsKeeper(Loop& loop, spdlog::logger& log, std::function<void()> on_change, milliseconds settle)
    : loop_(loop), log_(log), on_change_(std::move(on_change)), settle_(settle) {}

void HostsKeeper::configure(std::vector<std::filesystem::path> files) {
  std::vector<std::vector<response::LocalName>> names(files.size());
  for (std::size_t i = 0; i < files.size(); ++i)
    if (const auto known = std::find(paths_.begin(), paths_.end(), files[i]); known != paths_.end())
      names[i] = names_[static_cast<std::size_t>(known - paths_.begin())];
  paths_ = std::move(files);
  names_ = std::move(names);
  settling_ = Watch();
  watch_ = FileWatch(loop_, paths_, [this] {
    settling_ = loop_.after(settle_, [this] {
      read();
      on_change_();
    });
  });
  for (const auto& folder : watch_.unwatched())
    log_.warn("hosts_files: {} is not watched: send SIGHUP after an edit.", folder.native());
  read();
}

void HostsKeeper::read() {
  problems_.clear();
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const auto text = read_text_file(paths_[i]);
    if (!text) {
      problems_.push_back("hosts_files: " + text.error() +
                          (names_[i].empty() ? "" : " What was last read of it stays in force until a restart."));
      log_.warn("{}", problems_.back());
      continue;
    }
    auto reading = response::read_hosts(*text);
    for (const auto& problem : reading.problems)
      log_.warn("hosts_files: {}:{}: {}.", paths_[i].native(), problem.line, problem.what);
    names_[i] = std::move(reading.names);
  }
}

}  // namespace doline::control
