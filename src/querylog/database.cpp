#include "querylog/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"

namespace doline::querylog {

namespace {

DatabaseFault fault_of(int code, int system_error) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return DatabaseFault::disk_full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return DatabaseFault::locked;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DatabaseFault::corrupt;
    case SQLITE_READONLY:
      return DatabaseFault::read_only;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return DatabaseFault::no_permission;
    default:
      break;
  }
  // A page that ends early can only be read from a file that something else has cut.
  if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS) return DatabaseFault::corrupt;
  if (code == SQLITE_IOERR_SHMSIZE) return DatabaseFault::disk_full;
  switch (system_error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return DatabaseFault::disk_full;
    case EROFS:
      return DatabaseFault::read_only;
    case EACCES:
    case EPERM:
      return DatabaseFault::no_permission;
    case ENOENT:
      return DatabaseFault::missing;
    default:
      return DatabaseFault::io_error;
  }
}

/// Why a write to the database's file or to its WAL failed; sqlite3_system_errno() is not told of it.
int write_error(sqlite3* connection) {
  int error = 0;
  sqlite3_file* wal = nullptr;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal != nullptr &&
      wal->pMethods != nullptr)
    wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &error);
  if (error == 0) sqlite3_file_control(connection, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
  return error;
}

DatabaseFault fault_of(sqlite3* connection, int code) {
  const int extended = sqlite3_extended_errcode(connection) != SQLITE_OK ? sqlite3_extended_errcode(connection) : code;
  int error = sqlite3_system_errno(connection);
  if (extended == SQLITE_IOERR_WRITE && error == 0) error = write_error(connection);
  return fault_of(extended, error);
}

int stop_when_late(void* deadline) {
  return SystemClock().now().monotonic > *static_cast<const MonotonicTime*>(deadline) ? 1 : 0;
}

}  // namespace

