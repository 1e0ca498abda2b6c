#include <fcntl.h>
#include <gio/gunixinputstream.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "engine/base/unique_fd.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

constexpr const char* kCapability = "security.capability";

}  // namespace

Result<std::string> load_metadata(OstreeRepo* repo, const ObjectName& object) {
  glib::Problem problem;
  glib::Variant variant;
  if (!::ostree_repo_load_variant(repo, glib::type_of(object.type), object.checksum.c_str(),
                                  glib::into(variant), problem.out()))
    return problem.failure("read " + describe(object));
  return glib::bytes_of(variant.get());
}

Result<DirTree> load_dirtree(OstreeRepo* repo, const std::string& checksum) {
  const ObjectName object{checksum, ObjectType::kDirTree};
  PANAL_ASSIGN(const std::string bytes, load_metadata(repo, object));
  return parse_dirtree(bytes, describe(object));
}

Result<DirMeta> load_dirmeta(OstreeRepo* repo, const std::string& checksum) {
  const ObjectName object{checksum, ObjectType::kDirMeta};
  PANAL_ASSIGN(const std::string bytes, load_metadata(repo, object));
  return parse_dirmeta(bytes, describe(object));
}

Result<CommitObject> load_commit(OstreeRepo* repo, const std::string& checksum) {
  const ObjectName object{checksum, ObjectType::kCommit};
  if (!is_checksum(checksum)) return fail(EINVAL, "\"" + checksum + "\" is no checksum");
  PANAL_ASSIGN(const std::string bytes, load_metadata(repo, object));
  return parse_commit(bytes, describe(object));
}

glib::Variant kept_xattrs(GVariant* all) {
  GVariantBuilder builder;
  ::g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ayay)"));
  const gsize count = all == nullptr ? 0 : ::g_variant_n_children(all);
  for (gsize i = 0; i < count; ++i) {
    const glib::Variant entry(::g_variant_get_child_value(all, i));
    const glib::Variant name(::g_variant_get_child_value(entry.get(), 0));
    if (std::string_view(::g_variant_get_bytestring(name.get())) == kCapability)
      ::g_variant_builder_add_value(&builder, entry.get());
  }
  return glib::Variant(::g_variant_ref_sink(::g_variant_builder_end(&builder)));
}

Result<LoadedFile> load_file(OstreeRepo* repo, const std::string& checksum) {
  glib::Problem problem;
  LoadedFile file;
  glib::Variant all;
  if (!::ostree_repo_load_file(repo, checksum.c_str(), glib::into(file.input),
                               glib::into(file.info), glib::into(all), nullptr, problem.out()))
    return problem.failure("read file " + checksum);
  file.xattrs = kept_xattrs(all.get());
  return file;
}

Result<LoadedFile> open_file(int directory, const std::string& name) {
  struct stat stat{};
  UniqueFd fd;
  if (::fstatat(directory, name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("stat", name);
  if (S_ISREG(stat.st_mode)) {
    fd =
        UniqueFd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return fail_errno("open", name);
    if (::fstat(fd.get(), &stat) != 0) return fail_errno("stat", name);
  }
  if (!S_ISREG(stat.st_mode) && !S_ISLNK(stat.st_mode))
    return fail(EPERM, name + " is neither a file nor a link");

  LoadedFile file;
  glib::Problem problem;
  glib::Variant all;
  file.info.reset(::g_file_info_new());
  GFileInfo* info = file.info.get();
  ::g_file_info_set_attribute_uint32(info, "unix::uid", stat.st_uid);
  ::g_file_info_set_attribute_uint32(info, "unix::gid", stat.st_gid);
  ::g_file_info_set_attribute_uint32(info, "unix::mode", stat.st_mode);
  if (fd) {
    ::g_file_info_set_file_type(info, G_FILE_TYPE_REGULAR);
    ::g_file_info_set_size(info, stat.st_size);
    all.reset(::ostree_fs_get_all_xattrs(fd.get(), nullptr, problem.out()));
    if (!all) return problem.failure("read attributes of " + name);
    file.input.reset(::g_unix_input_stream_new(fd.release(), TRUE));
  } else {
    std::array<char, 4097> target{};
    const ssize_t length = ::readlinkat(directory, name.c_str(), target.data(), target.size() - 1);
    if (length < 0) return fail_errno("read link", name);
    ::g_file_info_set_file_type(info, G_FILE_TYPE_SYMBOLIC_LINK);
    ::g_file_info_set_attribute_byte_string(info, "standard::symlink-target", target.data());
  }
  file.xattrs = kept_xattrs(all.get());
  return file;
}

Result<std::string> checksum_of(const LoadedFile& file) {
  glib::Problem problem;
  glib::Digest digest;
  if (!::ostree_checksum_file_from_input(file.info.get(), file.xattrs.get(), file.input.get(),
                                         OSTREE_OBJECT_TYPE_FILE, glib::into(digest), nullptr,
                                         problem.out()))
    return problem.failure("read a file");
  return hex(digest.get(), OSTREE_SHA256_DIGEST_LEN);
}

}  // namespace panal::storage
