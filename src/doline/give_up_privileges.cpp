#include "doline/give_up_privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace doline {

namespace {

namespace fs = std::filesystem;

/// Only what is ours to give: no link of either kind, so that nobody can have a file elsewhere handed to him. False:
/// something could not be given.
bool hand_over(const fs::path& folder, const passwd& account) {
  std::error_code error;
  bool is_given = ::lchown(folder.c_str(), account.pw_uid, account.pw_gid) == 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (!entry.is_symlink(error) && (entry.is_directory(error) || entry.hard_link_count(error) == 1))
      is_given = ::lchown(entry.path().c_str(), account.pw_uid, account.pw_gid) == 0 && is_given;
  return is_given;
}

}  // namespace

void take_up_privileges() {
  for (const unsigned int capability : {CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW})
    if (capng_have_capability(CAPNG_PERMITTED, capability) == 1) capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, capability);
  // Where it fails, the port or the rules that need it say so.
  [[maybe_unused]] const int applied = capng_apply(CAPNG_SELECT_CAPS);
}

Result<void, std::string> give_up_privileges(const std::string& user, const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::create_directories(folder, error)) (void)::chmod(folder.c_str(), 0750);
  }
  const bool becomes = !user.empty() && ::geteuid() == 0;
  capng_clear(CAPNG_SELECT_BOTH);
  if (becomes) {
    const passwd* account = ::getpwnam(user.c_str());
    if (!account)
      return fail("There is no user '" + user + "' on this machine: make one (adduser --system --group " + user +
                  "), or leave `user` out of the configuration.");
    for (const fs::path& folder : folders)
      if (!hand_over(folder, *account))
        return fail("Could not give " + folder.native() + " to the user '" + user + "': " + std::strerror(errno) + '.');
    const int changed = capng_change_id(static_cast<int>(account->pw_uid), static_cast<int>(account->pw_gid),
                                        static_cast<capng_flags_t>(CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING));
    if (changed != 0) return fail("Could not become the user '" + user + "': " + std::strerror(errno) + '.');
  } else {
    // Needs CAP_SETPCAP; without it nothing is lost.
    [[maybe_unused]] const int bounded = capng_apply(CAPNG_SELECT_BOUNDS);
    if (capng_apply(CAPNG_SELECT_CAPS) != 0)
      return fail(std::string("Could not give up capabilities: ") + std::strerror(errno) + '.');
  }
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return {};
}

}  // namespace doline
