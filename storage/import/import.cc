#include "storage/import/import.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "engine/base/mount.h"
#include "engine/base/subid.h"
#include "engine/base/user_namespace.h"
#include "storage/import/feeder.h"
#include "storage/import/source.h"
#include "storage/recipe/build_process.h"
#include "storage/recipe/finalise.h"
#include "storage/unpack/unpack.h"

namespace panal::storage {
namespace {

constexpr std::uint32_t kImportIds = 65536;
constexpr int kCancelMilliseconds = 300;
constexpr std::size_t kMostOutput = std::size_t{64} << 20;
/// Of the whole, by when all is unpacked, and by when the commit begins.
constexpr double kUnpacked = 0.75;
constexpr double kChecked = 0.78;
/// Set-id bits can be set on such a mount, they only do nothing there.
constexpr std::uint64_t kInert = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;

constexpr std::pair<const char*, ImportKind> kKindWords[] = {{"auto", ImportKind::kAuto},
                                                             {"tar", ImportKind::kTar},
                                                             {"directory", ImportKind::kDirectory},
                                                             {"oci", ImportKind::kOci}};

Result<void> check_spec(const ImportSpec& spec) {
  if (!is_plain_name(spec.image))
    return fail(EINVAL, "\"" + printable(spec.image, 150) +
                            "\" is no image name: letters, digits, '.', '_' and '-'");
  if (spec.unpacker.empty() || spec.unpacker.front() != '/')
    return fail(EINVAL, "the path of panal-unpack is not known");
  if (::access(spec.unpacker.c_str(), X_OK) != 0) return fail_errno("start", spec.unpacker);
  if (spec.limits.bytes == 0 || spec.limits.entries == 0)
    return fail(EINVAL, "an import with a limit of nothing");
  for (const auto& word : spec.session)
    if (word.find('\0') != std::string::npos)
      return fail(EINVAL, "the session command has a zero byte in it");
  return {};
}

Failure session_missing(const ImportSpec& spec) {
  return fail(EINVAL, spec.source +
                          " does not say what a desktop's session starts: give the "
                          "command (--session)");
}

Result<void> make_private_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return fail_errno("make directory", path);
  return {};
}

Result<UniqueFd> idmapped_tree(const std::string& path, std::uint64_t attributes,
                               int user_namespace) {
  PANAL_ASSIGN(UniqueFd tree, mount::clone_tree(path));
  PANAL_TRY(mount::set_attributes(tree.get(), attributes, user_namespace));
  return tree;
}

/// What panal-unpack says, line by line.
class Conversation {
 public:
  explicit Conversation(const ImportProgress& progress) : progress_(progress) {}

  /// Errors: EPROTO for more than it has to say.
  Result<void> take(std::string_view bytes) {
    total_ += bytes.size();
    if (total_ > kMostOutput) return fail(EPROTO, "panal-unpack does not stop talking");
    for (const char c : bytes) {
      if (c != '\n') {
        if (partial_.size() >= unpack::kLongestReport)
          return fail(EPROTO, "panal-unpack does not end its line");
        partial_.push_back(c);
        continue;
      }
      line();
      partial_.clear();
    }
    return {};
  }

  /// After its end.
  Result<unpack::Summary> result(int status) {
    if (!partial_.empty()) line();
    if (error_) return tl::make_unexpected(*error_);
    if (status == 0 && summary_) return *summary_;
    const std::string end = status > 128 ? "was ended by signal " + std::to_string(status - 128)
                                         : "ended with status " + std::to_string(status);
    return fail(EPROTO, "panal-unpack " + end +
                            (evidence_.empty() ? std::string() : "; it said: " + evidence_));
  }

 private:
  void line() {
    auto report = unpack::parse_report(partial_);
    if (!report) {
      if (evidence_.size() < 1000)
        evidence_ += (evidence_.empty() ? "" : " | ") + printable(partial_, 300);
      return;
    }
    switch (report->kind) {
      case unpack::ReportLine::Kind::kProgress:
        if (progress_) progress_(report->permille / 1000.0 * kUnpacked, report->words);
        return;
      case unpack::ReportLine::Kind::kError:
        if (!error_) error_ = Error{report->code, report->words};
        return;
      case unpack::ReportLine::Kind::kDone: summary_ = std::move(report->summary); return;
    }
  }

