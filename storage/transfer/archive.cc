#include "storage/transfer/archive.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "engine/base/file_tree.h"
#include "engine/base/tree.h"
#include "storage/transfer/signed_list.h"
#include "storage/transfer/whole_file.h"

namespace panal::storage {
namespace {

constexpr const char* kLock = ".panal-publish.lock";
constexpr int kLockTickMs = 300;

std::string list_file(const std::string& dir) { return dir + "/" + kListName; }

/// One publisher at a time, until the descriptor goes.
Result<UniqueFd> lock_archive(const std::string& dir, const Work& work) {
  const std::string path = dir + "/" + kLock;
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock) return fail_errno("open", path);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("lock", path);
    if (work.is_cancelled()) return fail(ECANCELED, "publishing was cancelled");
    work.tell(0, "waiting for another publisher");
    (void)::poll(nullptr, 0, kLockTickMs);
  }
  return lock;
}

/// What is signed now, with the changes of key that go with it.
struct Published {
  ImageList list;
  std::vector<Rotation> rotations;
  PublicKey key;  ///< that signed it
};

/// Nothing where there is no list. It must be `key`'s, or one that `key` leads to.
Result<std::optional<Published>> published(const std::string& dir, const PublicKey& key) {
  const std::string file = list_file(dir);
  PANAL_ASSIGN(const Dir opened, Dir::open(dir));
  const auto text = opened.read(kListName, kMostSealedBytes);
  if (!text && text.error().code == ENOENT) return std::optional<Published>();
  if (!text) return tl::make_unexpected(text.error());
  PANAL_ASSIGN(SealedList sealed, parse_sealed(*text, file));
  PANAL_TRY(check_sealed(sealed, key, file));
  Published now;
  PANAL_ASSIGN(now.list, parse_list(sealed.body, file));
  now.rotations = std::move(sealed.rotations);
  now.key = sealed.key;
  return std::optional<Published>(std::move(now));
}

/// The same, for who is about to sign with `key`: an older key than the one in use must not.
Result<Published> published_by(const std::string& dir, const PublicKey& key) {
  PANAL_ASSIGN(auto now, published(dir, key));
  if (!now) return Published{{}, {}, key};
  if (!(now->key == key))
    return fail(EKEYREJECTED, list_file(dir) + ": is signed by the newer key " +
                                  print_key(now->key) + "; was a change of keys interrupted?");
  return std::move(*now);
}

/// Lets a web server, which is another user, read the objects: the umask of who publishes may not.
Result<void> let_read(const std::string& dir) {
  const std::string objects = dir + "/objects";
  if (::chmod(objects.c_str(), 0755) != 0) return fail_errno("chmod", objects);
  return walk_tree(objects, [&objects](const TreeEntry& entry) -> Result<void> {
    const bool directory = S_ISDIR(entry.info.st_mode);
    if (!directory && !S_ISREG(entry.info.st_mode)) return {};
    const mode_t wanted = directory ? 0755U : 0644U;
    if ((entry.info.st_mode & wanted) == wanted) return {};
    if (::fchmodat(entry.directory, entry.name.c_str(), wanted, 0) != 0)
      return fail_errno("chmod", objects + "/" + entry.path);
    return {};
  });
}

/// The list, if it is as somebody has signed it, with all its changes of key.
Result<ImageList> sound_list(const std::string& dir) {
  const std::string file = list_file(dir);
  PANAL_ASSIGN(const Dir opened, Dir::open(dir));
  PANAL_ASSIGN(const std::string text, opened.read(kListName, kMostSealedBytes));
  PANAL_ASSIGN(const SealedList sealed, parse_sealed(text, file));
  const bool is_first = sealed.rotations.empty();
  PANAL_TRY(check_sealed(sealed, is_first ? sealed.key : sealed.rotations.front().from, file));
  return parse_list(sealed.body, file);
}

/// Numbers, signs and publishes.
Result<void> publish(const std::string& dir, ImageList& list, std::vector<Rotation> rotations,
                     const SecretKey& key, ListLife life) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  // Not below the time: an archive whose list was lost goes on above what nodes have seen.
  list.serial =
      std::max(list.serial + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(now, 1)));
  // A push must not make for ever what its publisher wanted to end.
  if (life.seconds == 0 && list.expires_unix_s != 0)
    life.seconds = list.expires_unix_s - list.created_unix_s;
  list.created_unix_s = now;
  list.expires_unix_s = life.seconds > 0 ? now + life.seconds : 0;
  if (rotations.size() > kMostRotations)
    rotations.erase(rotations.begin(),
                    rotations.end() - static_cast<std::ptrdiff_t>(kMostRotations));
  PANAL_ASSIGN(const std::string text, seal(print_list(list), rotations, key));
  return replace_file(list_file(dir), text, 0644);
}

/// Has this archive signed by `next`, with `old`'s word for it. Done already: nothing.
Result<void> hand_on(const std::string& dir, const SecretKey& old, const SecretKey& next) {
  PANAL_ASSIGN(const UniqueFd lock, lock_archive(dir, {}));
  PANAL_ASSIGN(auto now, published(dir, old.public_key()));
  if (!now) return fail(ENOENT, dir + ": is no archive of images");
  if (now->key == next.public_key()) return {};
  if (!(now->key == old.public_key()))
    return fail(EKEYREJECTED, list_file(dir) + ": is signed by a third key");
  PANAL_ASSIGN(const Rotation rotation, sign_rotation(old, next.public_key()));
  now->rotations.push_back(rotation);
  return publish(dir, now->list, std::move(now->rotations), next, {});
}

}  // namespace

