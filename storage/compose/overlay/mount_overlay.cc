#include "storage/compose/overlay/mount_overlay.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <system_error>
#include <thread>
#include <utility>

#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "storage/compose/layer/mapped_credentials.h"

namespace panal::storage {
namespace {

/// lowerdir= is one value of at most 255 bytes.
constexpr std::size_t kMostLayers = 8;

/// The kernel makes an overlay read-only without a word where it cannot make its work directory.
Result<void> expect_writable(int mount_fd, const std::string& workdir) {
  struct statvfs info{};
  if (::fstatvfs(mount_fd, &info) != 0) return fail_errno("statvfs");
  if ((info.f_flag & ST_RDONLY) == 0) return {};
  struct statvfs disk{};
  if (::statvfs(workdir.c_str(), &disk) == 0 &&
      (disk.f_bavail == 0 || (disk.f_files != 0 && disk.f_favail == 0)))
    return fail(ENOSPC, "the disk of the desktop's layer has no room for an overlay's work files");
  return fail(EROFS, "the kernel gave a read-only overlay; see the kernel log");
}

}  // namespace

Result<OpenLayer> OpenLayer::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  return OpenLayer(std::move(fd));
}

Result<OpenLayer> OpenLayer::open_at(int directory, const std::string& name) {
  UniqueFd fd(::openat(directory, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open", name);
  return OpenLayer(std::move(fd));
}

std::string OpenLayer::path() const {
  return std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(fd_.get());
}

Result<Lowers> Lowers::attach(const RootSpec& spec, int user_namespace) {
  if (spec.layers.size() > kMostLayers)
    return fail(EINVAL, "compose: an image has " + std::to_string(spec.layers.size()) +
                            " layers beside its version; 8 are possible");
  Lowers lowers;
  const auto add = [&](const std::string& tree) -> Result<void> {
    const std::string& at = spec.mount_point;
    PANAL_TRY(mount::bind_idmapped(tree, at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, user_namespace));
    lowers.detach_.push([at] { (void)mount::detach(at); });
    PANAL_ASSIGN(OpenLayer layer, OpenLayer::open(at));
    lowers.open_.push_back(std::move(layer));
    return {};
  };
  PANAL_TRY(add(spec.version_root));
  for (const std::string& layer : spec.layers) PANAL_TRY(add(layer));
  return lowers;
}

std::string Lowers::option() const {
  std::string out;
  for (auto layer = open_.rbegin(); layer != open_.rend(); ++layer)
    out += (out.empty() ? "" : ":") + layer->path();
  return out;
}

Result<UniqueFd> create_overlay(const OverlayMount& overlay) {
  std::vector<std::pair<std::string, std::string>> options = {
      {"source", "panal"},
      {"lowerdir", overlay.lowerdir},
      {"upperdir", overlay.upperdir},
      {"workdir", overlay.workdir},
      {"redirect_dir", "on"},
      {"index", "off"},
      {"metacopy", overlay.metacopy ? "on" : "off"},
  };
  if (overlay.unsynced) options.emplace_back("volatile", "");
  // The overlay's own accesses are made with the credentials of whoever mounts it, and the kernel
  // makes it read-only without a word if those ids do not exist in the idmapped upper (as uid 0 of
  // the host does not). A thread of its own, because fsuid and capabilities are per thread.
  Result<UniqueFd> made = fail(EIO, "the mounting thread did not run");
  try {
    std::thread([&] {
      if (auto mapped = assume_mapped_credentials(overlay.root_id); !mapped)
        made = tl::make_unexpected(mapped.error());
      else
        made = mount::create("overlay", options, MOUNT_ATTR_NODEV);
    }).join();
  } catch (const std::system_error& problem) {
    return fail(problem.code().value(), "start a thread");
  }
  if (made) PANAL_TRY(expect_writable(made->get(), overlay.workdir));
  return made;
}

}  // namespace panal::storage
