/// What a stranger's archive says: names, OCI documents, the tarball itself, and what the program
/// that unpacks it (and may have been taken over by it) tells the one that started it. The first
/// byte says which it is.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "engine/base/unique_fd.h"
#include "storage/unpack/oci.h"
#include "storage/unpack/report.h"
#include "storage/unpack/tar_stream.h"
#include "tests/fuzz/texts.h"

namespace {

using namespace panal::storage::unpack;
using panal::fuzz::require;

void check_path(const std::string& path) {
  require(path.empty() || path.front() != '/');
  require(path.size() <= kLongestPath && path.find('\0') == std::string::npos);
  const std::string all = "/" + path + "/";
  require(path.empty() || all.find("//") == std::string::npos);
  require(all.find("/../") == std::string::npos && all.find("/./") == std::string::npos);
  require(entry_path(path) && *entry_path(path) == path);
}

void check_verdict(const TarEntry& entry) {
  for (const bool layer : {false, true}) {
    for (const bool leave_out : {false, true}) {
      const auto verdict = judge(entry, {layer, leave_out});
      if (!verdict) {
        require(verdict.error().context.find('\n') == std::string::npos);
        require(verdict.error().context.size() < 2000);
        continue;
      }
      check_path(verdict->path);
      check_path(verdict->link_path);
      if (verdict->action != Action::kTake) continue;
      require(!verdict->path.empty());
      require(entry.type == EntryType::kFile || entry.type == EntryType::kDirectory ||
              entry.type == EntryType::kSymlink || entry.type == EntryType::kHardLink);
    }
  }
}

void read_tar(const std::string& bytes) {
  const panal::UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  require(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
          ::lseek(fd.get(), 0, SEEK_SET) == 0);
  Budget budget(std::uint64_t{1} << 20, 200);
  TarStream::Options options;
  options.fd = fd.get();
  options.content_hash = "sha256";
  auto stream = TarStream::open(options, budget);
  if (!stream) return;
  std::uint64_t taken = 0;
  for (;;) {
    const auto entry = (*stream)->next();
    if (!entry) return;
    if (!*entry) break;
    require((*entry)->mode <= 07777U);
    check_verdict(**entry);
    for (;;) {
      const auto block = (*stream)->block();
      if (!block) return;
      if (!*block) break;
      taken += (*block)->size;
      require(taken <= std::uint64_t{1} << 20);
    }
  }
  if (const auto digests = (*stream)->finish())
    require(digests->input.hex.size() == 64 && digests->content->hex.size() == 64);
}

void read_name(const std::string& text) {
  const auto [name, target] = panal::fuzz::halves(text);
  if (const auto path = entry_path(name)) {
    check_path(*path);
    (void)leads_out(*path, target);
  }
  for (const auto type : {EntryType::kFile, EntryType::kDirectory, EntryType::kSymlink,
                          EntryType::kHardLink, EntryType::kFifo}) {
    TarEntry entry;
    entry.name = std::string(name);
    entry.type = type;
    entry.target = std::string(target);
    check_verdict(entry);
  }
}

void check_blob(const oci::Descriptor& descriptor) {
  const std::string path = oci::blob_path(descriptor);
  require(path.substr(0, 9) == "blobs/sha" && path.find("..") == std::string::npos);
}

void read_report(const std::string& text) {
  const auto line = parse_report(text);
  if (!line) return;
  std::string again = print_report(*line);
  require(!again.empty() && again.find('\n') == again.size() - 1);
  again.pop_back();
  const auto back = parse_report(again);
  require(back.has_value() && back->kind == line->kind && back->code == line->code &&
          back->permille == line->permille && back->summary.session == line->summary.session);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return -1;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0]) {
    case 'l': (void)oci::check_layout(text, "fuzz"); break;
    case 'i':
      if (const auto all = oci::parse_index(text, "fuzz")) {
        for (const auto& one : *all) check_blob(one);
        if (const auto chosen = oci::choose(*all, "", "amd64")) check_blob(*chosen);
      }
      break;
    case 'm':
      if (const auto manifest = oci::parse_image_manifest(text, "fuzz")) {
        check_blob(manifest->config);
        require(!manifest->layers.empty() && manifest->layers.size() <= oci::kMostLayers);
        for (const auto& layer : manifest->layers) check_blob(layer);
      }
      break;
    case 'c':
      if (const auto config = oci::parse_config(text, "fuzz"))
        for (const auto* words : {&config->entrypoint, &config->command})
          for (const auto& word : *words) require(word.find('\0') == std::string::npos);
      break;
    case 'n': read_name(text); break;
    case 'r': read_report(text); break;
    case 't': read_tar(text); break;
    default: return -1;
  }
  return 0;
}
