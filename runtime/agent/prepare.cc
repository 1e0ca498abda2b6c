#include "runtime/agent/prepare.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "runtime/agent/agent_log.h"

namespace panal::agent {
namespace {

constexpr std::size_t kMostFileBytes = 1 << 20;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, CloseDir>;

/// A step the session can do without.
void attempt(std::string_view what, const Result<void>& result) {
  if (!result) {
    log_line("prepare_skipped",
             {{"what", std::string(what)}, {"reason", result.error().message()}});
  }
}

Result<void> edit_file(const std::string& path, const std::string& text) {
  const auto before = read_file(path);
  if (before && *before == text) return {};
  return replace_file(path, text, 0644, 0, 0);
}

Result<void> own_directory(const std::string& path, unsigned mode, const User& user) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("make", path);
  const UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) return fail_errno("open", path);
  if (::fchown(dir.get(), user.uid, user.gid) != 0) return fail_errno("give to the user", path);
  if (::fchmod(dir.get(), mode) != 0) return fail_errno("set the mode of", path);
  return {};
}

Result<void> sticky_directory(const std::string& path) {
  PANAL_TRY(make_directories(path));
  if (::chmod(path.c_str(), 01777) != 0) return fail_errno("set the mode of", path);
  return {};
}

Result<void> copy_file(int from_dir, int to_dir, const char* name, unsigned mode) {
  const UniqueFd from(::openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!from) return fail_errno("open skeleton", name);
  const UniqueFd to(
      ::openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!to) return errno == EEXIST ? Result<void>{} : fail_errno("make", name);
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(from.get(), buffer, sizeof(buffer));
    if (count == 0) return {};
    if (count < 0) return fail_errno("read skeleton", name);
    if (::write(to.get(), buffer, static_cast<std::size_t>(count)) != count) {
      return fail_errno("write", name);
    }
  }
}

/// Never overwrites; devices and sockets are left out.
Result<void> copy_tree(int from_dir, int to_dir, int depth) {
  if (depth > 16) return {};
  const int listing = ::openat(from_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listing < 0) return fail_errno("open skeleton");
  const DirStream stream(::fdopendir(listing));
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    struct stat info{};
    if (name == "." || name == ".." ||
        ::fstatat(from_dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (S_ISREG(info.st_mode)) {
      PANAL_TRY(copy_file(from_dir, to_dir, name.c_str(), info.st_mode & 0777U));
    } else if (S_ISLNK(info.st_mode)) {
      char target[4096];
      const ssize_t count = ::readlinkat(from_dir, name.c_str(), target, sizeof(target) - 1);
      if (count < 0) return fail_errno("read link", name);
      target[count] = '\0';
      if (::symlinkat(target, to_dir, name.c_str()) != 0 && errno != EEXIST) {
        return fail_errno("make link", name);
      }
    } else if (S_ISDIR(info.st_mode)) {
      if (::mkdirat(to_dir, name.c_str(), info.st_mode & 0777U) != 0 && errno != EEXIST) {
        return fail_errno("make", name);
      }
      constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
      const UniqueFd from(::openat(from_dir, name.c_str(), kFlags));
      const UniqueFd to(::openat(to_dir, name.c_str(), kFlags));
      if (from && to) PANAL_TRY(copy_tree(from.get(), to.get(), depth + 1));
    }
  }
  return {};
}

bool is_empty(const std::string& path) {
  const DirStream stream(::opendir(path.c_str()));
  if (!stream) return false;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != "lost+found") return false;
  }
  return true;
}

