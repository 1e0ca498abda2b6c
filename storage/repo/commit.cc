#include <fcntl.h>

#include <algorithm>

#include "storage/repo/inner.h"
#include "storage/repo/tree_survey.h"

namespace panal::storage {
namespace {

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
    watch.work.tell(0.5 + std::min(part, 1.0) * 0.4, path);
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
  if (!inner.is_archive() && watch.survey.hard_links && watch.survey.short_inodes) {
    // A file that is an object's own inode need not be read again. With longer inode numbers one
    // file could be taken for another; it is read then.
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
                                  TreeSurvey& survey, const Work& work) {
  PANAL_ASSIGN(auto transaction, Transaction::begin(inner.repo.get(), work));
  // Within the transaction: gc() must not take an object between the look and the link.
  if (spec.consume && !inner.is_archive()) PANAL_TRY(link_known_files(inner, spec, survey, work));
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
  PANAL_ASSIGN(TreeSurvey survey, survey_tree(spec));
  auto written = write_version(*inner_, spec, survey, work);
  if (!written) {
    drop_leftovers(*inner_);
    if (work.is_cancelled()) return fail(ECANCELED, "the commit was cancelled");
  }
  return written;
}

}  // namespace panal::storage
