#include "storage/repo/metadata.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <array>

#include "engine/base/log.h"
#include "storage/repo/glib.h"
#include "storage/repo/inner.h"

namespace panal::storage {
namespace {

Result<glib::Variant> variant_of(std::string_view bytes, const GVariantType* type,
                                 const std::string& what) {
  if (bytes.size() > kMostMetadataBytes)
    return fail(EPROTO, what + " is longer than " + std::to_string(kMostMetadataBytes) + " bytes");
  // To GVariant nothing at all is an empty directory.
  if (bytes.empty()) return fail(EPROTO, what + " is empty");
  // A copy: GVariant wants its data aligned, and to live as long as it does.
  GBytes* copy = ::g_bytes_new(bytes.data(), bytes.size());
  glib::Variant variant(::g_variant_ref_sink(::g_variant_new_from_bytes(type, copy, FALSE)));
  ::g_bytes_unref(copy);
  if (!::g_variant_is_normal_form(variant.get())) return fail(EPROTO, what + " is damaged");
  return variant;
}

glib::Variant child(GVariant* variant, gsize index) {
  return glib::Variant(::g_variant_get_child_value(variant, index));
}

std::string text_of(GVariant* variant) {
  gsize length = 0;
  const char* text = ::g_variant_get_string(variant, &length);
  return {text, length};
}

/// 32 bytes as 64 hex digits; empty for anything else.
std::string hex_of(GVariant* bytes) {
  gsize length = 0;
  const void* data = ::g_variant_get_fixed_array(bytes, &length, 1);
  if (length != OSTREE_SHA256_DIGEST_LEN) return {};
  return hex(static_cast<const unsigned char*>(data), length);
}

bool is_entry_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string::npos;
}

/// Sorted without a name twice; `last` is the one before, empty at first.
Result<std::string> entry_name(GVariant* entry, const std::string& last, const std::string& what) {
  std::string name = text_of(child(entry, 0).get());
  if (!is_entry_name(name))
    return fail(EPROTO, what + " holds the name \"" + printable(name, 300) + "\"");
  if (name <= last) return fail(EPROTO, what + " holds its names out of order or twice");
  return name;
}

}  // namespace

std::string hex(const unsigned char* bytes, std::size_t length) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(length * 2);
  for (std::size_t i = 0; i < length; ++i) {
    text.push_back(kDigits[bytes[i] >> 4U]);
    text.push_back(kDigits[bytes[i] & 15U]);
  }
  return text;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  EVP_Digest(bytes.data(), bytes.size(), hash.data(), &length, EVP_sha256(), nullptr);
  return hex(hash.data(), length);
}

Result<DirTree> parse_dirtree(std::string_view bytes, const std::string& what) {
  PANAL_ASSIGN(const auto variant, variant_of(bytes, OSTREE_TREE_GVARIANT_FORMAT, what));
  DirTree tree;
  const auto files = child(variant.get(), 0);
  const gsize file_count = ::g_variant_n_children(files.get());
  tree.files.reserve(file_count);
  for (gsize i = 0; i < file_count; ++i) {
    const auto entry = child(files.get(), i);
    DirTree::File file;
    PANAL_ASSIGN(file.name, entry_name(entry.get(), i == 0 ? "" : tree.files.back().name, what));
    file.checksum = hex_of(child(entry.get(), 1).get());
    if (file.checksum.empty()) return fail(EPROTO, what + " holds a bad checksum");
    tree.files.push_back(std::move(file));
  }
  const auto directories = child(variant.get(), 1);
  const gsize directory_count = ::g_variant_n_children(directories.get());
  tree.directories.reserve(directory_count);
  auto rival = tree.files.begin();
  for (gsize i = 0; i < directory_count; ++i) {
    const auto entry = child(directories.get(), i);
    DirTree::Directory directory;
    PANAL_ASSIGN(directory.name,
                 entry_name(entry.get(), i == 0 ? "" : tree.directories.back().name, what));
    while (rival != tree.files.end() && rival->name < directory.name) ++rival;
    if (rival != tree.files.end() && rival->name == directory.name)
      return fail(EPROTO, what + " holds \"" + printable(directory.name, 300) +
                              "\" as a file and a directory");
    directory.tree = hex_of(child(entry.get(), 1).get());
    directory.meta = hex_of(child(entry.get(), 2).get());
    if (directory.tree.empty() || directory.meta.empty())
      return fail(EPROTO, what + " holds a bad checksum");
    tree.directories.push_back(std::move(directory));
  }
  return tree;
}

Result<DirMeta> parse_dirmeta(std::string_view bytes, const std::string& what) {
  PANAL_ASSIGN(const auto variant, variant_of(bytes, OSTREE_DIRMETA_GVARIANT_FORMAT, what));
  const auto number = [&variant](gsize index) {
    return GUINT32_FROM_BE(::g_variant_get_uint32(child(variant.get(), index).get()));
  };
  DirMeta meta;
  meta.uid = number(0);
  meta.gid = number(1);
  meta.mode = number(2);
  if (!S_ISDIR(meta.mode) || (meta.mode & ~(unsigned{S_IFMT} | 07777U)) != 0)
    return fail(EPROTO, what + " is no directory's");
  meta.mode &= 07777U;
  if (meta.uid >= kIds || meta.gid >= kIds)
    return fail(ERANGE, what + " belongs to user " + std::to_string(meta.uid) + ", group " +
                            std::to_string(meta.gid) + "; ids in an image are below 65536");
  if (::g_variant_n_children(child(variant.get(), 3).get()) != 0)
    return fail(EPERM, what + " has extended attributes");
  return meta;
}

Result<CommitObject> parse_commit(std::string_view bytes, const std::string& what) {
  PANAL_ASSIGN(const auto variant, variant_of(bytes, OSTREE_COMMIT_GVARIANT_FORMAT, what));
  CommitObject commit;
  const auto metadata = child(variant.get(), 0);
  const glib::Variant manifest(
      ::g_variant_lookup_value(metadata.get(), kManifestKey, G_VARIANT_TYPE_STRING));
  if (!manifest) return fail(EPROTO, what + " is no version of an image: it has no manifest");
  const std::string text = text_of(manifest.get());
  if (text.size() > kMostManifestBytes) return fail(EPROTO, what + " has too long a manifest");
  PANAL_ASSIGN(commit.manifest, parse_manifest(text, what));
  if (!is_plain_name(commit.manifest.image) || !is_plain_name(commit.manifest.version))
    return fail(EPROTO, what + " is called \"" + printable(commit.manifest.image, 200) + "\" \"" +
                            printable(commit.manifest.version, 200) + "\"");
  commit.manifest.commit.clear();
  commit.tree = hex_of(child(variant.get(), 6).get());
  commit.meta = hex_of(child(variant.get(), 7).get());
  if (commit.tree.empty() || commit.meta.empty())
    return fail(EPROTO, what + " has a bad checksum of its root");
  return commit;
}

}  // namespace panal::storage
