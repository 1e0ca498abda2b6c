#include "storage/repo/metadata.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <array>

#include "engine/base/log.h"
#include "storage/repo/dirtree.h"
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
  PANAL_ASSIGN(const DirTreeView view, view_dirtree(bytes, what));
  const auto text = [](const Sha256& sum) { return hex(sum.data(), sum.size()); };
  DirTree tree;
  tree.files.reserve(view.files.size());
  for (const auto& file : view.files)
    tree.files.push_back({std::string(file.name), text(file.checksum)});
  tree.directories.reserve(view.directories.size());
  for (const auto& directory : view.directories)
    tree.directories.push_back(
        {std::string(directory.name), text(directory.tree), text(directory.meta)});
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
