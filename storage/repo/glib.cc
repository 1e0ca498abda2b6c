#include "storage/repo/glib.h"

#include <cerrno>

namespace panal::storage::glib {
namespace {

int code_of(const GError& error) {
  if (error.domain != G_IO_ERROR) return EIO;
  switch (error.code) {
    case G_IO_ERROR_NOT_FOUND: return ENOENT;
    case G_IO_ERROR_EXISTS: return EEXIST;
    case G_IO_ERROR_IS_DIRECTORY: return EISDIR;
    case G_IO_ERROR_NOT_DIRECTORY: return ENOTDIR;
    case G_IO_ERROR_NOT_EMPTY: return ENOTEMPTY;
    case G_IO_ERROR_TOO_MANY_OPEN_FILES: return EMFILE;
    case G_IO_ERROR_NO_SPACE: return ENOSPC;
    case G_IO_ERROR_INVALID_ARGUMENT: return EINVAL;
    case G_IO_ERROR_PERMISSION_DENIED: return EACCES;
    case G_IO_ERROR_NOT_SUPPORTED: return EOPNOTSUPP;
    case G_IO_ERROR_CANCELLED: return ECANCELED;
    case G_IO_ERROR_READ_ONLY: return EROFS;
    case G_IO_ERROR_TIMED_OUT: return ETIMEDOUT;
    case G_IO_ERROR_BUSY:
    case G_IO_ERROR_WOULD_BLOCK: return EBUSY;
    case G_IO_ERROR_INVALID_DATA:
    case G_IO_ERROR_PARTIAL_INPUT: return EBADMSG;
    default: break;
  }
  // What libostree finds by itself has no code of its own; these words are all there is.
  const std::string_view words = error.message;
  if (words.find("min-free-space") != std::string_view::npos) return ENOSPC;
  if (words.find("Corrupted") != std::string_view::npos) return EBADMSG;
  return EIO;
}

}  // namespace

int Problem::code() const { return error_ == nullptr ? EIO : code_of(*error_); }

Failure Problem::failure(std::string_view context) const {
  std::string text(context);
  if (error_ != nullptr) text.append(": ").append(error_->message);
  return fail(code(), std::move(text));
}

OstreeObjectType type_of(ObjectType type) {
  switch (type) {
    case ObjectType::kFile: return OSTREE_OBJECT_TYPE_FILE;
    case ObjectType::kDirTree: return OSTREE_OBJECT_TYPE_DIR_TREE;
    case ObjectType::kDirMeta: return OSTREE_OBJECT_TYPE_DIR_META;
    case ObjectType::kCommit: return OSTREE_OBJECT_TYPE_COMMIT;
  }
  return OSTREE_OBJECT_TYPE_FILE;
}

std::string bytes_of(GVariant* variant) {
  const gsize size = ::g_variant_get_size(variant);
  if (size == 0) return {};
  return {static_cast<const char*>(::g_variant_get_data(variant)), size};
}

}  // namespace panal::storage::glib
