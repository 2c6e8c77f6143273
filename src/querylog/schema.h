// The schema of the query log, its version, and how names are keyed in it. SCHEMA.md describes every table and column.
#pragma once

#include <cstdint>
#include <string>

#include "dns/name.h"
#include "querylog/database.h"

namespace doline::querylog {

/// Kept in the file's user_version; application_id says that it is a query log at all.
inline constexpr int schema_version = 2;
inline constexpr std::int64_t application_id = 0x444f4c4e;  // "DOLN"

/// Makes the tables in an empty file, brings those of version 1 to this one (its rows follow: old_rows.h), or checks
/// that the file is a query log of this version.
[[nodiscard]] Result<void, DatabaseFault> create_or_check_schema(Database& database);
/// For readers: only checks.
[[nodiscard]] Result<void, DatabaseFault> check_schema(Database& database);

/// The labels from the right, in small letters, each behind its length octet: `3com7example3www`. So a name and all
/// below it are one range of keys.
[[nodiscard]] std::string to_name_key(const dns::Name& name);
/// The root where the octets are no key.
[[nodiscard]] dns::Name from_name_key(std::string_view key);

}  // namespace doline::querylog
