#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <map>

#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

constexpr std::size_t kMostCapabilityBytes = 64;  // VFS_CAP_REVISION_3 has 24

/// What a look at the tree before it is taken apart found.
struct TreeSurvey {
  std::uint64_t entries = 0;
  bool hard_links = false;
  std::map<std::string, std::string> capabilities;  ///< "/usr/bin/ping" -> the attribute
};

bool is_utf8(const std::string& text) {
  return ::g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr) != FALSE;
}

Result<void> survey_attributes(const TreeEntry& entry, const CommitSpec& spec, TreeSurvey& survey) {
  // The l*xattr calls take paths only: through the directory's descriptor nothing is followed.
  const std::string path = std::string(kernel_paths::kProcSelfFd) + "/" +
                           std::to_string(entry.directory) + "/" + entry.name;
  std::array<char, 4096> names{};
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    if (errno == EOPNOTSUPP) return {};
    return fail_errno("list attributes of", "/" + entry.path);
  }
  std::string_view rest(names.data(), static_cast<std::size_t>(length));
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name == "security.selinux") continue;  // the host's, not the image's
    if (name != "security.capability")
      return fail(EPERM, "/" + entry.path + " has the extended attribute " + name +
                             ", which an image must not hold");
    if (!spec.file_capabilities || !S_ISREG(entry.info.st_mode))
      return fail(EPERM, "/" + entry.path +
                             " has file capabilities, which an image from elsewhere " +
                             "must not hold");
    std::array<char, kMostCapabilityBytes> value{};
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) return fail_errno("read attribute of", "/" + entry.path);
    survey.capabilities["/" + entry.path].assign(value.data(), static_cast<std::size_t>(size));
  }
  return {};
}

Result<void> survey_entry(const TreeEntry& entry, const CommitSpec& spec, TreeSurvey& survey) {
  const auto refused = [&entry](const char* why) {
    return fail(EPERM, "/" + entry.path + " " + why + ", which an image must not hold");
  };
  if (S_ISCHR(entry.info.st_mode) || S_ISBLK(entry.info.st_mode))
    return refused("is a device node");
  if (S_ISFIFO(entry.info.st_mode)) return refused("is a FIFO");
  if (S_ISSOCK(entry.info.st_mode)) return refused("is a socket");
  if (entry.info.st_uid >= kIds || entry.info.st_gid >= kIds)
    return fail(ERANGE, "/" + entry.path + " belongs to user " + std::to_string(entry.info.st_uid) +
                            ", group " + std::to_string(entry.info.st_gid) +
                            "; ids in an image are below 65536");
  if (!is_utf8(entry.name)) return fail(EILSEQ, "the name of /" + entry.path + " is not UTF-8");
  if (S_ISLNK(entry.info.st_mode)) {
    std::array<char, 4097> target{};
    const ssize_t length =
        ::readlinkat(entry.directory, entry.name.c_str(), target.data(), target.size() - 1);
    if (length < 0) return fail_errno("read link", "/" + entry.path);
    if (!is_utf8({target.data(), static_cast<std::size_t>(length)}))
      return fail(EILSEQ, "the link /" + entry.path + " points to a name that is not UTF-8");
  }
  ++survey.entries;
  if (S_ISREG(entry.info.st_mode)) {
    if (entry.info.st_nlink > 1) survey.hard_links = true;
    // A moved file becomes the object as it is: copied ones get this from libostree.
    if (spec.consume && (entry.info.st_mtim.tv_sec != 0 || entry.info.st_mtim.tv_nsec != 0)) {
      const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {0, 0}}};
      if (::utimensat(entry.directory, entry.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno("set the time of", "/" + entry.path);
    }
  }
  return survey_attributes(entry, spec, survey);
}

/// All of it before anything is changed, so that a refused tree is still whole.
Result<TreeSurvey> survey_tree(const CommitSpec& spec) {
  struct stat top{};
  if (::lstat(spec.root.c_str(), &top) != 0) return fail_errno("commit", spec.root);
  if (!S_ISDIR(top.st_mode)) return fail(ENOTDIR, "commit " + spec.root);
  if (top.st_uid >= kIds || top.st_gid >= kIds)
    return fail(ERANGE, spec.root + " belongs to user " + std::to_string(top.st_uid) + ", group " +
                            std::to_string(top.st_gid) + "; ids in an image are below 65536");
  TreeSurvey survey;
  PANAL_TRY(walk_tree(spec.root,
                      [&](const TreeEntry& entry) { return survey_entry(entry, spec, survey); }));
  return survey;
}

/// What libostree's callbacks are given.
struct CommitWatch {
  const Work& work;
  const TreeSurvey& survey;
  glib::Cancellable cancellable;
  std::uint64_t done = 0;
};

OstreeRepoCommitFilterResult on_entry(OstreeRepo* /*repo*/, const char* path, GFileInfo* /*info*/,
                                      gpointer data) {
  auto& watch = *static_cast<CommitWatch*>(data);
  watch.cancellable.poll();
  ++watch.done;
  if (watch.done % 64 == 0 && watch.survey.entries > 0) {
    const double part =
        static_cast<double>(watch.done) / static_cast<double>(watch.survey.entries + 1);
    watch.work.tell(std::min(part, 1.0) * 0.9, path);
  }
  return OSTREE_REPO_COMMIT_FILTER_ALLOW;
}

