// ListKeeper: the lists of the configuration, kept fresh: fetched or transferred when due, compiled when anything
// changed, and handed over as one ListSet.
//
// Control thread only; texts are judged and compiled on the pool. The last good copy of a fetched list stays in
// state/lists/NAME.txt, and nothing replaces it that is cut off, empty, a web page, or mostly no list: see judge(). Of
// the operator's own files what was last compiled is kept there too, and stands in for one that cannot be read. What is
// compiled lies in state/lists.image and is used again at the next start as long as no text has changed; soon after
// such a start, and each day, all its octets are looked at, and it is compiled anew where the disk has changed any.
#pragma once

#include <spdlog/fwd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "blocklist/compile.h"
#include "blocklist/list_set.h"
#include "config/settings.h"
#include "control/download.h"
#include "control/loop.h"
#include "control/transfer.h"
#include "resolver/snapshot.h"

namespace doline::control {

inline constexpr std::size_t list_downloads_max = 4;  ///< at once, transfers of zones among them
/// A zone's own REFRESH and RETRY are kept to within these.
inline constexpr seconds zone_refresh_min{60}, zone_refresh_max{24 * 3600}, zone_retry_min{30};
/// Of all who notify us of zones: those above get no response.
inline constexpr int notifications_a_second_max = 64;

/// How long it waits, where tests must not.
struct ListPace {
  milliseconds settle{500};          ///< after a file changed or a download ended, for others to follow
  milliseconds settle_max{10'000};   ///< for downloads under way, until what is there is compiled
  milliseconds retry_first{10'000};  ///< after a download failed; doubled each time
  milliseconds retry_longest{4 * 3600'000};
  milliseconds image_look{10'000};  ///< after the start, until what was compiled before is looked at octet by octet
  milliseconds notified{5'000};     ///< from one look at a zone for its primary's notification to the next
  double jitter = 0.1;              ///< of each wait, up and down: not all Dolines ask at the same second
};

class ListKeeper {
 public:
  struct State {
    std::string name;
    policy::ListKind kind = policy::ListKind::block;
    policy::Mode mode = policy::Mode::enforce;
    std::string url;  ///< of a download, or a zone and its primaries; empty: a file
    bool is_zone = false;
    std::filesystem::path file;                   ///< the text that is compiled
    std::optional<blocklist::ListFormat> format;  ///< as compiled
    std::uint64_t names = 0;                      ///< distinct, in current()
    std::uint64_t octets = 0;                     ///< of the text
    std::optional<WallTime> modified;             ///< the text
    blocklist::ReadResult read;                   ///< what its lines say
    std::vector<blocklist::LineProblem> first_problems;
    std::string failure;     ///< why the list is empty; else ""
    std::string last_error;  ///< of the latest try to read the file or to fetch; empty: it went well
    // Of a URL or a zone:
    std::optional<WallTime> last_fetch;  ///< when the copy was fetched, or last found unchanged
    std::optional<WallTime> next_fetch;  ///< nothing: under way
    int failures = 0;                    ///< in a row
    // Of a zone that has a copy:
    std::optional<std::uint32_t> serial;
    bool is_expired = false;  ///< no primary has confirmed it for longer than its SOA record allows; it stays in force
  };
  using OnSet = std::function<void(std::shared_ptr<const blocklist::ListSet>)>;

  /// `on_set`: whenever current() has changed after configure() returned.
  ListKeeper(Loop& loop, std::filesystem::path state_folder, const Clock& clock, spdlog::logger& log, OnSet on_set,
             ListPace pace = ListPace{});
  ~ListKeeper();
  ListKeeper(const ListKeeper&) = delete;
  ListKeeper& operator=(const ListKeeper&) = delete;

  /// At start and at every reload; waits for no network and no compiler. ListId is the position in `lists`.
  /// `must_resolve`: names that no fetched list may block, or it is not taken; the hosts that lists come from are such.
  void configure(std::vector<config::ListSettings> lists, std::vector<dns::Name> must_resolve = {});
  /// Always of the newest configuration: the set without lists until it has been compiled.
  [[nodiscard]] std::shared_ptr<const blocklist::ListSet> current() const;
  /// current() is the set without lists only because that of the newest configuration is being compiled: who has
  /// another in force keeps it a little longer. Ends with on_set, or when it cannot be compiled.
  [[nodiscard]] bool stands_in() const;
  /// current() holds what the texts say: nothing is being compiled, or about to be. False for a while after configure()
  /// with new lists; on_set comes then, unless the disk is full: that is said, and tried again.
  [[nodiscard]] bool is_settled() const;
  /// Why what the texts say could not be compiled; empty: it could. What was compiled before is in force meanwhile.
  [[nodiscard]] const std::string& trouble() const;
  /// Fetches every URL and transfers every zone, due or not, and looks at the files; or does so for the list of this
  /// name alone. A zone comes whole. False: there is no such list.
  bool refresh(const std::string& name = "");
  /// For the snapshots of the newest configuration: hears the primaries of its zones (NOTIFY), by the keys as they were
  /// when configure() read them, and looks at a zone of which there is news. Null: there is no zone.
  [[nodiscard]] resolver::AnswerNotification notifications() const;
  /// A file may have changed: compiles if one has. The files are watched too.
  void check_files();
  [[nodiscard]] std::vector<State> states() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // jobs on the pool may end after us: they hold it weakly
};

/// What is compiled for these lists (position = ListId), and where the result lies: for other processes, which judge as
/// the running Doline does.
[[nodiscard]] std::vector<blocklist::ListInput> list_inputs(const std::filesystem::path& state_folder,
                                                            const std::vector<config::ListSettings>& lists);
[[nodiscard]] std::filesystem::path list_image(const std::filesystem::path& state_folder);

}  // namespace doline::control