std::string_view to_string(DatabaseFault fault) {
  switch (fault) {
    case DatabaseFault::missing:
      return "no such file";
    case DatabaseFault::no_permission:
      return "no permission";
    case DatabaseFault::read_only:
      return "read-only";
    case DatabaseFault::disk_full:
      return "disk full";
    case DatabaseFault::locked:
      return "locked by another process";
    case DatabaseFault::corrupt:
      return "corrupt";
    case DatabaseFault::newer_schema:
      return "written by a newer Doline";
    case DatabaseFault::foreign:
      return "a database of another program";
    case DatabaseFault::older_schema:
      return "written by an older Doline and not yet opened by this one";
    case DatabaseFault::io_error:
      return "input/output error";
  }
  return "unknown";
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Statement& Statement::bind(int position, std::int64_t value) {
  check(sqlite3_bind_int64(statement_.get(), position, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int position, std::string_view text) {
  const char* from = text.data() == nullptr ? "" : text.data();
  check(sqlite3_bind_text64(statement_.get(), position, from, text.size(), nullptr, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int position, std::span<const std::uint8_t> octets) {
  const void* from = octets.data() == nullptr ? static_cast<const void*>("") : octets.data();
  check(sqlite3_bind_blob64(statement_.get(), position, from, octets.size(), nullptr) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind_null(int position) {
  check(sqlite3_bind_null(statement_.get(), position) == SQLITE_OK);
  return *this;
}

Result<bool, DatabaseFault> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE || code == SQLITE_INTERRUPT) return false;
  const DatabaseFault fault = fault_of(sqlite3_db_handle(statement_.get()), code);
  sqlite3_reset(statement_.get());
  return fail(fault);
}

Result<void, DatabaseFault> Statement::run() {
  for (;;) {
    const auto row = step();
    if (!row) return fail(row.error());
    if (!*row) break;
  }
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
}

std::int64_t Statement::last_row_id() const {
  return sqlite3_last_insert_rowid(sqlite3_db_handle(statement_.get()));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}
std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
  const auto octets_of = octets(column);
  return {reinterpret_cast<const char*>(octets_of.data()), octets_of.size()};
}

std::span<const std::uint8_t> Statement::octets(int column) const {
  const void* from = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (from == nullptr) return {};
  return {static_cast<const std::uint8_t*>(from), static_cast<std::size_t>(size)};
}

void Database::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

Result<Database, DatabaseFault> Database::open(const std::filesystem::path& file, Access access,
                                               milliseconds busy_timeout) {
  std::error_code error;
  const bool exists = std::filesystem::exists(file, error);
  if (access == Access::read && !exists)
    return fail(error && error != std::errc::no_such_file_or_directory ? DatabaseFault::no_permission
                                                                       : DatabaseFault::missing);
  if (access == Access::write && !exists) {
    // Made here and not by SQLite, so that what a household looks up is never readable by all, whatever the umask.
    const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (made < 0) return fail(fault_of(SQLITE_CANTOPEN, errno));
    ::close(made);
  }
  const auto connect = [&](const std::string& name, int flags) -> Result<Database, DatabaseFault> {
    Database database;
    sqlite3* connection = nullptr;
    const int code = sqlite3_open_v2(name.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX, nullptr);
    database.connection_.reset(connection);
    if (code != SQLITE_OK) {
      if (connection == nullptr) return fail(DatabaseFault::io_error);
      return fail(fault_of(connection, code));
    }
    sqlite3_extended_result_codes(connection, 1);
    sqlite3_busy_timeout(connection, static_cast<int>(busy_timeout.count()));
    // Databases come from disks, and disks may hold anything: nothing in a file may run code or trust its own schema.
    sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    return database;
  };
  if (access == Access::write) return connect(file, SQLITE_OPEN_READWRITE);
  auto database = connect(file, SQLITE_OPEN_READONLY);
  if (!database) return database;
  const auto version = database->integer("PRAGMA schema_version");
  if (version) return database;
  // In WAL mode a reader needs the -shm file, and may not make it where it may not write. Without a writer and without
  // a WAL, the file alone is the whole truth, and may be read as one that does not change.
  auto wal = file;
  wal += "-wal";
  const auto wal_octets = std::filesystem::file_size(wal, error);
  if (version.error() == DatabaseFault::corrupt || version.error() == DatabaseFault::locked ||
      (!error && wal_octets != 0) || ::access(file.c_str(), R_OK) != 0)
    return fail(::access(file.c_str(), R_OK) != 0 ? DatabaseFault::no_permission : version.error());
  std::string uri = "file:";
  for (const char letter : std::filesystem::absolute(file, error).string()) {
    static constexpr char digits[] = "0123456789abcdef";
    const auto octet = static_cast<unsigned char>(letter);
    if (letter == '%' || letter == '?' || letter == '#')
      uri.append({'%', digits[octet >> 4], digits[octet & 15]});
    else
      uri += letter;
  }
  auto unchanging = connect(uri + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  if (!unchanging) return unchanging;
  const auto readable = unchanging->integer("PRAGMA schema_version");
  if (!readable) return fail(readable.error());
  return unchanging;
}

Result<Statement, DatabaseFault> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code == SQLITE_OK) return Statement(statement);
  // SQL of ours that does not fit the file means that the file is not what its version says.
  if ((code & 0xff) == SQLITE_ERROR) return fail(DatabaseFault::corrupt);
  return fail(fault_of(connection_.get(), code));
}

Result<void, DatabaseFault> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK || code == SQLITE_INTERRUPT) return {};
  if ((code & 0xff) == SQLITE_ERROR) return fail(DatabaseFault::corrupt);
  return fail(fault_of(connection_.get(), code));
}

Result<std::int64_t, DatabaseFault> Database::integer(std::string_view sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  const auto row = statement->step();
  if (!row) return fail(row.error());
  return *row ? statement->integer(0) : 0;
}

int Database::changes() const {
  return sqlite3_changes(connection_.get());
}
bool Database::in_transaction() const {
  return sqlite3_get_autocommit(connection_.get()) == 0;
}
std::string Database::last_message() const {
  return sqlite3_errmsg(connection_.get());
}

void Database::limit_time(milliseconds limit) {
  if (limit == milliseconds::zero()) {
    sqlite3_progress_handler(connection_.get(), 0, nullptr, nullptr);
    return;
  }
  deadline_ = std::make_unique<MonotonicTime>(SystemClock().now().monotonic + limit);
  sqlite3_progress_handler(connection_.get(), 10'000, stop_when_late, deadline_.get());
}

}  // namespace doline::querylog
