#include "bench/faults/fault_node.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "storage/backup/sum.h"
#include "storage/compose/composer.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/trust.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::RootSpec;
using storage::VersionManifest;

/// So that there are more than 100 objects.
constexpr unsigned kFiles = 84;
constexpr std::uint64_t kDiskBytes = std::uint64_t{64} << 20U;
constexpr std::uint64_t kDiskInodes = 3000;
constexpr const char* kKept = "what a user keeps\n";
constexpr std::uint32_t kUser = 1000;
constexpr std::size_t kMostNamed = 4;
/// A persistent and a volatile one of each backend.
constexpr int kDesktops = 6;

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

/// The reserve that a repository leaves on a disk would end a commit before the disk does.
Result<void> drop_reserve(const std::string& repository) {
  const std::string file = repository + "/config";
  PANAL_ASSIGN(std::string config, read_text(file));
  const std::string reserve = "min-free-space-size=64MB";
  const auto at = config.find(reserve);
  if (at == std::string::npos) return fail(EPROTO, file + " has no " + reserve);
  return write_text(file, config.replace(at, reserve.size(), "min-free-space-percent=0"));
}

Result<void> sync_disk(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) return fail_errno("syncfs", path);
  return {};
}

/// Names of one list that are not in the other, some of them.
void tell_difference(const std::set<std::string>& now, const std::set<std::string>& before,
                     const char* what, std::vector<std::string>& found) {
  std::size_t named = 0;
  for (const auto& name : now)
    if (!before.contains(name) && ++named <= kMostNamed) found.push_back(what + (": " + name));
}

}  // namespace

const std::vector<std::string>& FaultNode::backends() {
  static const std::vector<std::string> all = {"overlay", "copy", "bind"};
  return all;
}

VersionManifest FaultNode::manifest(const std::string& version) {
  VersionManifest made;
  made.image = kImage;
  made.version = version;
  made.session = {"icewm-session"};
  return made;
}

