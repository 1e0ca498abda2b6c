#include "bench/faults/home_steps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/tree.h"
#include "storage/backup/backup.h"
#include "storage/compose/btrfs/pool.h"
#include "storage/quota/loop_mount.h"

namespace panal::bench {
namespace {

namespace backup = storage::backup;
using storage::HomeOwner;
using storage::HomeSpec;
using storage::HomeStore;

constexpr const char* kTenant = "t";
constexpr std::uint64_t kHomeInodes = 64;
constexpr int kContentFiles = 6;
constexpr std::size_t kContentBytes = 20'000;  ///< of each

/// As an operator's command: its process says whether it still has the home.
HomeOwner by(const std::string& what) { return {fmt::format("{}-{}", what, ::getpid()), {}}; }

/// The homes below a directory; what is made is a file system in a file.
HomeStore homes_in(const std::string& dir) {
  storage::HomeRules rules;
  rules.quota = storage::QuotaKind::kLoop;
  rules.limit = {storage::loop_file::kLeastBytes, kHomeInodes};
  return HomeStore(dir, rules);
}

/// As the product sees it: of one in a file the file alone is enough.
bool is_there(const std::string& dir, const std::string& home) {
  const auto names = homes_in(dir).homes_of(kTenant);
  return !names || std::find(names->begin(), names->end(), home) != names->end();
}

/// Of all that a home holds (or a snapshot of it, `snapshot` not empty), as a backup reckons it.
Result<std::string> sum_of_home(const std::string& dir, const std::string& home,
                                const std::string& snapshot = {}) {
  const UniqueFd nowhere(::open(kernel_paths::kDevNull, O_WRONLY | O_CLOEXEC));
  if (!nowhere) return fail_errno("open", kernel_paths::kDevNull);
  HomeStore homes = homes_in(dir);
  backup::Report report;
  PANAL_TRY(homes.with_tree(kTenant, home, snapshot, by("look"), [&](int tree) -> Result<void> {
    PANAL_ASSIGN(report, backup::write(tree, {kTenant, home}, nowhere.get(), {}));
    return {};
  }));
  return report.sum;
}

Result<std::string> letter_in(const std::string& dir, const std::string& home) {
  HomeStore homes = homes_in(dir);
  std::string text(256, '\0');
  PANAL_TRY(homes.with_tree(kTenant, home, "", by("look"), [&](int tree) -> Result<void> {
    const UniqueFd fd(::openat(tree, "letter", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno("open letter of home", home);
    const ssize_t got = ::read(fd.get(), text.data(), text.size());
    if (got < 0) return fail_errno("read letter of home", home);
    text.resize(static_cast<std::size_t>(got));
    return {};
  }));
  return text;
}

/// What a home can be made to hold: a backup that lies beside the disk, and its sum.
struct Content {
  std::string stream;
  std::string sum;
};

Result<Content> make_content(const FaultNode& node, const std::string& name) {
  const std::string tree = node.dir() + "/content-" + name;
  PANAL_TRY(make_directories(tree + "/papers"));
  PANAL_TRY(write_text(tree + "/letter", FaultNode::kKept + name));
  for (int file = 0; file < kContentFiles; ++file)
    PANAL_TRY(write_text(fmt::format("{}/papers/{}", tree, file),
                         name + std::string(kContentBytes, static_cast<char>('a' + file))));
  for (const std::string& path : {tree + "/letter", tree + "/papers", tree})
    if (::chown(path.c_str(), kUser, kUser) != 0) return fail_errno("chown", path);
  if (::chmod(tree.c_str(), 0700) != 0) return fail_errno("chmod", tree);
  Content made;
  made.stream = tree + ".tar.zst";
  const UniqueFd from(::open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd to(::open(made.stream.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!from || !to) return fail_errno("open", tree);
  PANAL_ASSIGN(const backup::Report report,
               backup::write(from.get(), {kTenant, name}, to.get(), {}));
  made.sum = report.sum;
  return made;
}

/// The home holds that afterwards, whatever it was.
Result<void> restore(const std::string& dir, const std::string& home, const std::string& stream) {
  const UniqueFd in(::open(stream.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail_errno("open", stream);
  HomeStore homes = homes_in(dir);
  return homes.put(kTenant, home, true, by("restore"), [&](int tree) -> Result<void> {
    PANAL_TRY(backup::read(in.get(), tree, {}, {}));
    return {};
  });
}

/// Such that no power failure takes it.
Result<void> restore_for_good(const std::string& dir, const std::string& home,
                              const Content& content) {
  PANAL_TRY(restore(dir, home, content.stream));
  return sync_file_system(dir);
}

Result<void> remove_home(const std::string& dir, const std::string& home) {
  HomeStore homes = homes_in(dir);
  auto removed = homes.remove(kTenant, home);
  if (!removed && !removed.error().is_gone()) return removed;
  return {};
}

/// Empty where the home holds one of these.
std::vector<std::string> holds_none_of(const std::string& dir, const std::string& home,
                                       const std::vector<std::string>& sums) {
  const auto now = sum_of_home(dir, home);
  if (!now) return {"home " + home + " cannot be read: " + now.error().message()};
  for (const auto& sum : sums)
    if (*now == sum) return {};
  return {"home " + home + " does not hold what it held"};
}

FaultStep home_step(const std::string& dir, const std::string& name, const std::string& home) {
  FaultStep step;
  step.name = "home-loop-" + name;
  step.leaves = [] { return std::map<std::string, std::string>(); };
  // Of a file system in a file a full disk makes a broken one, until there is room again.
  step.excuses = {EIO, EROFS};
  step.tidy = [dir, home] { return remove_home(dir, home); };
  return step;
}

/// A desktop's first start, and its user's first file.
FaultStep make_step(FaultNode& node) {
  const std::string dir = node.homes_dir();
  const std::string home = node.passing_home().home;
  FaultStep step = home_step(dir, "make", home);
  step.percent = 50;
  step.prepare = [&node](unsigned) { return make_directories(node.passing_home().mount_point); };
  step.run = [&node, dir] {
    return code_of([&]() -> Result<void> {
      HomeStore homes = homes_in(dir);
      const HomeSpec spec = node.passing_home();
      PANAL_TRY(homes.attach(spec));
      auto written =
          write_inside(spec.mount_point, "letter", spec.ids.first + kUser, FaultNode::kKept);
      // Who syncs is told what the disk says; who does not is not.
      if (written) written = sync_file_system(spec.mount_point);
      PANAL_TRY(homes.detach(spec));
      return written;
    }());
  };
  step.check = [dir, home]() -> std::vector<std::string> {
    if (!is_there(dir, home)) return {};
    const auto sum = sum_of_home(dir, home);
    if (!sum) return {"the home that was made cannot be read: " + sum.error().message()};
    const auto info = homes_in(dir).info(kTenant, home, false);
    if (!info) return {"look at the home that was made: " + info.error().message()};
    if (info->quota == storage::QuotaKind::kLoop) return {};
    return {"the home that was made has no limit"};
  };
  step.done = [dir, home]() -> std::string {
    const auto letter = letter_in(dir, home);
    if (!letter) return letter.error().message();
    return *letter == FaultNode::kKept ? "" : "the new home does not hold its user's file";
  };
  return step;
}

FaultStep remove_step(FaultNode& node) {
  const std::string dir = node.homes_dir();
  const std::string home = "goes";
  const auto content = std::make_shared<Content>();
  FaultStep step = home_step(dir, "remove", home);
  step.percent = 25;
  step.lasts = false;
  step.prepare = [&node, dir, home, content](unsigned) -> Result<void> {
    if (content->sum.empty()) {
      PANAL_ASSIGN(*content, make_content(node, home));
    }
    return restore_for_good(dir, home, *content);
  };
  step.run = [dir, home] {
    HomeStore homes = homes_in(dir);
    return code_of(homes.remove(kTenant, home));
  };
  step.check = [dir, home, content]() -> std::vector<std::string> {
    // It is there whole, or not at all: half of one would be taken for an empty home.
    if (!is_there(dir, home)) return {};
    return holds_none_of(dir, home, {content->sum});
  };
  step.done = [dir, home] { return is_there(dir, home) ? "the home is still there" : ""; };
  return step;
}

/// What `panal home backup` has of storage; the file is the operator's.
FaultStep backup_step(FaultNode& node) {
  const std::string dir = node.homes_dir();
  const std::string home = "kept";
  const std::string place = node.disk().path();
  const std::string file = place + "/backup.tar.zst";
  const auto content = std::make_shared<Content>();
  FaultStep step = home_step(dir, "backup", home);
  step.percent = 25;
  step.prepare = [&node, dir, home, content](unsigned) -> Result<void> {
    if (content->sum.empty()) {
      PANAL_ASSIGN(*content, make_content(node, home));
    }
    return restore_for_good(dir, home, *content);
  };
  step.run = [dir, home, place, file] {
    return code_of([&]() -> Result<void> {
      const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
      if (!out) return fail_errno("create", file);
      HomeStore homes = homes_in(dir);
      const auto write = [&](int tree) -> Result<void> {
        PANAL_TRY(backup::write(tree, {kTenant, home}, out.get(), {}));
        return {};
      };
      PANAL_TRY(homes.with_tree(kTenant, home, "", by("backup"), write));
      if (::fsync(out.get()) != 0) return fail_errno("fsync", file);
      const UniqueFd names(::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!names || ::fsync(names.get()) != 0) return fail_errno("fsync", place);
      return {};
    }());
  };
  step.check = [dir, home, content] { return holds_none_of(dir, home, {content->sum}); };
  step.done = [file, content]() -> std::string {
    const UniqueFd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!in) return "there is no backup";
    const auto report = backup::read(in.get(), -1, {}, {});
    if (!report) return report.error().message();
    return report->sum == content->sum ? "" : "the backup is of something else";
  };
  step.tidy = [dir, home, file]() -> Result<void> {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("delete", file);
    return remove_home(dir, home);
  };
  return step;
}

/// Over a home that is there.
FaultStep restore_step(FaultNode& node) {
  const std::string dir = node.homes_dir();
  const std::string home = "back";
  const auto former = std::make_shared<Content>();
  const auto latter = std::make_shared<Content>();
  FaultStep step = home_step(dir, "restore", home);
  step.percent = 50;
  step.prepare = [&node, dir, home, former, latter](unsigned) -> Result<void> {
    if (former->sum.empty()) {
      PANAL_ASSIGN(*former, make_content(node, "former"));
      PANAL_ASSIGN(*latter, make_content(node, "latter"));
    }
    return restore_for_good(dir, home, *former);
  };
  step.run = [dir, home, latter] { return code_of(restore(dir, home, latter->stream)); };
  step.check = [dir, home, former, latter] {
    return holds_none_of(dir, home, {former->sum, latter->sum});
  };
  step.done = [dir, home, latter]() -> std::string {
    const auto found = holds_none_of(dir, home, {latter->sum});
    return found.empty() ? "" : found.front();
  };
  return step;
}

/// Names that a home which is gone has left.
std::vector<std::string> left_in(const std::string& dir) {
  const auto tenant = Dir::open(dir + "/" + kTenant);
  const auto names = tenant ? tenant->list() : tl::make_unexpected(tenant.error());
  if (!names) return {names.error().message()};
  return *names;
}

}  // namespace

FaultStep snapshot_step(FaultNode& node) {
  const std::string dir = node.pool() + "/homes";
  const std::string home = "shot";
  const std::string name = "monday";
  const auto content = std::make_shared<Content>();
  FaultStep step = home_step(dir, "snapshot", home);
  step.percent = 50;
  step.kinds = {"kill"};
  step.why_not = node.why_not("btrfs");
  step.prepare = [&node, dir, home, content](unsigned) -> Result<void> {
    PANAL_TRY(storage::open_pool(node.compose_options().btrfs));
    if (content->sum.empty()) {
      PANAL_ASSIGN(*content, make_content(node, home));
    }
    return restore_for_good(dir, home, *content);
  };
  step.run = [dir, home, name] {
    HomeStore homes = homes_in(dir);
    return code_of(homes.snapshot(kTenant, home, name, by("snapshot")));
  };
  step.check = [dir, home, content]() -> std::vector<std::string> {
    HomeStore homes = homes_in(dir);
    if (const auto recovered = homes.recover({}); !recovered)
      return {"recover homes: " + recovered.error().message()};
    return holds_none_of(dir, home, {content->sum});
  };
  step.done = [dir, home, name, content]() -> std::string {
    const auto sum = sum_of_home(dir, home, name);
    if (!sum) return sum.error().message();
    return *sum == content->sum ? "" : "the snapshot is of something else";
  };
  // Nothing that a snapshot left keeps the home from being deleted, or stays when it is.
  step.tidy = [dir, home]() -> Result<void> {
    PANAL_TRY(remove_home(dir, home));
    const auto left = left_in(dir);
    return left.empty() ? Result<void>() : fail(EEXIST, "a removed home left " + left.front());
  };
  return step;
}

void add_home_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(make_step(node));
  steps.push_back(remove_step(node));
  steps.push_back(backup_step(node));
  steps.push_back(restore_step(node));
}

}  // namespace panal::bench