Result<void> prepare_home(const User& user, const std::string& root) {
  const std::string home = root + user.home;
  PANAL_TRY(make_directories(home));
  struct stat info{};
  if (::lstat(home.c_str(), &info) != 0) return fail_errno("look at", home);
  if (!S_ISDIR(info.st_mode)) return fail(ENOTDIR, "home " + home);
  const bool first_login = is_empty(home);
  if (info.st_uid != user.uid && first_login) PANAL_TRY(own_directory(home, 0700, user));
  if (!first_login) return {};
  const UniqueFd skeleton(::open((root + "/etc/skel").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!skeleton) return {};
  const AsUser as_user(user);
  const UniqueFd to(::open(home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!to) return fail_errno("open", home);
  return copy_tree(skeleton.get(), to.get(), 0);
}

Result<void> prepare_timezone(const User& user, const std::string& root) {
  const std::string zone = "/usr/share/zoneinfo/" + user.timezone;
  if (::access((root + zone).c_str(), R_OK) != 0) return fail_errno("find time zone", zone);
  const std::string link = root + "/etc/localtime";
  const std::string temporary = link + ".panal";
  ::unlink(temporary.c_str());
  if (::symlink(zone.c_str(), temporary.c_str()) != 0) return fail_errno("make link", temporary);
  if (::rename(temporary.c_str(), link.c_str()) != 0) return fail_errno("rename to", link);
  return edit_file(root + "/etc/timezone", user.timezone + "\n");
}

Result<void> prepare_hostname(const User& user, const std::string& root) {
  PANAL_TRY(edit_file(root + "/etc/hostname", user.hostname + "\n"));
  const auto hosts = read_file(root + "/etc/hosts");
  return edit_file(root + "/etc/hosts", hosts_with(hosts ? *hosts : "", user.hostname));
}

}  // namespace

AsUser::AsUser(const User& user) {
  ::setfsgid(user.gid);
  ::setfsuid(user.uid);
}

AsUser::~AsUser() {
  ::setfsuid(0);
  ::setfsgid(0);
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("open", path);
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer, sizeof(buffer));
    if (count == 0) return out;
    if (count < 0) return fail_errno("read", path);
    out.append(buffer, static_cast<std::size_t>(count));
    if (out.size() > kMostFileBytes) return fail(EFBIG, "read " + path);
  }
}

Result<void> replace_file(const std::string& path, std::string_view text, unsigned mode,
                          std::uint32_t uid, std::uint32_t gid) {
  const std::string temporary = path + ".panal";
  ::unlink(temporary.c_str());
  const UniqueFd file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno("make", temporary);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    auto failure = fail_errno("write", temporary);
    ::unlink(temporary.c_str());
    return failure;
  }
  if (::fchown(file.get(), uid, gid) != 0) return fail_errno("change the owner of", temporary);
  if (::fchmod(file.get(), mode) != 0) return fail_errno("set the mode of", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("rename to", path);
  return {};
}

Result<void> make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("make", part);
    if (slash == std::string::npos) return {};
  }
}

Result<void> prepare_user(const User& user, const std::string& root) {
  const auto passwd = read_file(root + "/etc/passwd");
  PANAL_TRY(edit_file(root + "/etc/passwd", passwd_with(passwd ? *passwd : "", user)));
  const auto group = read_file(root + "/etc/group");
  PANAL_TRY(edit_file(root + "/etc/group", group_with(group ? *group : "", user)));
  attempt("hostname", prepare_hostname(user, root));
  attempt("timezone", prepare_timezone(user, root));
  PANAL_TRY(prepare_home(user, root));
  PANAL_TRY(make_directories(root + "/run/user"));
  PANAL_TRY(own_directory(root + runtime_dir(user), 0700, user));
  PANAL_TRY(sticky_directory(root + "/tmp"));
  PANAL_TRY(sticky_directory(root + "/tmp/.X11-unix"));
  attempt("/tmp/.ICE-unix", sticky_directory(root + "/tmp/.ICE-unix"));
  // nxagent has xkbcomp write here and nowhere else; without it every keyboard stays American.
  const std::string keymaps = root + "/usr/share/X11/xkb";
  if (::access(keymaps.c_str(), F_OK) == 0) {
    attempt("keymaps", own_directory(keymaps + "/compiled", 0755, user));
  }
  return {};
}

}  // namespace panal::agent
