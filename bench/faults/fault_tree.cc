#include "bench/faults/fault_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"
#include "storage/backup/sum.h"

namespace panal::bench {
namespace {

/// So that there are more than 100 objects.
constexpr unsigned kFiles = 84;

}  // namespace

Result<void> write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(EIO, "write " + path);
  return {};
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(ENOENT, "read " + path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Result<void> make_directories(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return fail(code.value(), "make directories " + path);
  return {};
}

Result<void> sync_file_system(const std::string& dir) {
  const UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) return fail_errno("syncfs", dir);
  return {};
}

Result<void> write_tree(const std::string& root, const std::string& salt) {
  for (const char* name :
       {"/usr/bin", "/usr/lib/deep/deeper", "/etc", "/home", "/var/log", "/root"})
    PANAL_TRY(make_directories(root + name));
  for (unsigned file = 0; file < kFiles; ++file) {
    const bool changes = file % 12 == 0;
    const std::string dir = file % 3 == 0 ? "/usr/bin" : "/usr/lib/deep/deeper";
    const std::string text = fmt::format("{} {} ", file, changes ? salt : "same");
    PANAL_TRY(write_text(fmt::format("{}{}/f{}", root, dir, file),
                         text + std::string(std::size_t{1} + file * 227, 'x')));
  }
  PANAL_TRY(write_text(root + "/etc/motd", "version " + salt));
  PANAL_TRY(write_text(root + "/etc/empty", ""));
  if (::symlink("f3", (root + "/usr/bin/link").c_str()) != 0) return fail_errno("link", root);
  if (::chmod((root + "/usr/bin/f0").c_str(), 04755) != 0) return fail_errno("chmod", root);
  if (::chown((root + "/etc/motd").c_str(), kUser, 100) != 0) return fail_errno("chown", root);
  return {};
}

Result<std::string> sum_of_tree(const std::string& root) {
  PANAL_ASSIGN(auto sum, storage::backup::Summer::start());
  PANAL_TRY(walk_tree(root, [&](const TreeEntry& entry) -> Result<void> {
    storage::backup::Kept kept;
    kept.name = entry.path;
    kept.mode = entry.info.st_mode & 07777U;
    kept.uid = entry.info.st_uid;
    kept.gid = entry.info.st_gid;
    kept.type = S_ISDIR(entry.info.st_mode) ? 'd' : S_ISLNK(entry.info.st_mode) ? 'l' : 'f';
    std::string text;
    if (kept.type == 'l') {
      std::error_code code;
      kept.target = std::filesystem::read_symlink(root + "/" + entry.path, code).string();
    } else if (kept.type == 'f') {
      PANAL_ASSIGN(text, read_text(root + "/" + entry.path));
      kept.size = text.size();
    }
    sum.entry(kept);
    sum.bytes(text.data(), text.size());
    return {};
  }));
  return sum.finish();
}

Result<void> write_inside(const std::string& dir, const std::string& name, std::uint32_t host_id,
                          const std::string& text) {
  const UniqueFd directory(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("open", dir);
  (void)::setfsgid(host_id);
  (void)::setfsuid(host_id);
  const UniqueFd fd(
      ::openat(directory.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  auto done = fd ? Result<void>() : Result<void>(fail_errno("create", dir + "/" + name));
  if (fd && ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    done = fail_errno("write", dir + "/" + name);
  (void)::setfsuid(0);
  (void)::setfsgid(0);
  return done;
}

}  // namespace panal::bench