Result<Archive> Archive::open(const std::string& dir) {
  PANAL_ASSIGN(Repository repository, Repository::open(dir));
  if (repository.mode() != RepositoryMode::kArchive)
    return fail(EINVAL, dir + ": is a node's own repository, which cannot be published");
  return Archive(dir, std::move(repository));
}

Result<Archive> Archive::open_or_create(const std::string& given, const SecretKey& key) {
  std::string dir = given;
  while (dir.size() > 1 && dir.back() == '/') dir.pop_back();
  PANAL_TRY(make_directories_above(dir));
  // A repository appears by a rename to a name that is free; one with something in it stays.
  (void)::rmdir(dir.c_str());
  PANAL_ASSIGN(Repository repository, Repository::open_or_create(dir, RepositoryMode::kArchive));
  if (::chmod(dir.c_str(), 0755) != 0) return fail_errno("chmod", dir);
  PANAL_ASSIGN(const UniqueFd lock, lock_archive(dir, {}));
  PANAL_ASSIGN(auto now, published_by(dir, key.public_key()));
  if (now.list.serial == 0) PANAL_TRY(publish(dir, now.list, {}, key, {}));
  return Archive(dir, std::move(repository));
}

Result<VerifyReport> Archive::verify(std::uint64_t most_bytes_per_s, const Work& work) const {
  PANAL_ASSIGN(VerifyReport report, repository_.verify({}, most_bytes_per_s, work));
  const auto add = [&report](Damage::Kind kind, std::string what) {
    Damage damage;
    damage.kind = kind;
    damage.what = std::move(what);
    damage.places = {kListName};
    report.damages.push_back(std::move(damage));
  };
  const auto offer = sound_list(dir_);
  if (!offer) {
    const bool missing = offer.error().code == ENOENT;
    add(missing ? Damage::Kind::kObjectMissing : Damage::Kind::kObjectCorrupt,
        offer.error().message());
    return report;
  }
  for (const auto& version : offer->versions) {
    const auto named = repository_.resolve(version.image, version.version);
    if (named && *named == version.commit) continue;
    add(Damage::Kind::kObjectMissing, version.image + " " + version.version +
                                          " is listed, and the archive does not have it (commit " +
                                          version.commit + ")");
  }
  return report;
}

Result<ImageList> Archive::list(const PublicKey& key) const {
  PANAL_ASSIGN(auto now, published_by(dir_, key));
  return std::move(now.list);
}

Result<ListedVersion> Archive::push(const Repository& source, const std::string& commit,
                                    const SecretKey& key, ListLife life, const Work& work) {
  PANAL_ASSIGN(const VersionManifest manifest, source.show(commit));
  ListedVersion version;
  version.image = manifest.image;
  version.version = manifest.version;
  version.commit = commit;
  version.created_unix_s = manifest.created_unix_s;
  version.size_bytes = manifest.size_bytes;
  PANAL_ASSIGN(const UniqueFd lock, lock_archive(dir_, work));
  PANAL_ASSIGN(auto now, published_by(dir_, key.public_key()));
  const auto listed = find_version(now.list, version.image, version.version);
  PANAL_TRY(add_version(now.list, version));  // before anything is copied: is the name free?
  PANAL_TRY(repository_.copy_from(source, commit, work));
  PANAL_TRY(let_read(dir_));
  if (!listed) PANAL_TRY(publish(dir_, now.list, std::move(now.rotations), key, life));
  return version;
}

Result<void> Archive::withdraw(const std::string& image, const std::vector<std::string>& versions,
                               const SecretKey& key, ListLife life) {
  PANAL_ASSIGN(const UniqueFd lock, lock_archive(dir_, {}));
  PANAL_ASSIGN(auto now, published_by(dir_, key.public_key()));
  for (const auto& version : versions) {
    PANAL_ASSIGN(const ListedVersion listed, find_version(now.list, image, version));
    std::erase_if(now.list.versions, [&listed](const ListedVersion& one) {
      return one.image == listed.image && one.version == listed.version;
    });
  }
  PANAL_TRY(publish(dir_, now.list, std::move(now.rotations), key, life));
  // All that is not listed, so that what a killed publisher left here goes with the next gc(), too.
  PANAL_ASSIGN(const auto kept, repository_.log());
  for (const auto& manifest : kept)
    if (!find_version(now.list, manifest.image, manifest.version))
      PANAL_TRY(repository_.remove(manifest.image, manifest.version));
  return {};
}

Result<ImageList> Archive::sign_again(const SecretKey& key, ListLife life) {
  PANAL_ASSIGN(const UniqueFd lock, lock_archive(dir_, {}));
  PANAL_ASSIGN(auto now, published_by(dir_, key.public_key()));
  PANAL_TRY(publish(dir_, now.list, std::move(now.rotations), key, life));
  return std::move(now.list);
}

Result<PublicKey> rotate_key(const std::string& key_file,
                             const std::vector<std::string>& archives) {
  if (archives.empty())
    return fail(EINVAL, "change a key: no archive is given; nodes learn of the new key from there");
  PANAL_ASSIGN(const SecretKey old, SecretKey::load(key_file));
  const std::string next_file = key_file + ".next";
  auto next = SecretKey::load(next_file);
  if (!next && next.error().code == ENOENT) {
    next = SecretKey::generate();
    if (next) PANAL_TRY(next->save(next_file));
  }
  if (!next) return tl::make_unexpected(next.error());
  for (const auto& dir : archives) PANAL_TRY(hand_on(dir, old, *next));
  if (::rename(next_file.c_str(), key_file.c_str()) != 0)
    return fail_errno("rename", next_file + " to " + key_file);
  PANAL_TRY(sync_directory_of(key_file));
  return next->public_key();
}

}  // namespace panal::storage