GVariant* on_attributes(OstreeRepo* /*repo*/, const char* path, GFileInfo* /*info*/,
                        gpointer data) {
  const auto& watch = *static_cast<const CommitWatch*>(data);
  GVariantBuilder builder;
  ::g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ayay)"));
  const auto found = watch.survey.capabilities.find(path);
  if (found != watch.survey.capabilities.end()) {
    GVariant* value = ::g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, found->second.data(),
                                                  found->second.size(), 1);
    ::g_variant_builder_add(&builder, "(@ay@ay)", ::g_variant_new_bytestring("security.capability"),
                            value);
  }
  return ::g_variant_ref_sink(::g_variant_builder_end(&builder));
}

glib::Variant metadata_of(const VersionManifest& manifest) {
  GVariantBuilder builder;
  ::g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  ::g_variant_builder_add(&builder, "{sv}", kManifestKey,
                          ::g_variant_new_string(print_manifest(manifest).c_str()));
  return glib::Variant(::g_variant_ref_sink(::g_variant_builder_end(&builder)));
}

/// The objects of the tree, and the directory that is its root.
Result<glib::Object<GFile>> write_tree(const Repository::Inner& inner, const CommitSpec& spec,
                                       CommitWatch& watch) {
  glib::Problem problem;
  GCancellable* const cancellable = watch.cancellable.get();
  int flags = OSTREE_REPO_COMMIT_MODIFIER_FLAGS_NONE;
  if (spec.consume) flags |= OSTREE_REPO_COMMIT_MODIFIER_FLAGS_CONSUME;
  if (!inner.is_archive() && watch.survey.hard_links) {
    // The tree is, or was made from, a checkout: a file that is an object's own inode need not be
    // read again.
    flags |= OSTREE_REPO_COMMIT_MODIFIER_FLAGS_DEVINO_CANONICAL;
    if (!::ostree_repo_scan_hardlinks(inner.repo.get(), cancellable, problem.out()))
      return problem.failure("look through the repository");
  }
  const glib::Modifier modifier(::ostree_repo_commit_modifier_new(
      static_cast<OstreeRepoCommitModifierFlags>(flags), on_entry, &watch, nullptr));
  // Not OSTREE_REPO_COMMIT_MODIFIER_FLAGS_SKIP_XATTRS: libostree 2022.7 then takes all attributes
  // for changed, and copies files of a consumed tree instead of moving them.
  ::ostree_repo_commit_modifier_set_xattr_callback(modifier.get(), on_attributes, nullptr, &watch);
  const glib::Object<OstreeMutableTree> tree(::ostree_mutable_tree_new());
  if (!::ostree_repo_write_dfd_to_mtree(inner.repo.get(), AT_FDCWD, spec.root.c_str(), tree.get(),
                                        modifier.get(), cancellable, problem.out()))
    return problem.failure("commit " + spec.root);
  glib::Object<GFile> root;
  if (!::ostree_repo_write_mtree(inner.repo.get(), tree.get(), glib::into(root), cancellable,
                                 problem.out()))
    return problem.failure("commit " + spec.root);
  return root;
}

Result<std::string> write_version(const Repository::Inner& inner, const CommitSpec& spec,
                                  const TreeSurvey& survey, const Work& work) {
  PANAL_ASSIGN(auto transaction, Transaction::begin(inner.repo.get(), work));
  CommitWatch watch{work, survey, glib::Cancellable(work)};
  PANAL_ASSIGN(const auto root, write_tree(inner, spec, watch));
  VersionManifest manifest = spec.manifest;
  manifest.commit.clear();
  glib::Problem problem;
  glib::Text checksum;
  const auto metadata = metadata_of(manifest);
  const std::string subject = manifest.image + " " + manifest.version;
  if (!::ostree_repo_write_commit_with_time(
          inner.repo.get(), manifest.parent.empty() ? nullptr : manifest.parent.c_str(),
          subject.c_str(), nullptr, metadata.get(), OSTREE_REPO_FILE(root.get()),
          static_cast<guint64>(std::max<std::int64_t>(0, manifest.created_unix_s)),
          glib::into(checksum), watch.cancellable.get(), problem.out()))
    return problem.failure("commit " + spec.root);
  work.tell(0.9, "writing to disk");
  PANAL_TRY(transaction.commit(inner, manifest, checksum.get(), work));
  work.tell(1, "committed");
  return std::string(checksum.get());
}

}  // namespace

Result<std::string> Repository::commit(const CommitSpec& spec, const Work& work) {
  const VersionManifest& manifest = spec.manifest;
  if (!is_plain_name(manifest.image))
    return fail(EINVAL, "\"" + manifest.image + "\" is no image name");
  if (!is_plain_name(manifest.version))
    return fail(EINVAL, "\"" + manifest.version + "\" is no version name");
  if (!manifest.parent.empty() && !is_checksum(manifest.parent))
    return fail(EINVAL, "\"" + manifest.parent + "\" is no checksum");
  if (print_manifest(manifest).size() > kMostManifestBytes)
    return fail(EFBIG, "the manifest of " + manifest.image + " " + manifest.version +
                           " is longer than 4 MiB");
  if (const auto there = resolve(manifest.image, manifest.version))
    return fail(EEXIST,
                "image " + manifest.image + " has a version " + manifest.version + " already");
  PANAL_ASSIGN(const TreeSurvey survey, survey_tree(spec));
  auto written = write_version(*inner_, spec, survey, work);
  if (!written) {
    drop_leftovers(*inner_);
    if (work.is_cancelled()) return fail(ECANCELED, "the commit was cancelled");
  }
  return written;
}

}  // namespace panal::storage