Result<void> FaultNode::write_tree(const std::string& root, const std::string& salt) {
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

Result<std::string> FaultNode::sum_of_tree(const std::string& root) {
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

Result<void> FaultNode::write_inside(const std::string& dir, const std::string& name,
                                     std::uint32_t host_id, const std::string& text) {
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

RootSpec FaultNode::root(const std::string& backend, bool persistent) const {
  unsigned number = persistent ? 1 : 4;
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
  trust.key = key_;
  PANAL_TRY(storage::write_trust(trust_file(), trust));
  return sync_disk(disk_.path());
}

Result<void> FaultNode::make_versions() {
  PANAL_ASSIGN(const auto secret, storage::SecretKey::generate());
  key_ = secret.public_key();
  PANAL_ASSIGN(auto archive, storage::Archive::open_or_create(this->archive(), secret));
  ImageStore images = store();
  PANAL_TRY(images.repository());
  PANAL_TRY(drop_reserve(images.repository_dir()));
  for (const char* version : {"1", "2", kPulled}) {
    PANAL_ASSIGN(const std::string staging, images.new_staging(kImage));
    PANAL_TRY(write_tree(staging + "/root", version));
    PANAL_ASSIGN(const VersionManifest made, images.commit(staging, manifest(version)));
    PANAL_ASSIGN(versions_[version], sum_of_tree(images.root_of(kImage, version)));
    PANAL_ASSIGN(const auto repository, images.repository());
    PANAL_TRY(archive.push(repository, made.commit, secret));
  }
  PANAL_TRY(images.remove(kImage, kPulled));
  PANAL_TRY(images.gc());
  return forget_lists();
}

Result<void> FaultNode::make_desktops() {
  storage::HomeStore all = homes();
  PANAL_TRY(all.attach(home()));
  PANAL_TRY(write_inside(home().mount_point, "letter", home().ids.first + kUser, kKept));
  PANAL_TRY(all.detach(home()));
  storage::Composer composer;
  for (const auto& backend : backends()) {
    const RootSpec spec = root(backend, true);
    PANAL_TRY(composer.provision(spec));
    PANAL_TRY(write_inside(spec.mount_point + "/etc", "mine", spec.ids.first, kKept));
    PANAL_TRY(composer.destroy(spec));
    PANAL_TRY(composer.provision(spec));
    PANAL_ASSIGN(roots_[backend], sum_of_tree(spec.mount_point));
    PANAL_TRY(composer.destroy(spec));
    // The directory that volatile layers are made in stays.
    PANAL_TRY(composer.provision(root(backend, false)));
    PANAL_TRY(composer.destroy(root(backend, false)));
  }
  return {};
}

Result<std::unique_ptr<FaultNode>> FaultNode::make(const std::string& dir) {
  PANAL_ASSIGN(FaultDisk disk, FaultDisk::make(dir, kDiskBytes, kDiskInodes));
  std::unique_ptr<FaultNode> node(new FaultNode(dir, std::move(disk)));
  for (const char* name : {"/incoming", "/state", "/homes"})
    PANAL_TRY(make_directories(node->disk_.path() + name));
  for (int number = 1; number <= kDesktops; ++number) {
    PANAL_TRY(make_directories(fmt::format("{}/run/d{}/root", dir, number)));
    PANAL_TRY(make_directories(fmt::format("{}/state/d{}", node->disk_.path(), number)));
  }
  PANAL_TRY(make_directories(node->home().mount_point));
  PANAL_TRY(node->make_versions());
  PANAL_TRY(node->make_desktops());
  node->versions_.erase(kPulled);
  PANAL_ASSIGN(node->everything_, node->everything());
  PANAL_TRY(sync_disk(node->disk_.path()));
  return node;
}

FaultNode::~FaultNode() { drop_mounts(); }

void FaultNode::drop_mounts() const {
  for (int number = 1; number <= kDesktops; ++number)
    for (const char* name : {"root", "home"})
      for (int stacked = 0; stacked < 4; ++stacked)
        (void)mount::detach(fmt::format("{}/run/d{}/{}", dir_, number, name));
}

Result<void> FaultNode::recover() const {
  storage::Composer composer;
  PANAL_ASSIGN(const auto recovered, composer.recover(scope()));
  if (!recovered.problems.empty()) return fail(EIO, recovered.problems.front());
  storage::HomeStore all = homes();
  PANAL_TRY(all.detach(home()));
  PANAL_TRY(all.recover({}));
  return store().recover();
}

Result<std::set<std::string>> FaultNode::everything() const {
  std::set<std::string> names;
  PANAL_TRY(walk_tree(disk_.path(), [&](const TreeEntry& entry) -> Result<void> {
    // A directory for the first two digits of checksums stays.
    if (S_ISDIR(entry.info.st_mode) && entry.path.starts_with("images/.repo/objects/")) return {};
    // Half of a list's trust that a kill left: the next list overwrites it.
    if (entry.path != ".trust.new") names.insert(entry.path);
    return {};
  }));
  return names;
}

std::vector<std::string> FaultNode::check(const std::map<std::string, std::string>& more) const {
  std::vector<std::string> found;
  const ImageStore images = store();
  const auto report = images.verify();
  if (!report)
    found.push_back("verify: " + report.error().message());
  else
    for (const auto& damage : report->damages) found.push_back("damaged: " + damage.what);
  const auto listed = images.list();
  if (!listed) {
    found.push_back("list: " + listed.error().message());
    return found;
  }
  std::set<std::string> there;
  for (const auto& version : *listed) {
    there.insert(version.version);
    const bool is_old = versions_.contains(version.version);
    const auto expected = is_old ? versions_.find(version.version) : more.find(version.version);
    if (expected == (is_old ? versions_.end() : more.end())) {
      found.push_back("there is a version " + version.version + " that nobody made");
      continue;
    }
    const auto sum = sum_of_tree(images.root_of(kImage, version.version));
    if (!sum || *sum != expected->second)
      found.push_back("the files of version " + version.version + " are not what they were");
  }
  for (const auto& [version, sum] : versions_)
    if (!there.contains(version)) found.push_back("lost: version " + version);
  const auto repository = images.repository();
  const auto log = repository ? repository->log() : tl::make_unexpected(repository.error());
  if (!log) {
    found.push_back("log: " + log.error().message());
  } else {
    std::set<std::string> named;
    for (const auto& version : *log) named.insert(version.version);
    if (named != there) found.push_back("the repository's names and the trees are not the same");
  }
  const auto letter = read_text(disk_.path() + "/homes/t/alice/letter");
  if (!letter || *letter != kKept) found.push_back("lost: a file of the home");
  if (const auto trust = storage::read_trust(trust_file()); !trust)
    found.push_back("trust: " + trust.error().message());
  return found;
}

std::vector<std::string> FaultNode::check_readable() const {
  std::vector<std::string> found;
  const auto report = store().verify();
  if (!report) return {"verify on a full disk: " + report.error().message()};
  for (const auto& damage : report->damages)
    found.push_back("damaged on a full disk: " + damage.what);
  return found;
}

std::vector<std::string> FaultNode::check_garbage() const {
  std::vector<std::string> found;
  ImageStore images = store();
  const auto listed = images.list();
  if (!listed) return {"list: " + listed.error().message()};
  (void)remove_tree(incoming() + "/tree");  // ours: it had not been given to a build yet
  for (const auto& version : *listed) {
    if (versions_.contains(version.version)) continue;
    if (const auto removed = images.remove(kImage, version.version); !removed)
      found.push_back("remove: " + removed.error().message());
  }
  if (const auto done = images.gc(); !done) found.push_back("gc: " + done.error().message());
  const auto again = images.gc();
  if (!again) {
    found.push_back("gc: " + again.error().message());
  } else if (again->objects + again->leftovers != 0) {
    found.push_back("a second gc still finds something");
  }
  const auto now = everything();
  if (!now) return {"list all files: " + now.error().message()};
  tell_difference(*now, everything_, "garbage", found);
  tell_difference(everything_, *now, "lost", found);
  return found;
}

std::vector<std::string> FaultNode::check_roots(const std::string& backend) const {
  std::vector<std::string> found;
  storage::Composer composer;
  const auto nothing = composer.recover(scope());
  if (!nothing)
    found.push_back("recover roots: " + nothing.error().message());
  else if (nothing->unmounted + nothing->removed != 0)
    found.push_back("a second recovery of roots still finds something");
  for (const bool persistent : {true, false}) {
    const RootSpec spec = root(backend, persistent);
    if (const auto made = composer.provision(spec); !made) {
      found.push_back("provision: " + made.error().message());
      continue;
    }
    const auto sum = sum_of_tree(spec.mount_point);
    const auto expected = roots_.find(backend);
    if (persistent && (!sum || expected == roots_.end() || *sum != expected->second))
      found.push_back("the persistent root of " + backend + " is not what it was");
    if (!persistent && ::access((spec.mount_point + "/etc/stale").c_str(), F_OK) == 0)
      found.push_back("a new volatile root shows what an old one held");
    if (const auto gone = composer.destroy(spec); !gone)
      found.push_back("destroy: " + gone.error().message());
  }
  storage::HomeStore all = homes();
  if (const auto opened = all.attach(home()); !opened)
    found.push_back("home: " + opened.error().message());
  const auto letter = read_text(home().mount_point + "/letter");
  if (!letter || *letter != kKept) found.push_back("the home does not show its file");
  if (const auto closed = all.detach(home()); !closed)
    found.push_back("home: " + closed.error().message());
  return found;
}

}  // namespace panal::bench