  const ImportProgress& progress_;
  std::size_t total_ = 0;
  std::string partial_;
  std::string evidence_;
  std::optional<Error> error_;
  std::optional<unpack::Summary> summary_;
};

bool is_cancelled(const std::atomic<bool>* cancelled) {
  return cancelled != nullptr && cancelled->load();
}

Result<unpack::Summary> talk_to(BuildProcess& process, const ImportProgress& progress,
                                const std::atomic<bool>* cancelled) {
  Conversation conversation(progress);
  char buffer[16384];
  for (;;) {
    if (is_cancelled(cancelled)) return fail(ECANCELED, "the import was cancelled");
    pollfd waiting{process.output(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, kCancelMilliseconds);
    if (ready < 0 && errno != EINTR) return fail_errno("poll panal-unpack");
    if (ready <= 0) continue;
    const ssize_t got = ::read(process.output(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read what panal-unpack says");
    if (got == 0) break;
    PANAL_TRY(conversation.take(std::string_view(buffer, static_cast<std::size_t>(got))));
  }
  PANAL_ASSIGN(const int status, process.wait());
  return conversation.result(status);
}

Result<unpack::Summary> unpack_into(const std::string& staging, const ImportSpec& spec,
                                    ImportSource& source, const ImportProgress& progress,
                                    const std::atomic<bool>* cancelled) {
  PANAL_ASSIGN(const SubidLine ids, ensure_subid_lines());
  if (ids.count < kImportIds)
    return fail(ENOSPC, "root has fewer than 65536 ids in /etc/subuid; an import needs that many");
  PANAL_ASSIGN(const UserNamespace names,
               UserNamespace::create(ids.first + ids.count - kImportIds, kImportIds));
  const std::string tree_dir = staging + "/root";
  const std::string layout_dir = staging + "/layout";
  PANAL_TRY(make_private_directory(tree_dir));
  PANAL_TRY(make_private_directory(layout_dir));
  const auto slash = spec.unpacker.rfind('/');
  const std::string program_dir = slash == 0 ? "/" : spec.unpacker.substr(0, slash);
  PANAL_ASSIGN(const UniqueFd tree, idmapped_tree(tree_dir, kInert, names.fd()));
  PANAL_ASSIGN(const UniqueFd layout, idmapped_tree(layout_dir, kInert, names.fd()));
  // Wherever it lies: the ids of the namespace need not reach it by its path.
  PANAL_ASSIGN(
      const UniqueFd program,
      idmapped_tree(program_dir, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, -1));
  unpack::UnpackOptions options;
  options.kind = source.kind == ImportKind::kOci    ? unpack::SourceKind::kOci
                 : source.kind == ImportKind::kAuto ? unpack::SourceKind::kAuto
                                                    : unpack::SourceKind::kTar;
  options.reference = spec.reference;
  options.leave_out_special = spec.leave_out_special;
  options.limit_bytes = spec.limits.bytes;
  options.limit_entries = spec.limits.entries;
  options.input_bytes = source.bytes;

  const std::string build_dir = unpack::kBuildDir;
  BuildCommand command;
  command.argv = {build_dir + "/" + unpack::kProgramDir + spec.unpacker.substr(slash)};
  for (auto& word : unpack::print_options(options)) command.argv.push_back(std::move(word));
  command.mounts = {{tree.get(), build_dir + "/" + unpack::kTreeDir},
                    {layout.get(), build_dir + "/" + unpack::kLayoutDir},
                    {program.get(), build_dir + "/" + unpack::kProgramDir}};
  command.user_namespace = names.fd();
  command.offline = true;
  if (!source.is_directory) {
    command.input = source.file.get();
    PANAL_ASSIGN(BuildProcess process, BuildProcess::start(command));
    return talk_to(process, progress, cancelled);
  }

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  command.input = read_end.get();
  // The process goes before the feeder: that ends its writing.
  std::unique_ptr<Feeder> feeder;
  PANAL_ASSIGN(BuildProcess process, BuildProcess::start(command));
  read_end.reset();
  feeder = std::make_unique<Feeder>(spec.source, spec.leave_out_special, std::move(write_end));
  auto summary = talk_to(process, progress, cancelled);
  if (!summary) {
    if (summary.error().code == ECANCELED) return summary;
    process.kill();
  }
  auto fed = feeder->join();
  // What could not be read is why the archive ended early; EPIPE is the reader's doing.
  if (!fed && fed.error().code != EPIPE) return tl::make_unexpected(std::move(fed.error()));
  if (summary && fed) summary->left_out += *fed;
  return summary;
}

/// A QVD image: what is beside its root is thrown away.
Result<void> adopt_inner_root(const std::string& staging, const std::string& name) {
  const std::string whole = staging + "/root";
  const std::string inner = whole + "/" + name;
  struct stat info{};
  if (::lstat(inner.c_str(), &info) != 0) return fail_errno("stat", inner);
  if (!S_ISDIR(info.st_mode)) return fail(ENOTDIR, inner);
  const std::string aside = staging + "/inner";
  if (::rename(inner.c_str(), aside.c_str()) != 0) return fail_errno("rename", inner);
  PANAL_TRY(remove_tree(whole));
  if (::rename(aside.c_str(), whole.c_str()) != 0) return fail_errno("rename", aside);
  return {};
}

/// What a new version comes after; empty for the first.
Result<std::string> newest_version(const ImageStore& store, const std::string& image) {
  PANAL_ASSIGN(const auto versions, store.list_known());
  for (const auto& version : versions)
    if (version.image == image) return version.commit;
  return std::string();
}

std::string last_name(const std::string& path) {
  const auto end = path.find_last_not_of('/');
  if (end == std::string::npos) return path;
  const auto slash = path.rfind('/', end);
  return path.substr(slash == std::string::npos ? 0 : slash + 1,
                     slash == std::string::npos ? end + 1 : end - slash);
}

Result<VersionManifest> describe(const std::string& staging, const ImportSpec& spec,
                                 const unpack::Summary& summary) {
  PANAL_ASSIGN(TreeFacts facts, finalise_tree(staging + "/root", PackageList::kOptional));
  VersionManifest manifest;
  manifest.image = spec.image;
  manifest.message = spec.message;
  if (manifest.message.empty())
    manifest.message = "imported from " + printable(last_name(spec.source), 200) + ", SHA-256 " +
                       (summary.oci ? "of its manifest " : "") + summary.digest;
  manifest.author = spec.author;
  manifest.parent = spec.parent;
  manifest.size_bytes = facts.size_bytes;
  manifest.session = spec.session.empty() ? summary.session : spec.session;
  manifest.browser_sandbox = spec.browser_sandbox;
  manifest.packages = std::move(facts.packages);
  if (manifest.session.empty()) return session_missing(spec);
  return manifest;
}

Result<VersionManifest> import_checked(const ImportSpec& spec, ImageStore& store,
                                       const ImportProgress& progress,
                                       const std::atomic<bool>* cancelled) {
  PANAL_ASSIGN(ImportSource source, open_source(spec));
  const bool says_session = source.kind == ImportKind::kOci || source.kind == ImportKind::kAuto;
  if (spec.session.empty() && !says_session) return session_missing(spec);
  PANAL_TRY(store.collect_staging());
  PANAL_ASSIGN(const std::string staging, store.new_staging(spec.image));
  Cleanup undo([&store, staging] { (void)store.discard_staging(staging); });
  if (progress) progress(0, "unpacking");
  PANAL_ASSIGN(const unpack::Summary summary,
               unpack_into(staging, spec, source, progress, cancelled));
  PANAL_TRY(remove_tree(staging + "/layout"));
  if (!summary.inner_root.empty()) PANAL_TRY(adopt_inner_root(staging, summary.inner_root));
  if (progress) progress(kUnpacked, "checking the tree");
  PANAL_ASSIGN(VersionManifest manifest, describe(staging, spec, summary));
  if (manifest.parent.empty()) {
    PANAL_ASSIGN(manifest.parent, newest_version(store, spec.image));
  }
  Work work;
  work.cancelled = cancelled;
  if (progress)
    work.progress = [&progress](double fraction, const std::string& what) {
      progress(kChecked + (1 - kChecked) * fraction, what);
    };
  PANAL_ASSIGN(VersionManifest committed, store.commit(staging, std::move(manifest), false, work));
  undo.release();
  if (progress)
    progress(1, summary.left_out == 0
                    ? "done"
                    : "done; " + std::to_string(summary.left_out) + " special entries left out");
  return committed;
}

}  // namespace

Result<ImportKind> parse_import_kind(const std::string& word) {
  std::string all;
  for (const auto& [name, kind] : kKindWords) {
    if (word == name) return kind;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  return fail(EINVAL, "\"" + printable(word, 60) + "\" is no kind of source; there are " + all);
}

Result<VersionManifest> import_image(const ImportSpec& spec, ImageStore& store,
                                     const ImportProgress& progress,
                                     const std::atomic<bool>* cancelled) {
  PANAL_TRY(check_spec(spec));
  auto done = import_checked(spec, store, progress, cancelled);
  if (!done) return prefixed("import image " + spec.image + " from " + spec.source, done.error());
  return done;
}

}  // namespace panal::storage
