#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "storage/repo/inner.h"
#include "storage/repo/under_way.h"

namespace panal::storage {
namespace {

using std::chrono::steady_clock;

constexpr std::uint64_t kMostFileBytes = std::uint64_t{64} << 30;

/// Spares the disk: after each piece of work it waits until so many bytes were due.
class Pace {
 public:
  explicit Pace(std::uint64_t bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  void spend(std::uint64_t bytes, const Work& work) {
    if (bytes_per_s_ == 0) return;
    spent_ += bytes;
    const auto due = std::chrono::milliseconds(spent_ * 1000 / bytes_per_s_);
    for (;;) {
      const auto left = due - (steady_clock::now() - begin_);
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
      if (ms <= 0 || work.is_cancelled()) return;
      (void)::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(ms, 200)));
    }
  }

 private:
  std::uint64_t bytes_per_s_;
  std::uint64_t spent_ = 0;
  steady_clock::time_point begin_ = steady_clock::now();
};

/// Reads the objects of versions and remembers which are not well.
class ObjectCheck {
 public:
  ObjectCheck(const Repository::Inner& inner, VerifyReport& report)
      : inner_(inner), report_(report) {}

  /// A commit and its directories; files are only noted.
  void check_commit(const std::string& checksum) {
    const ObjectName object{checksum, ObjectType::kCommit};
    const auto bytes = check_metadata(object);
    if (!bytes) return;
    const auto commit = parse_commit(*bytes, describe(object));
    if (!commit) return damaged(object, Damage::Kind::kObjectCorrupt, commit.error().context);
    (void)check_metadata({commit->meta, ObjectType::kDirMeta});
    check_tree(commit->tree, 0);
  }

  Result<void> check_files(std::uint64_t most_bytes_per_s, const Work& work) {
    Pace pace(most_bytes_per_s);
    std::size_t done = 0;
    for (const auto& checksum : files_) {
      if (work.is_cancelled()) return fail(ECANCELED, "the check was cancelled");
      pace.spend(check_file(checksum), work);
      if (++done % 32 == 0)
        work.tell(static_cast<double>(done) / static_cast<double>(files_.size()),
                  "reading the repository");
    }
    return {};
  }

 private:
  void damaged(const ObjectName& object, Damage::Kind kind, std::string what) {
    Damage damage;
    damage.kind = kind;
    damage.object = object;
    damage.what = std::move(what);
    report_.damages.push_back(std::move(damage));
  }

  /// Its bytes where they are new and good.
  std::optional<std::string> check_metadata(const ObjectName& object) {
    if (!seen_.insert(object).second) return std::nullopt;
    ++report_.objects;
    auto bytes = load_metadata(inner_.repo.get(), object);
    if (!bytes) {
      const bool missing = bytes.error().code == ENOENT;
      damaged(object, missing ? Damage::Kind::kObjectMissing : Damage::Kind::kObjectCorrupt,
              missing ? describe(object) + " is missing" : bytes.error().message());
      return std::nullopt;
    }
    report_.bytes += bytes->size();
    if (sha256_hex(*bytes) != object.checksum) {
      damaged(object, Damage::Kind::kObjectCorrupt, describe(object) + " is damaged");
      return std::nullopt;
    }
    return std::move(*bytes);
  }

  void check_tree(const std::string& checksum, int depth) {
    const ObjectName object{checksum, ObjectType::kDirTree};
    if (depth > kDeepest) return;
    const auto bytes = check_metadata(object);
    if (!bytes) return;
    const auto tree = parse_dirtree(*bytes, describe(object));
    if (!tree) return damaged(object, Damage::Kind::kObjectCorrupt, tree.error().context);
    for (const auto& file : tree->files) files_.insert(file.checksum);
    for (const auto& directory : tree->directories) {
      (void)check_metadata({directory.meta, ObjectType::kDirMeta});
      check_tree(directory.tree, depth + 1);
    }
  }

