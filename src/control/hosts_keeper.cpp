#include "control/hosts_keeper.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "control/text_file.h"
#include "response/hosts_file.h"

namespace doline::control {

HostsKeeper::HostsKeeper(Loop& loop, spdlog::logger& log, std::function<void()> on_change, milliseconds settle)
    : loop_(loop), log_(log), on_change_(std::move(on_change)), settle_(settle) {}

void HostsKeeper::configure(std::vector<std::filesystem::path> files) {
  paths_ = std::move(files);
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
  names_.assign(paths_.size(), {});
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const auto text = read_text_file(paths_[i]);
    if (!text) {
      log_.warn("hosts_files: {}", text.error());
      continue;
    }
    auto reading = response::read_hosts(*text);
    for (const auto& problem : reading.problems)
      log_.warn("hosts_files: {}:{}: {}.", paths_[i].native(), problem.line, problem.what);
    names_[i] = std::move(reading.names);
  }
}

}  // namespace doline::control
