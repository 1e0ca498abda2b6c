#include "storage/unpack/layout.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/log.h"

namespace panal::storage::unpack {
namespace {

constexpr const char* kLayoutFile = "oci-layout";
constexpr const char* kIndexFile = "index.json";
constexpr std::string_view kBlobs = "blobs/";

Failure without(const std::string& path) {
  if (path == kLayoutFile)
    return fail(ENOENT,
                "the source has no file oci-layout: it is no OCI layout (skopeo copy "
                "docker-archive:FILE oci:DIRECTORY makes one of docker save's tarballs)");
  return fail(ENOENT, "the layout lacks " + path);
}

/// A plain file of the layout. Errors: ENOENT, EPERM.
Result<UniqueFd> open_file(const UniqueFd& layout, const std::string& path,
                           std::uint64_t& size_bytes) {
  open_how how{};
  how.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, layout.get(), path.c_str(), &how, sizeof how)));
  if (!fd && errno == ENOENT) return without(path);
  if (!fd) return fail_errno("open", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("stat", path);
  if (!S_ISREG(info.st_mode)) return fail(EPERM, "the layout's " + path + " is no file");
  size_bytes = static_cast<std::uint64_t>(info.st_size);
  return fd;
}

Result<std::string> read_document(const UniqueFd& layout, const std::string& path) {
  std::uint64_t size_bytes = 0;
  PANAL_ASSIGN(const UniqueFd fd, open_file(layout, path, size_bytes));
  if (size_bytes > oci::kMostDocument)
    return fail(EFBIG, path + " is larger than any such document");
  std::string text(size_bytes, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

/// A document that a descriptor names, of the size and digest that it says.
Result<std::string> read_blob(const UniqueFd& layout, const oci::Descriptor& descriptor) {
  const std::string path = oci::blob_path(descriptor);
  PANAL_ASSIGN(std::string text, read_document(layout, path));
  if (text.size() != descriptor.size_bytes)
    return fail(EPROTO, path + " has " + std::to_string(text.size()) + " bytes, not " +
                            std::to_string(descriptor.size_bytes));
  PANAL_ASSIGN(Hasher hasher, Hasher::start(descriptor.digest.algorithm));
  hasher.feed(text.data(), text.size());
  PANAL_ASSIGN(const Digest found, hasher.finish());
  if (found != descriptor.digest)
    return fail(EPROTO, path + " is damaged: its digest is " + found.text());
  return text;
}

/// The image's manifest, through as many indexes as it takes.
Result<oci::Manifest> find_manifest(const UniqueFd& layout, const LayoutOptions& options,
                                    oci::Descriptor& chosen) {
  PANAL_ASSIGN(const std::string top, read_document(layout, kIndexFile));
  std::string text = top;
  std::string name = kIndexFile;
  std::string reference = options.reference;
  for (int depth = 0; depth < oci::kDeepestIndex; ++depth) {
    PANAL_ASSIGN(const auto all, oci::parse_index(text, name));
    PANAL_ASSIGN(chosen, oci::choose(all, reference, options.architecture));
    name = oci::blob_path(chosen);
    PANAL_ASSIGN(text, read_blob(layout, chosen));
    if (oci::media_kind(chosen.media_type) == oci::MediaKind::kManifest)
      return oci::parse_image_manifest(text, name);
    reference.clear();  // names are given to what index.json lists
  }
  return fail(EPROTO, "the layout's indexes name one another without end");
}

Result<void> unpack_layer(const UniqueFd& layout, const oci::Descriptor& layer,
                          const Digest& content, Target& target, bool leave_out_special,
                          const std::function<void(std::uint64_t)>& progress, Budget& budget,
                          ExtractCounts& counts) {
  const std::string path = oci::blob_path(layer);
  std::uint64_t size_bytes = 0;
  PANAL_ASSIGN(const UniqueFd fd, open_file(layout, path, size_bytes));
  if (size_bytes != layer.size_bytes)
    return fail(EPROTO, path + " has " + std::to_string(size_bytes) + " bytes, not " +
                            std::to_string(layer.size_bytes));
  TarStream::Options input;
  input.fd = fd.get();
  input.hash = layer.digest.algorithm;
  input.content_hash = content.algorithm;
  input.progress = progress;
  auto stream = TarStream::open(input, budget);
  if (!stream) return prefixed(path, stream.error());
  const EntryRules rules{true, leave_out_special};
  target.begin_layer();
  if (auto done = extract_all(**stream, target, rules, budget, counts); !done)
    return prefixed("layer " + layer.digest.text().substr(0, 19), done.error());
  auto digests = (*stream)->finish();
  if (!digests) return prefixed(path, digests.error());
  if (digests->input != layer.digest)
    return fail(EPROTO, path + " is damaged: its digest is " + digests->input.text());
  if (digests->content != content)
    return fail(EPROTO, path + " is not what the image's configuration says it unpacks to (" +
                            content.text() + ")");
  return {};
}

}  // namespace

bool belongs_to_layout(const std::string& path) {
  return path == kLayoutFile || path == kIndexFile || path.substr(0, kBlobs.size()) == kBlobs;
}

Result<void> spool_entry(TarStream& stream, const TarEntry& entry, Target& layout, Budget& budget) {
  PANAL_ASSIGN(const std::string path, entry_path(entry.name));
  if (!belongs_to_layout(path) || entry.type == EntryType::kDirectory) return {};
  if (entry.type != EntryType::kFile)
    return fail(EPERM, shown(entry.name) + " is no plain file, as all of a layout are");
  PANAL_TRY(budget.take_file(entry.size_bytes, shown(entry.name)));
  PANAL_ASSIGN(const UniqueFd file, layout.make_file(path));
  return extract_bytes(stream, entry, file);
}

Result<LayoutFacts> unpack_layout(const UniqueFd& layout, Target& target,
                                  const LayoutOptions& options, Budget& budget,
                                  ExtractCounts& counts) {
  PANAL_ASSIGN(const std::string version, read_document(layout, kLayoutFile));
  PANAL_TRY(oci::check_layout(version, kLayoutFile));
  oci::Descriptor chosen;
  PANAL_ASSIGN(const oci::Manifest manifest, find_manifest(layout, options, chosen));
  PANAL_ASSIGN(const std::string text, read_blob(layout, manifest.config));
  const std::string name = oci::blob_path(manifest.config);
  PANAL_ASSIGN(const oci::Config config, oci::parse_config(text, name));
  if (config.os != "linux" || config.architecture != options.architecture)
    return fail(EPROTO, name + ": the image is for " + printable(config.os, 40) + "/" +
                            printable(config.architecture, 40) + ", this node is linux/" +
                            options.architecture);
  if (config.layer_contents.size() != manifest.layers.size())
    return fail(EPROTO, name + ": it names " + std::to_string(config.layer_contents.size()) +
                            " layers, the manifest " + std::to_string(manifest.layers.size()));
  double whole = 1;
  for (const auto& layer : manifest.layers) whole += static_cast<double>(layer.size_bytes);
  double before = 0;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const auto progress = [&](std::uint64_t bytes) {
      if (options.progress)
        options.progress((before + static_cast<double>(bytes)) / whole,
                         "unpacking layer " + std::to_string(i + 1) + " of " +
                             std::to_string(manifest.layers.size()));
    };
    progress(0);
    PANAL_TRY(unpack_layer(layout, manifest.layers[i], config.layer_contents[i], target,
                           options.leave_out_special, progress, budget, counts));
    before += static_cast<double>(manifest.layers[i].size_bytes);
  }
  LayoutFacts facts;
  PANAL_ASSIGN(Hasher hasher, Hasher::start("sha256"));
  const std::string identity = chosen.digest.text();
  hasher.feed(identity.data(), identity.size());
  PANAL_ASSIGN(const Digest digest, hasher.finish());
  facts.digest = chosen.digest.algorithm == "sha256" ? chosen.digest.hex : digest.hex;
  facts.session = config.entrypoint;
  facts.session.insert(facts.session.end(), config.command.begin(), config.command.end());
  return facts;
}

}  // namespace panal::storage::unpack
