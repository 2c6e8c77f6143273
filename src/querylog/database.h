// Database, Statement: SQLite behind values that close themselves; its codes become a Fault at this door.
//
// A connection and its statements belong to one thread (opened with SQLITE_OPEN_NOMUTEX). Only querylog includes this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace doline::querylog {

/// What can be wrong with a database, by what must be done about it.
enum class DatabaseFault : std::uint8_t {
  missing,        ///< no such file
  no_permission,  ///< not ours to open or write
  read_only,      ///< file or file system
  disk_full,      ///< also: a limit on the file's size
  locked,         ///< another process writes and does not end
  corrupt,        ///< not a database, or a damaged one
  newer_schema,   ///< written by a later Doline: never touched
  foreign,        ///< a sound database of another program: never touched
  older_schema,   ///< has to be opened by the writer first
  io_error,       ///< anything else that the file system says
};
[[nodiscard]] std::string_view to_string(DatabaseFault fault);

class Statement {
 public:
  Statement() = default;
  /// Positions from 1; borrowed octets must live until reset(). Each returns *this.
  Statement& bind(int position, std::int64_t value);
  Statement& bind(int position, std::string_view text);
  Statement& bind(int position, std::span<const std::uint8_t> octets);
  Statement& bind_null(int position);
  /// True: a row is there. False: done.
  [[nodiscard]] Result<bool, DatabaseFault> step();
  /// Steps to the end and resets.
  [[nodiscard]] Result<void, DatabaseFault> run();
  void reset();
  /// Of the last row that was inserted, by whichever statement of its database.
  [[nodiscard]] std::int64_t last_row_id() const;

  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  /// Valid until the next step() or reset().
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::span<const std::uint8_t> octets(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Ends a statement's read at the end of a block.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  enum class Access : std::uint8_t { read, write };
  /// `busy_timeout`: how long a statement waits for another process's lock. Access::write creates the file (mode 0640).
  static Result<Database, DatabaseFault> open(const std::filesystem::path& file, Access access,
                                              milliseconds busy_timeout);
  Database() = default;

  [[nodiscard]] Result<Statement, DatabaseFault> prepare(std::string_view sql);
  /// Statements separated by semicolons.
  [[nodiscard]] Result<void, DatabaseFault> execute(const std::string& sql);
  /// The single integer that a query yields; 0 where it yields none.
  [[nodiscard]] Result<std::int64_t, DatabaseFault> integer(std::string_view sql);
  /// Rows changed by the last statement.
  [[nodiscard]] int changes() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::string last_message() const;
  /// Statements that are still running after it end as if they had found nothing; `{}` takes the limit away.
  void limit_time(milliseconds limit);
  [[nodiscard]] bool is_open() const { return connection_ != nullptr; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  std::unique_ptr<sqlite3, Close> connection_;
  std::unique_ptr<MonotonicTime> deadline_;
};

}  // namespace doline::querylog
