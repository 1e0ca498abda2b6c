#include "bench/faults/fault_node.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "bench/faults/fault_tree.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/compose/btrfs/pool.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/trust.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::RootSpec;
using storage::VersionManifest;

constexpr std::uint64_t kDiskBytes = std::uint64_t{64} << 20U;
constexpr std::uint64_t kDiskInodes = 3000;
/// The least that mkfs.btrfs makes without being told how.
constexpr std::uint64_t kPoolBytes = std::uint64_t{256} << 20U;
/// Of each backend a persistent and a volatile one, where it can have them.
int desktops() { return 2 * static_cast<int>(FaultNode::backends().size()); }

/// The reserve that a repository leaves on a disk would end a commit before the disk does.
Result<void> drop_reserve(const std::string& repository) {
  const std::string file = repository + "/config";
  PANAL_ASSIGN(std::string config, read_text(file));
  const std::string reserve = "min-free-space-size=64MB";
  const auto at = config.find(reserve);
  if (at == std::string::npos) return fail(EPROTO, file + " has no " + reserve);
  return write_text(file, config.replace(at, reserve.size(), "min-free-space-percent=0"));
}

/// The kernel lets a dead process's loop device go a moment after it; until then the file under it
/// is locked. A node that starts takes longer than that.
constexpr auto kMostWaiting = std::chrono::seconds(5);
constexpr auto kTick = std::chrono::milliseconds(5);

void wait_until_unlocked(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const auto end = std::chrono::steady_clock::now() + kMostWaiting;
  while (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK &&
         std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(kTick);
}

}  // namespace

const std::vector<std::string>& FaultNode::backends() {
  static const std::vector<std::string> all = {"overlay", "copy", "bind", "tmpfs", "btrfs"};
  return all;
}

VersionManifest FaultNode::manifest(const std::string& version) {
  VersionManifest made;
  made.image = kImage;
  made.version = version;
  made.session = {"icewm-session"};
  return made;
}

storage::HomeSpec FaultNode::home() const {
  storage::HomeSpec spec;
  spec.tenant = "t";
  spec.home = "alice";
  spec.desktop = "d1";
  spec.uid = spec.gid = kUser;
  spec.ids = {1'000'000, 65536};
  spec.mount_point = dir_ + "/run/d1/home";
  return spec;
}

storage::HomeSpec FaultNode::passing_home() const {
  storage::HomeSpec spec = home();
  spec.home = "made";
  spec.desktop = "d2";
  spec.mount_point = dir_ + "/run/d2/home";
  return spec;
}

storage::ComposerOptions FaultNode::compose_options() const {
  storage::ComposerOptions options;
  if (no_btrfs_.empty()) options.btrfs = {pool(), dir_ + "/pool.img", kPoolBytes};
  return options;
}

RootSpec FaultNode::root(const std::string& backend, bool persistent) const {
  unsigned number = persistent ? 1 : 1 + static_cast<unsigned>(backends().size());
  for (const auto& name : backends()) {
    if (name == backend) break;
    ++number;
  }
  RootSpec spec;
  spec.backend = backend;
  spec.version_root = store().root_of(kImage, "1");
  spec.desktop = fmt::format("d{}", number);
  spec.upper_dir = disk_.path() + "/state/" + spec.desktop + "/upper";
  spec.mount_point = dir_ + "/run/" + spec.desktop + "/root";
  spec.ids = {1'000'000 + number * 65536, 65536};
  spec.persistent = persistent;
  return spec;
}

storage::RecoverScope FaultNode::scope() const {
  return {disk_.path() + "/state", dir_ + "/run", {}};
}

Result<void> FaultNode::forget_lists() const {
  storage::Trust trust;
  trust.key = secret_->public_key();
  PANAL_TRY(storage::write_trust(trust_file(), trust));
  return sync_file_system(disk_.path());
}

Result<void> FaultNode::make_versions() {
  PANAL_ASSIGN(secret_, storage::SecretKey::generate());
  PANAL_ASSIGN(auto archive, storage::Archive::open_or_create(this->archive(), *secret_));
  ImageStore images = store();
  PANAL_TRY(images.repository());
  PANAL_TRY(drop_reserve(images.repository_dir()));
  for (const char* version : {"1", "2", kPulled}) {
    PANAL_ASSIGN(const std::string staging, images.new_staging(kImage));
    PANAL_TRY(write_tree(staging + "/root", version));
    PANAL_ASSIGN(const VersionManifest made, images.commit(staging, manifest(version)));
    PANAL_ASSIGN(versions_[version], sum_of_tree(images.root_of(kImage, version)));
    PANAL_ASSIGN(const auto repository, images.repository());
    PANAL_TRY(archive.push(repository, made.commit, *secret_));
  }
  PANAL_TRY(images.remove(kImage, kPulled));
  PANAL_TRY(images.gc());
  return forget_lists();
}