  /// Returns the bytes that were read.
  std::uint64_t check_file(const std::string& checksum) {
    const ObjectName object{checksum, ObjectType::kFile};
    ++report_.objects;
    const auto file = load_file(inner_.repo.get(), checksum);
    if (!file) {
      const bool missing = file.error().code == ENOENT;
      damaged(object, missing ? Damage::Kind::kObjectMissing : Damage::Kind::kObjectCorrupt,
              missing ? describe(object) + " is missing" : file.error().message());
      return 0;
    }
    const auto bytes =
        static_cast<std::uint64_t>(std::max<goffset>(0, ::g_file_info_get_size(file->info.get())));
    const auto actual = checksum_of(*file);
    if (!actual)
      damaged(object, Damage::Kind::kObjectCorrupt, actual.error().message());
    else if (*actual != checksum)
      damaged(object, Damage::Kind::kObjectCorrupt, describe(object) + " is damaged");
    report_.bytes += bytes;
    return bytes;
  }

  const Repository::Inner& inner_;
  VerifyReport& report_;
  std::set<ObjectName> seen_;
  std::set<std::string> files_;
};

/// A name whose file holds anything but a checksum.
Damage damaged_name(const std::string& ref, const std::string& text) {
  Damage damage;
  damage.kind = Damage::Kind::kObjectCorrupt;
  damage.what = "name " + ref + " leads to \"" + printable(text, 80) + "\", which is no checksum";
  damage.places = {place_of(ref, "/")};
  damage.versions = {ref};
  return damage;
}

/// Finds where damaged objects are seen.
class Places {
 public:
  Places(OstreeRepo* repo, std::vector<Damage>& damages) : repo_(repo) {
    for (auto& damage : damages) by_object_[damage.object] = &damage;
  }

  void look_in(const std::string& ref, const std::string& checksum) {
    ref_ = ref;
    note({checksum, ObjectType::kCommit}, "/");
    const auto commit = load_commit(repo_, checksum);
    if (!commit) return;
    note({commit->meta, ObjectType::kDirMeta}, "/");
    look_below(commit->tree, "/", 0);
  }

 private:
  void note(const ObjectName& object, const std::string& path) {
    const auto found = by_object_.find(object);
    if (found == by_object_.end()) return;
    Damage& damage = *found->second;
    if (damage.versions.empty() || damage.versions.back() != ref_) damage.versions.push_back(ref_);
    if (damage.places.size() < Damage::kMostPlaces)
      damage.places.push_back(place_of(ref_, path));
    else
      ++damage.more_places;
  }

  void look_below(const std::string& checksum, const std::string& path, int depth) {
    if (depth > kDeepest) return;
    note({checksum, ObjectType::kDirTree}, path);
    const auto tree = load_dirtree(repo_, checksum);
    if (!tree) return;
    for (const auto& file : tree->files) note({file.checksum, ObjectType::kFile}, path + file.name);
    for (const auto& directory : tree->directories) {
      const std::string below = path + directory.name + "/";
      note({directory.meta, ObjectType::kDirMeta}, below);
      look_below(directory.tree, below, depth + 1);
    }
  }

  OstreeRepo* repo_;
  std::map<ObjectName, Damage*> by_object_;
  std::string ref_;
};

/// A repository of the same kind inside tmp: objects are made and checked there before they are
/// renamed over damaged ones, which libostree itself would take for good and keep.
Result<glib::Object<OstreeRepo>> scratch_repository(const Repository::Inner& inner,
                                                    const std::string& dir) {
  glib::Problem problem;
  glib::Object<OstreeRepo> repo(::ostree_repo_create_at(
      AT_FDCWD, dir.c_str(), inner.is_archive() ? OSTREE_REPO_MODE_ARCHIVE : OSTREE_REPO_MODE_BARE,
      nullptr, nullptr, problem.out()));
  if (!repo) return problem.failure("make " + dir);
  return repo;
}

Result<void> put_in_place(const Repository::Inner& inner, const std::string& scratch,
                          const ObjectName& object) {
  const std::string loose = loose_path(object, inner.is_archive());
  const std::string directory = inner.path + "/objects/" + loose.substr(0, 2);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("make directory", directory);
  const std::string from = scratch + "/objects/" + loose;
  const std::string to = inner.path + "/objects/" + loose;
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno("rename", from + " to " + to);
  return {};
}

}  // namespace

