// Exit statuses of every command, those of sysexits(3) where it has one.
#pragma once

namespace doline {

inline constexpr int exit_ok = 0;
inline constexpr int exit_no = 1;            ///< asked and answered: nothing found, not in force
inline constexpr int exit_unproven = 2;      ///< nothing is wrong, but not everything could be tried
inline constexpr int exit_wrong_usage = 64;  ///< the command line is wrong
inline constexpr int exit_no_input = 66;     ///< a file that is needed is not there
inline constexpr int exit_unavailable = 69;  ///< no Doline runs there; no port could be opened
inline constexpr int exit_disk = 74;         ///< full, or it fails
inline constexpr int exit_no_permission = 77;
inline constexpr int exit_configuration = 78;  ///< the configuration has mistakes

}  // namespace doline
