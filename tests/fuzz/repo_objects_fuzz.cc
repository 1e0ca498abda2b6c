/// Objects of a repository come from whatever web server a node pulls from: any bytes give a value
/// or an error, and what is accepted is safe to lay out on disk. The first byte says which it is
/// (tests/fuzz/seeds): directory, directory's mode, commit, or a compressed file.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/base/unique_fd.h"
#include "storage/repo/dirtree.h"
#include "storage/repo/inner.h"

using namespace panal::storage;

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 20;

void check_name(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    std::abort();
}

/// What GLib writes for this directory: a checksum must not stand for two forms of one list.
std::string written_by_glib(const DirTreeView& tree) {
  const auto sum = [](const Sha256& bytes) {
    return ::g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
  };
  GVariantBuilder files;
  GVariantBuilder directories;
  ::g_variant_builder_init(&files, G_VARIANT_TYPE("a(say)"));
  ::g_variant_builder_init(&directories, G_VARIANT_TYPE("a(sayay)"));
  for (const auto& file : tree.files)
    ::g_variant_builder_add(&files, "(s@ay)", std::string(file.name).c_str(), sum(file.checksum));
  for (const auto& directory : tree.directories)
    ::g_variant_builder_add(&directories, "(s@ay@ay)", std::string(directory.name).c_str(),
                            sum(directory.tree), sum(directory.meta));
  const glib::Variant made(
      ::g_variant_ref_sink(::g_variant_new("(a(say)a(sayay))", &files, &directories)));
  return glib::bytes_of(made.get());
}

void try_file(const std::string& bytes) {
  const panal::UniqueFd fd(::memfd_create("object", MFD_CLOEXEC));
  if (!fd ||
      ::pwrite(fd.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  const auto size = check_archived_file(fd.get(), kMostBytes, "fuzz");
  if (size && *size > kMostBytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 't':
      if (const auto view = view_dirtree(bytes, "fuzz"))
        if (written_by_glib(*view) != bytes) std::abort();
      if (const auto tree = parse_dirtree(bytes, "fuzz")) {
        for (const auto& file : tree->files) check_name(file.name);
        for (const auto& directory : tree->directories) {
          check_name(directory.name);
          if (!is_checksum(directory.tree) || !is_checksum(directory.meta)) std::abort();
        }
      }
      break;
    case 'd':
      if (const auto meta = parse_dirmeta(bytes, "fuzz"))
        if (meta->uid >= kIds || meta->gid >= kIds || meta->mode > 07777U) std::abort();
      break;
    case 'c':
      if (const auto commit = parse_commit(bytes, "fuzz"))
        if (!is_plain_name(commit->manifest.image) || !is_plain_name(commit->manifest.version) ||
            !is_checksum(commit->tree))
          std::abort();
      break;
    case 'f': try_file(bytes); break;
    default: return -1;
  }
  return 0;
}