Result<void> FaultNode::make_published() {
  PANAL_ASSIGN(auto archive, storage::Archive::open_or_create(published(), *secret_));
  PANAL_TRY(drop_reserve(published()));
  PANAL_ASSIGN(archive, storage::Archive::open(published()));  // as it is configured now
  PANAL_ASSIGN(const auto repository, store().repository());
  for (const char* version : {"1", "2"}) {
    PANAL_ASSIGN(const std::string commit, repository.resolve(kImage, version));
    PANAL_TRY(archive.push(repository, commit, *secret_));
  }
  // What stays of a version that was withdrawn is there before anything is interrupted.
  PANAL_TRY(archive.withdraw(kImage, {"2"}, *secret_));
  PANAL_TRY(archive.repository().gc());
  return {};
}

Result<void> FaultNode::make_desktops() {
  storage::HomeStore all = homes();
  PANAL_TRY(all.attach(home()));
  PANAL_TRY(write_inside(home().mount_point, "letter", home().ids.first + kUser, kKept));
  PANAL_TRY(all.detach(home()));
  storage::Composer composer = this->composer();
  for (const auto& backend : backends()) {
    if (!why_not(backend).empty()) continue;
    const RootSpec spec = root(backend, true);
    if (keeps(backend)) {
      PANAL_TRY(composer.provision(spec));
      PANAL_TRY(write_inside(spec.mount_point + "/etc", "mine", spec.ids.first, kKept));
      PANAL_TRY(composer.destroy(spec));
      PANAL_TRY(composer.provision(spec));
      PANAL_ASSIGN(roots_[backend], sum_of_tree(spec.mount_point));
      PANAL_TRY(composer.destroy(spec));
    }
    // The directory that volatile layers are made in stays.
    PANAL_TRY(composer.provision(root(backend, false)));
    PANAL_TRY(composer.destroy(root(backend, false)));
  }
  return {};
}

Result<std::unique_ptr<FaultNode>> FaultNode::make(const std::string& dir,
                                                   const std::string& programs) {
  PANAL_ASSIGN(FaultDisk disk, FaultDisk::make(dir, kDiskBytes, kDiskInodes));
  std::unique_ptr<FaultNode> node(new FaultNode(dir, programs, std::move(disk)));
  for (const char* name : {"/incoming", "/state", "/homes", "/cache"})
    PANAL_TRY(make_directories(node->disk_.path() + name));
  for (int number = 1; number <= desktops(); ++number) {
    PANAL_TRY(make_directories(fmt::format("{}/run/d{}/root", dir, number)));
    PANAL_TRY(make_directories(fmt::format("{}/state/d{}", node->disk_.path(), number)));
  }
  PANAL_TRY(make_directories(node->home().mount_point));
  if (const auto opened = storage::open_pool(node->compose_options().btrfs); !opened)
    node->no_btrfs_ = opened.error().message();
  PANAL_TRY(node->make_versions());
  PANAL_TRY(node->make_published());
  PANAL_TRY(node->make_desktops());
  node->versions_.erase(kPulled);
  PANAL_ASSIGN(node->everything_, node->everything());
  PANAL_TRY(sync_file_system(node->disk_.path()));
  return node;
}

FaultNode::~FaultNode() {
  drop_mounts();
  (void)mount::detach(pool());
}

void FaultNode::drop_mounts() const {
  for (int number = 1; number <= desktops(); ++number)
    for (const char* name : {"root", "home"})
      for (int stacked = 0; stacked < 4; ++stacked)
        (void)mount::detach(fmt::format("{}/run/d{}/{}", dir_, number, name));
}

Result<void> FaultNode::recover() const {
  storage::Composer composer = this->composer();
  PANAL_ASSIGN(const auto recovered, composer.recover(scope()));
  if (!recovered.problems.empty()) return fail(EIO, recovered.problems.front());
  storage::HomeStore all = homes();
  for (const auto& spec : {home(), passing_home()}) PANAL_TRY(all.detach(spec));
  std::error_code code;
  for (const auto& entry :
       std::filesystem::directory_iterator(homes_dir() + "/" + home().tenant, code))
    if (entry.path().filename().string().find(".img") != std::string::npos)
      wait_until_unlocked(entry.path());
  PANAL_TRY(all.recover({}));
  return store().recover();
}

Result<std::set<std::string>> FaultNode::everything() const {
  std::set<std::string> names;
  PANAL_TRY(walk_tree(disk_.path(), [&](const TreeEntry& entry) -> Result<void> {
    // A directory for the first two digits of checksums stays.
    if (S_ISDIR(entry.info.st_mode))
      for (const char* repository : {"images/.repo", "published"})
        if (entry.path.starts_with(std::string(repository) + "/objects/")) return {};
    // Half of a list's trust that a kill left: the next list overwrites it.
    if (entry.path != ".trust.new") names.insert(entry.path);
    return {};
  }));
  return names;
}

}  // namespace panal::bench
