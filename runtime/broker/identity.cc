#include "runtime/broker/identity.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace panal::broker {

Result<Identity> find_identity(const std::string& user) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  const int code = ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (code != 0) return fail(code, "look up user " + user);
  if (found == nullptr) {
    return fail(ENOENT, "there is no user " + user +
                            " (broker.user); make it with: useradd --system " +
                            "--no-create-home --shell /usr/sbin/nologin " + user);
  }
  Identity out{user, entry.pw_uid, entry.pw_gid, {}};
  int count = 64;
  out.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(user.c_str(), entry.pw_gid, out.groups.data(), &count) < 0) count = 64;
  out.groups.resize(static_cast<std::size_t>(count));
  if (::geteuid() != 0 && ::geteuid() != out.uid) {
    return fail(EPERM, "the broker must be started as root or as " + user);
  }
  return out;
}

Result<void> Identity::assume() const {
  if (::geteuid() == 0 && uid != 0) {
    if (::setgroups(groups.size(), groups.data()) != 0)
      return fail_errno("set the groups of", name);
    if (::setresgid(gid, gid, gid) != 0) return fail_errno("become the group of", name);
    if (::setresuid(uid, uid, uid) != 0) return fail_errno("become", name);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail_errno("clear dumpable");
  return {};
}

}  // namespace panal::broker
