#include "control/place_keeper.h"

#include <spdlog/spdlog.h>

#include <array>
#include <optional>
#include <utility>

#include "control/file_watch.h"
#include "control/text_file.h"

namespace doline::control {

namespace {

constexpr milliseconds settle{500};  // while somebody writes a file

}  // namespace

Result<geo::PlaceTable, std::string> read_places(const std::filesystem::path& file, geo::PlaceKind kind) {
  const auto text = read_text_file(file, geo::place_file_octets_max);
  if (!text) return fail(text.error());
  auto table = geo::PlaceTable::read({reinterpret_cast<const std::uint8_t*>(text->data()), text->size()}, kind);
  if (!table) return fail(file.native() + ' ' + table.error() + '.');
  return table;
}

struct PlaceKeeper::Impl : std::enable_shared_from_this<PlaceKeeper::Impl> {
  struct Database {
    geo::PlaceKind kind;
    std::filesystem::path file;
    std::optional<geo::PlaceTable> table;
    std::string problem;
    FileWatch watch;
    Watch settling;
    bool is_reading = false;
  };

  Impl(Loop& control_loop, spdlog::logger& logger, std::function<void()> to_call)
      : loop(control_loop), log(logger), on_change(std::move(to_call)) {}

  void take(Database& database, Result<geo::PlaceTable, std::string> read) {
    database.problem = read ? "" : read.error();
    if (read) {
      log.info("{}: {} ranges of addresses.", database.file.native(), read->range_count());
      database.table = std::move(*read);
    } else {
      log.warn("{}", database.problem);
    }
  }

  void build() {
    const auto table = [](const Database& database) { return database.table; };
    current = databases[0].file.empty() && databases[1].file.empty()
                  ? nullptr
                  : std::make_shared<const geo::PlaceBook>(table(databases[0]), table(databases[1]));
  }

  void watch(Database& database) {
    database.watch = FileWatch();
    database.settling = Watch();
    if (database.file.empty()) return;
    database.watch = FileWatch(loop, {database.file}, [this, &database] {
      database.settling = loop.after(settle, [this, &database] { read_again(database); });
    });
  }

  void read_again(Database& database) {
    if (std::exchange(database.is_reading, true)) return;
    const auto read = std::make_shared<std::optional<Result<geo::PlaceTable, std::string>>>();
    loop.work([read, file = database.file, kind = database.kind] { read->emplace(read_places(file, kind)); },
              [weak = weak_from_this(), read, &database, file = database.file] {
                const auto self = weak.lock();
                if (!self) return;
                database.is_reading = false;
                if (file != database.file) return;
                self->take(database, std::move(**read));
                self->build();
                self->on_change();
              });
  }

  Loop& loop;
  spdlog::logger& log;
  std::function<void()> on_change;
  std::array<Database, 2> databases{Database{geo::PlaceKind::country, {}, {}, {}, {}, {}, false},
                                    Database{geo::PlaceKind::asn, {}, {}, {}, {}, {}, false}};
  std::shared_ptr<const geo::PlaceBook> current;
};

PlaceKeeper::PlaceKeeper(Loop& loop, spdlog::logger& log, std::function<void()> on_change)
    : impl_(std::make_shared<Impl>(loop, log, std::move(on_change))) {}
PlaceKeeper::~PlaceKeeper() = default;

void PlaceKeeper::configure(const std::filesystem::path& countries, const std::filesystem::path& asns) {
  const std::array files{countries, asns};
  for (std::size_t i = 0; i < files.size(); ++i) {
    Impl::Database& database = impl_->databases[i];
    if (database.file == files[i] && database.problem.empty()) continue;
    if (database.file != files[i]) database.table.reset();
    database.file = files[i];
    database.problem.clear();
    if (!files[i].empty()) impl_->take(database, read_places(files[i], database.kind));
    impl_->watch(database);
  }
  impl_->build();
}

std::shared_ptr<const geo::PlaceBook> PlaceKeeper::current() const {
  return impl_->current;
}

std::vector<std::string> PlaceKeeper::problems() const {
  std::vector<std::string> problems;
  for (const Impl::Database& database : impl_->databases)
    if (!database.problem.empty()) problems.push_back(database.problem);
  return problems;
}

}  // namespace doline::control
