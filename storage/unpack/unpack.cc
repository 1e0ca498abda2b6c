#include "storage/unpack/unpack.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <locale.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "engine/base/log.h"
#include "storage/unpack/extract.h"
#include "storage/unpack/finish.h"
#include "storage/unpack/layout.h"
#include "storage/unpack/python_cache.h"

namespace panal::storage::unpack {
namespace {

/// liblzma may take 1 GiB for a dictionary (libarchive's limit), names of 4 million entries as
/// much again.
constexpr rlim_t kMostMemory = rlim_t{4} << 30;

/// Of the whole: copying a layout out of its tarball, and all until the tree is looked at.
constexpr double kSpoolPart = 0.25;
constexpr double kUnpackPart = 0.95;

using Report = std::function<void(const ReportLine&)>;

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  return fd;
}

/// The first entry that is not the top itself; what is inside decides what kind of tarball it is.
Result<std::optional<TarEntry>> first_entry(TarStream& stream) {
  for (;;) {
    PANAL_ASSIGN(auto entry, stream.next());
    if (!entry) return entry;
    PANAL_ASSIGN(const std::string path, entry_path(entry->name));
    if (!path.empty()) return entry;
  }
}

Result<void> spool_layout(TarStream& stream, std::optional<TarEntry> entry,
                          const std::string& layout_dir, Budget& budget) {
  PANAL_ASSIGN(UniqueFd directory, open_directory(layout_dir));
  Target layout(std::move(directory), false);
  while (entry) {
    PANAL_TRY(spool_entry(stream, *entry, layout, budget));
    PANAL_ASSIGN(entry, stream.next());
  }
  return {};
}

Result<void> finish_tree(const UnpackOptions& options, Target& target, Summary& summary) {
  PANAL_ASSIGN(summary.inner_root, find_root(options.tree_dir));
  const bool inner = !summary.inner_root.empty();
  if (inner && summary.oci) return fail(EPROTO, "the OCI image has no root file system at its top");
  const std::string root = options.tree_dir + (inner ? "/" + summary.inner_root : "");
  PANAL_TRY(check_links(root));
  PANAL_TRY(pin_python_caches(root));
  PANAL_ASSIGN(UniqueFd directory, open_directory(root));
  Target desktop(std::move(directory), false);
  PANAL_TRY(make_desktop_root(desktop));
  return target.set_directory_times();
}

/// Nothing of the host is in reach from here on, and of root's powers only those are left that
/// unpacking takes. No new program could get any back.
Result<void> confine() {
  const rlimit memory{kMostMemory, kMostMemory};
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_AS, &memory) != 0 || ::setrlimit(RLIMIT_CORE, &none) != 0)
    return fail_errno("limit the memory of panal-unpack");
  if (::chroot(kBuildDir) != 0 || ::chdir("/") != 0) return fail_errno("chroot", kBuildDir);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  sets[0].effective = sets[0].permitted =
      1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER | 1U << CAP_FSETID;
  if (::syscall(SYS_capset, &header, sets) != 0) return fail_errno("drop capabilities");
  return {};
}

void say(const ReportLine& line) {
  const std::string text = print_report(line);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    done += static_cast<std::size_t>(put);
  }
}

Result<Summary> run(const std::vector<std::string>& words) {
  PANAL_ASSIGN(UnpackOptions options, parse_options(words));
  // libarchive converts names to the locale's character set: UTF-8 stays as it is.
  if (::setlocale(LC_ALL, "C.UTF-8") == nullptr)
    return fail(ENOENT, "the locale C.UTF-8 is missing on this host");
  PANAL_TRY(Hasher::start("sha256"));  // while OpenSSL's configuration is in reach
  PANAL_TRY(confine());
  options.tree_dir = std::string("/") + kTreeDir;
  options.layout_dir = std::string("/") + kLayoutDir;
  options.input = STDIN_FILENO;
  return unpack(options, say);
}

}  // namespace

Result<Summary> unpack(const UnpackOptions& options, const Report& report) {
  const auto progress = [&report](double fraction, const std::string& what) {
    ReportLine line;
    line.permille = static_cast<unsigned>(std::min(std::max(fraction, 0.0), 1.0) * 1000);
    line.words = what;
    if (report) report(line);
  };
  Summary summary;
  TarStream::Options input;
  input.fd = options.input;
  input.progress = [&](std::uint64_t bytes) {
    if (options.input_bytes == 0) return;
    const double part = static_cast<double>(bytes) / static_cast<double>(options.input_bytes);
    if (summary.oci) return progress(part * kSpoolPart, "reading the layout");
    progress(part * kUnpackPart, "unpacking");
  };
  Budget budget(options.limit_bytes, options.limit_entries);
  PANAL_ASSIGN(const auto stream, TarStream::open(input, budget));
  PANAL_ASSIGN(auto first, first_entry(*stream));
  if (!first) return fail(EPROTO, "has no files in it");

  PANAL_ASSIGN(const std::string first_path, entry_path(first->name));
  summary.oci = options.kind == SourceKind::kOci ||
                (options.kind == SourceKind::kAuto &&
                 (belongs_to_layout(first_path) || first_path == "blobs"));
  PANAL_ASSIGN(UniqueFd directory, open_directory(options.tree_dir));
  Target target(std::move(directory), summary.oci);
  ExtractCounts counts;
  if (summary.oci) {
    PANAL_TRY(spool_layout(*stream, std::move(first), options.layout_dir, budget));
    PANAL_TRY(stream->finish());
    PANAL_ASSIGN(const UniqueFd layout, open_directory(options.layout_dir));
    // What was copied out of the tarball does not count against what is unpacked from it.
    Budget layers(options.limit_bytes, options.limit_entries);
    const LayoutOptions how{options.reference, oci::host_architecture(), options.leave_out_special,
                            [&progress](double fraction, const std::string& what) {
                              progress(kSpoolPart + (kUnpackPart - kSpoolPart) * fraction, what);
                            }};
    PANAL_ASSIGN(LayoutFacts facts, unpack_layout(layout, target, how, layers, counts));
    summary.digest = std::move(facts.digest);
    summary.session = std::move(facts.session);
  } else {
    const EntryRules rules{false, options.leave_out_special};
    PANAL_TRY(extract_entry(*stream, *first, target, rules, budget, counts));
    PANAL_TRY(extract_all(*stream, target, rules, budget, counts));
    PANAL_ASSIGN(const TarStream::Digests digests, stream->finish());
    summary.digest = digests.input.hex;
  }
  progress(kUnpackPart, "checking the tree");
  PANAL_TRY(finish_tree(options, target, summary));
  summary.entries = counts.entries;
  summary.left_out = counts.left_out;
  return summary;
}

int unpack_main(const std::vector<std::string>& words) {
  auto summary = run(words);
  ReportLine line;
  if (summary) {
    line.kind = ReportLine::Kind::kDone;
    line.summary = std::move(*summary);
    say(line);
    return 0;
  }
  line.kind = ReportLine::Kind::kError;
  line.code = summary.error().code;
  line.words = summary.error().context;
  say(line);
  return 1;
}

}  // namespace panal::storage::unpack