std::string place_of(const std::string& ref, const std::string& path) {
  const auto slash = ref.find('/');
  if (slash == std::string::npos) return ref + ": " + path;
  return ref.substr(0, slash) + " " + ref.substr(slash + 1) + ": " + path;
}

Result<VerifyReport> Repository::verify(const std::vector<std::string>& checksums,
                                        std::uint64_t most_bytes_per_s, const Work& work) const {
  VerifyReport report;
  PANAL_ASSIGN(const auto refs, list_refs(*inner_));
  ObjectCheck check(*inner_, report);
  if (checksums.empty()) {
    for (const auto& [ref, checksum] : refs) {
      if (is_checksum(checksum))
        check.check_commit(checksum);
      else
        report.damages.push_back(damaged_name(ref, checksum));
    }
  } else {
    for (const auto& checksum : checksums) {
      if (!is_checksum(checksum)) return fail(EINVAL, "\"" + checksum + "\" is no checksum");
      check.check_commit(checksum);
    }
  }
  PANAL_TRY(check.check_files(most_bytes_per_s, work));
  if (!report.damages.empty()) {
    Places places(handle(), report.damages);
    for (const auto& [ref, checksum] : refs) places.look_in(ref, checksum);
  }
  return report;
}

Result<std::vector<Damage>> Repository::repair(const std::vector<Damage>& damages,
                                               const Fetch& fetch, const Work& work) {
  // gc() takes what is in tmp for a dead process's: it must wait for us.
  PANAL_ASSIGN(const auto lock, FileLock::take(inner_->fd(), kObjectsLock, FileLock::Kind::kShared,
                                               kLockWait, work));
  const UnderWay under_way(path(), "a repair");
  std::string scratch = path() + "/tmp/repair.XXXXXX";
  if (::mkdtemp(scratch.data()) == nullptr) return fail_errno("make directory", scratch);
  const Cleanup undo([scratch] { (void)remove_tree(scratch); });
  PANAL_ASSIGN(const auto repo, scratch_repository(*inner_, scratch + "/repo"));
  ::ostree_repo_set_disable_fsync(repo.get(), TRUE);  // one sync for all, below

  std::vector<Damage> left;
  std::vector<Damage> fetched;
  for (const auto& damage : damages) {
    if (damage.object.checksum.empty() || damage.kind == Damage::Kind::kCheckoutDiffers) continue;
    if (work.is_cancelled()) return fail(ECANCELED, "the repair was cancelled");
    const double done = static_cast<double>(left.size() + fetched.size());
    work.tell(done / static_cast<double>(damages.size()), "fetching " + describe(damage.object));
    auto object = fetch(damage.object);
    Result<std::uint64_t> written = std::uint64_t{0};
    if (object)
      written = write_archived(repo.get(), damage.object, object->get(), kMostFileBytes);
    else
      written = tl::make_unexpected(object.error());
    if (written) {
      fetched.push_back(damage);
      continue;
    }
    if (written.error().code == ENOSPC) return tl::make_unexpected(written.error());
    left.push_back(damage);
    left.back().what += "; not mended: " + written.error().message();
  }
  if (fetched.empty()) return left;
  const UniqueFd disk(::open(scratch.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!disk || ::syncfs(disk.get()) != 0) return fail_errno("syncfs", scratch);
  for (const auto& damage : fetched)
    PANAL_TRY(put_in_place(*inner_, scratch + "/repo", damage.object));
  if (::syncfs(disk.get()) != 0) return fail_errno("syncfs", scratch);
  return left;
}

}  // namespace panal::storage
