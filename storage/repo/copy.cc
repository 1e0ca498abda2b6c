#include <fcntl.h>
#include <gio/gunixoutputstream.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_set>

#include "storage/repo/incoming.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

constexpr std::size_t kAtOnce = 1000;

/// Looks whether all of a tree is there.
class Presence {
 public:
  explicit Presence(OstreeRepo* repo) : repo_(repo) {}

  Result<bool> has_tree(const std::string& checksum, int depth) {
    if (depth > kDeepest) return fail(EOVERFLOW, "directory " + checksum + " is too deep");
    const ObjectName object{checksum, ObjectType::kDirTree};
    if (!seen_.insert(loose_path(object, true)).second) return true;
    const auto tree = load_dirtree(repo_, checksum);
    if (!tree) {
      if (tree.error().code == ENOENT) return false;
      return tl::make_unexpected(tree.error());
    }
    for (const auto& file : tree->files) {
      PANAL_ASSIGN(const bool there, has_object({file.checksum, ObjectType::kFile}));
      if (!there) return false;
    }
    for (const auto& directory : tree->directories) {
      PANAL_ASSIGN(const bool meta, has_object({directory.meta, ObjectType::kDirMeta}));
      if (!meta) return false;
      PANAL_ASSIGN(const bool below, has_tree(directory.tree, depth + 1));
      if (!below) return false;
    }
    return true;
  }

  Result<bool> has_object(const ObjectName& object) {
    if (!seen_.insert(loose_path(object, true)).second) return true;
    glib::Problem problem;
    gboolean there = FALSE;
    if (!::ostree_repo_has_object(repo_, glib::type_of(object.type), object.checksum.c_str(),
                                  &there, nullptr, problem.out()))
      return problem.failure("look for " + describe(object));
    return there != FALSE;
  }

 private:
  OstreeRepo* repo_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

Result<void> Repository::copy_from(const Repository& source, const std::string& checksum,
                                   const Work& work) {
  PANAL_ASSIGN(const std::string bytes, source.commit_bytes(checksum));
  PANAL_ASSIGN(Incoming incoming, receive(checksum, bytes));
  const std::uint64_t total_bytes = std::max<std::uint64_t>(1, incoming.manifest().size_bytes);
  for (;;) {
    PANAL_ASSIGN(const auto wanted, incoming.missing(kAtOnce));
    if (wanted.empty()) break;
    for (const auto& object : wanted) {
      if (work.is_cancelled()) return fail(ECANCELED, "cancelled");
      PANAL_TRY(incoming.copy(source, object));
    }
    const double part = static_cast<double>(incoming.bytes()) / static_cast<double>(total_bytes);
    work.tell(std::min(part, 0.99), "copying " + incoming.manifest().image);
  }
  PANAL_TRY(incoming.finish());
  work.tell(1, "copied");
  return {};
}

Result<bool> Repository::has(const std::string& checksum) const {
  const auto commit = load_commit(handle(), checksum);
  if (!commit) {
    if (commit.error().code == ENOENT) return false;
    return tl::make_unexpected(commit.error());
  }
  Presence presence(handle());
  PANAL_ASSIGN(const bool meta, presence.has_object({commit->meta, ObjectType::kDirMeta}));
  if (!meta) return false;
  return presence.has_tree(commit->tree, 0);
}

Result<UniqueFd> Repository::archive_object(const ObjectName& object) const {
  if (!is_checksum(object.checksum))
    return fail(EINVAL, "\"" + object.checksum + "\" is no checksum");
  const bool as_is = mode() == RepositoryMode::kArchive || object.type != ObjectType::kFile;
  if (as_is) {
    const std::string file = path() + "/objects/" + loose_path(object, true);
    UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno("open", describe(object));
    return fd;
  }
  PANAL_ASSIGN(const LoadedFile file, load_file(handle(), object.checksum));
  const std::string tmp = path() + "/tmp";
  UniqueFd fd(::open(tmp.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("make a file in", tmp);
  glib::Problem problem;
  glib::Object<GInputStream> archived;
  if (!::ostree_raw_file_to_archive_z2_stream(file.input.get(), file.info.get(), file.xattrs.get(),
                                              glib::into(archived), nullptr, problem.out()))
    return problem.failure("compress " + describe(object));
  const glib::Object<GOutputStream> out(::g_unix_output_stream_new(fd.get(), FALSE));
  if (::g_output_stream_splice(out.get(), archived.get(), G_OUTPUT_STREAM_SPLICE_NONE, nullptr,
                               problem.out()) < 0)
    return problem.failure("compress " + describe(object));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail_errno("seek", tmp);
  return fd;
}

}  // namespace panal::storage
