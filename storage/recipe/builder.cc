#include "storage/recipe/builder.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>

#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/log.h"
#include "engine/base/mount.h"
#include "engine/base/subid.h"
#include "engine/base/user_namespace.h"
#include "storage/recipe/build_process.h"
#include "storage/recipe/finalise.h"
#include "storage/recipe/host_sources.h"
#include "storage/recipe/mmdebstrap.h"

namespace panal::storage {
namespace {

constexpr std::uint32_t kIds = 65536;
constexpr std::size_t kEvidenceLines = 12;
constexpr int kPollMilliseconds = 300;

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t at = 1; (at = path.find('/', at)) != std::string::npos; ++at)
    if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno("make directory", path.substr(0, at));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("make directory", path);
  return {};
}

Result<void> write_file(const std::string& path, const std::string& text, mode_t mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("create", path);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write", path);
  if (::fchmod(fd.get(), mode) != 0) return fail_errno("chmod", path);
  return {};
}

/// The recipe's files and the script, laid out for the build to read.
Result<void> write_input(const std::string& input, const Recipe& recipe) {
  const std::string files = input + "/" + mmdebstrap::kFilesDir;
  PANAL_TRY(make_directories(files, 0755));
  for (const auto& [path, text] : recipe.files) {
    PANAL_TRY(make_directories(files + path.substr(0, path.rfind('/')), 0755));
    const bool program = text.substr(0, 2) == "#!";
    PANAL_TRY(write_file(files + path, text, program ? 0755 : 0644));
  }
  return write_file(input + "/" + mmdebstrap::kScript, mmdebstrap::finalise_script(recipe), 0644);
}

/// The build's log file, its last lines for the error, and its progress.
class Output {
 public:
  Output(UniqueFd log, const BuildProgress& progress) : log_(std::move(log)), report_(progress) {}

  void take(std::string_view bytes) {
    if (log_) (void)!::write(log_.get(), bytes.data(), bytes.size());
    for (const char c : bytes) {
      if (c == '\n' || c == '\r') {
        line();
      } else if (partial_.size() < 4096) {
        partial_.push_back(c);
      }
    }
  }

  [[nodiscard]] std::string evidence() const {
    std::string all;
    for (const auto& text : last_) all += (all.empty() ? "" : " | ") + printable(text, 300);
    return all;
  }

 private:
  void line() {
    if (partial_.empty()) return;
    if (progress_.feed(partial_) && report_) report_(progress_.fraction() * 0.96, progress_.what());
    last_.push_back(std::move(partial_));
    if (last_.size() > kEvidenceLines) last_.pop_front();
    partial_.clear();
  }

  UniqueFd log_;
  const BuildProgress& report_;
  std::string partial_;
  std::deque<std::string> last_;
  mmdebstrap::Progress progress_;
};

bool is_cancelled(const BuildOptions& options) {
  return options.cancelled != nullptr && options.cancelled->load();
}

Result<void> run(const BuildCommand& command, const BuildOptions& options,
                 const BuildProgress& progress) {
  UniqueFd log;
  if (!options.log_file.empty()) {
    log =
        UniqueFd(::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!log) return fail_errno("create", options.log_file);
  }
  Output output(std::move(log), progress);
  PANAL_ASSIGN(BuildProcess process, BuildProcess::start(command));
  char buffer[16384];
  for (;;) {
    if (is_cancelled(options)) return fail(ECANCELED, "the build was cancelled");
    pollfd waiting{process.output(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, kPollMilliseconds);
    if (ready < 0 && errno != EINTR) return fail_errno("poll the build");
    if (ready <= 0) continue;
    const ssize_t got = ::read(process.output(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read the build's output");
    if (got == 0) break;
    output.take(std::string_view(buffer, static_cast<std::size_t>(got)));
  }
  PANAL_ASSIGN(const int status, process.wait());
  if (status == 0) return {};
  return fail(EPROTO, "mmdebstrap ended with status " + std::to_string(status) +
                          (options.log_file.empty() ? "" : ", all of it in " + options.log_file) +
                          "; its last lines: " + output.evidence());
}

/// One build at a time uses a cache: apt locks it anyway, and gives up instead of waiting.
Result<UniqueFd> lock_cache(const std::string& cache_dir, const BuildOptions& options,
                            const BuildProgress& progress) {
  PANAL_TRY(make_directories(cache_dir, 0755));
  UniqueFd lock(::open(cache_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return fail_errno("open", cache_dir);
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("lock", cache_dir);
    if (is_cancelled(options)) return fail(ECANCELED, "the build was cancelled");
    if (progress) progress(0, "waiting for another build");
    (void)::poll(nullptr, 0, kPollMilliseconds);
  }
  return lock;
}

Result<UniqueFd> idmapped(const std::string& path, std::uint64_t attributes, int user_namespace) {
  PANAL_ASSIGN(UniqueFd tree, mount::clone_tree(path));
  PANAL_TRY(mount::set_attributes(tree.get(), attributes, user_namespace));
  return tree;
}

Result<void> debootstrap(const Recipe& recipe, const std::string& staging,
                         const std::string& cache_dir, const BuildOptions& options,
                         const BuildProgress& progress) {
  PANAL_ASSIGN(const SubidLine ids, ensure_subid_lines());
  if (ids.count < kIds)
    return fail(ENOSPC, "root has fewer than 65536 ids in /etc/subuid; a build needs that many");
  PANAL_ASSIGN(const UserNamespace names,
               UserNamespace::create(ids.first + ids.count - kIds, kIds));

  const std::string root = staging + "/root";
  const std::string input = staging + "/input";
  PANAL_TRY(make_directories(root + "/" + mmdebstrap::kDebsDir, 0755));
  PANAL_TRY(make_directories(input, 0755));
  PANAL_TRY(write_input(input, recipe));

  PANAL_ASSIGN(const UniqueFd root_tree, idmapped(root, MOUNT_ATTR_NODEV, names.fd()));
  PANAL_ASSIGN(const UniqueFd input_tree,
               idmapped(input, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, names.fd()));
  PANAL_ASSIGN(const UniqueFd cache_tree,
               idmapped(cache_dir, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, names.fd()));
  BuildCommand command;
  mmdebstrap::Sources sources = host_sources(recipe.suite);
  if (!options.mirror.empty()) sources.mirror = options.mirror;
  if (!options.security_mirror.empty()) sources.security_mirror = options.security_mirror;
  command.argv = mmdebstrap::arguments(recipe, sources);
  command.mounts = {
      {root_tree.get(), mmdebstrap::kRootDir},
      {input_tree.get(), mmdebstrap::kInputDir},
      {cache_tree.get(), std::string(mmdebstrap::kRootDir) + "/" + mmdebstrap::kDebsDir}};
  command.user_namespace = names.fd();
  PANAL_TRY(run(command, options, progress));
  return remove_tree(input);
}

/// What a new version comes after; empty for the first.
Result<std::string> newest_commit(const ImageStore& store, const std::string& image) {
  PANAL_ASSIGN(const auto versions, store.list_known());
  for (const auto& version : versions)
    if (version.image == image) return version.commit;
  return std::string();
}

}  // namespace

Result<VersionManifest> build_image(const Recipe& recipe, ImageStore& store,
                                    const BuildOptions& options, const BuildProgress& progress) {
  const std::string wanted = digest(recipe);
  if (!options.force) {
    if (auto existing = store.find_by_digest(recipe.name, wanted)) {
      if (progress) progress(1, "already built");
      return existing;
    }
  }
  PANAL_TRY(store.collect_staging());
  PANAL_ASSIGN(const std::string staging, store.new_staging(recipe.name));
  Cleanup undo([&store, staging] { (void)store.discard_staging(staging); });

  const bool cached = !options.cache_dir.empty();
  const std::string cache_dir = cached ? options.cache_dir : staging + "/debs";
  PANAL_ASSIGN(const UniqueFd lock, lock_cache(cache_dir, options, progress));
  auto built = debootstrap(recipe, staging, cache_dir, options, progress);
  if (!built) return prefixed("build image " + recipe.name, built.error());
  if (!cached) PANAL_TRY(remove_tree(cache_dir));

  if (progress) progress(0.96, "checking the tree");
  PANAL_ASSIGN(TreeFacts facts, finalise_tree(staging + "/root"));
  VersionManifest manifest;
  manifest.image = recipe.name;
  manifest.recipe_digest = wanted;
  manifest.size_bytes = facts.size_bytes;
  manifest.session = recipe.session;
  manifest.browser_sandbox = recipe.browser_sandbox;
  manifest.packages = std::move(facts.packages);
  manifest.message = options.message;
  manifest.author = options.author;
  PANAL_ASSIGN(manifest.parent, newest_commit(store, recipe.name));
  Work work;
  work.cancelled = options.cancelled;
  if (progress)
    work.progress = [&progress](double fraction, const std::string& what) {
      progress(0.97 + 0.02 * fraction, what);
    };
  auto committed = store.commit(staging, std::move(manifest), true, work);
  if (!committed) return prefixed("commit image " + recipe.name, committed.error());
  undo.release();
  if (progress) progress(1, "done");
  return committed;
}

}  // namespace panal::storage
