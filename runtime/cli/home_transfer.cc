// `panal home backup` and `restore`.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"
#include "runtime/cli/homes.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/table.h"
#include "storage/backup/backup.h"

namespace panal::cli {
namespace {

namespace backup = storage::backup;
constexpr std::uint64_t kTellEvery = std::uint64_t{16} << 20U;

/// Renews the hold and moves the bar while bytes go by.
class Moving {
 public:
  Moving(Shell& shell, bool quiet, std::string what, std::uint64_t total)
      : what_(std::move(what)), total_(total) {
    if (!quiet) bar_.emplace(shell.out, shell.tty);
  }
  backup::Watch watch(HomeHold* hold) {
    return {[this, hold](std::uint64_t bytes) {
              if (bytes - told_ < kTellEvery && bytes >= told_) return;
              told_ = bytes;
              if (hold != nullptr) hold->renew();
              if (!bar_) return;
              const double part =
                  total_ == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(total_);
              bar_->update(part, fmt::format("{}, {}", what_, human_bytes(bytes)));
            },
            {}};
  }
  void done() {
    if (bar_) bar_->clear();
  }

 private:
  std::optional<Progress> bar_;
  std::string what_;
  std::uint64_t total_;
  std::uint64_t told_ = 0;
};

void say_report(std::ostream& out, const HomeOptions& options, const std::string& verb,
                const backup::Report& report) {
  if (options.json) {
    out << nlohmann::json({{"tenant", options.tenant},
                           {"home", options.home},
                           {"sha256", report.sum},
                           {"entries", report.entries},
                           {"bytes", report.bytes},
                           {"left_out", report.left_out},
                           {"file", options.file}})
               .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
        << "\n";
    return;
  }
  out << fmt::format("home {} {}: {} files, {}, sha256 {}{}\n", options.home, verb, report.entries,
                     human_bytes(report.bytes), report.sum,
                     report.left_out == 0
                         ? std::string()
                         : fmt::format(" ({} sockets and the like left out)", report.left_out));
}

/// That `file` has its name outlives a power failure.
Result<void> sync_name_of(const std::string& file) {
  const std::string parent = std::filesystem::path(file).parent_path().string();
  const std::string directory = parent.empty() ? "." : parent;
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open", directory);
  // EINVAL: such a file system has nothing to sync there.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return fail_errno("fsync", directory);
  return {};
}

/// Writes the stream into a file that appears whole, or to stdout.
Result<backup::Report> write_stream(const std::string& file,
                                    const std::function<Result<backup::Report>(int out)>& work) {
  if (file == "-") return work(STDOUT_FILENO);
  const std::string aside = file + ".partial";
  Cleanup remove([&aside] { (void)::unlink(aside.c_str()); });
  const UniqueFd out(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out) return fail_errno("create", aside);
  PANAL_ASSIGN(backup::Report report, work(out.get()));
  if (::fsync(out.get()) != 0) return fail_errno("fsync", aside);
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename", aside);
  remove.release();
  PANAL_TRY(sync_name_of(file));
  return report;
}

/// Of a btrfs home that a desktop has open: what it was at one moment.
Result<std::string> passing_snapshot(storage::HomeStore& homes, const HomeOptions& options) {
  const std::string name = "backup-" + std::to_string(::getpid());
  PANAL_TRY(homes.snapshot(options.tenant, options.home, name, {name, ""}));
  return name;
}

}  // namespace

ExitCode home_backup(Shell& shell, const HomeOptions& options) {
  const auto plan = home_plan(shell.config, false);
  if (!plan) return shell.told(plan.error());
  storage::HomeStore homes(shell.config.homes_dir, plan->rules);
  const auto info = homes.info(options.tenant, options.home, false);
  if (!info) return told_of_home(shell, info.error());
  const std::string where = options.file == "-" ? "stdout" : options.file;
  if (options.dry_run) {
    shell.out << fmt::format("would write home {} of tenant {} to {}\n", options.home,
                             options.tenant, where);
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  std::optional<HomeHold> hold;
  std::string snapshot = options.snapshot;
  Cleanup forget;
  if (snapshot.empty()) {
    auto taken = HomeHold::take(*store, shell.config, options, "backup");
    if (taken) {
      hold.emplace(std::move(*taken));
    } else if (taken.error().code == EBUSY && info->quota == storage::QuotaKind::kQgroup) {
      const auto made = passing_snapshot(homes, options);
      if (!made) return told_of_home(shell, made.error());
      snapshot = *made;
      forget.push([&] { (void)homes.remove_snapshot(options.tenant, options.home, snapshot); });
    } else {
      return told_of_home(shell, taken.error());
    }
  }
  const bool to_stdout = options.file == "-";
  Moving moving(shell, to_stdout || options.json, "writing", info->use ? info->use->bytes : 0);
  const auto watch = moving.watch(hold ? &*hold : nullptr);
  const auto report = write_stream(options.file, [&](int out) -> Result<backup::Report> {
    backup::Report made;
    PANAL_TRY(homes.with_tree(
        options.tenant, options.home, snapshot, hold ? hold->owner() : storage::HomeOwner{},
        [&](int tree) -> Result<void> {
          PANAL_ASSIGN(made, backup::write(tree, {options.tenant, options.home}, out, watch));
          return {};
        }));
    return made;
  });
  moving.done();
  if (!report) return told_of_home(shell, report.error());
  (void)store->audit("panal", "home.backup", options.tenant + "/" + options.home, report->sum);
  say_report(to_stdout ? shell.err : shell.out, options, "written to " + where, *report);
  return ExitCode::kOk;
}

ExitCode home_restore(Shell& shell, const HomeOptions& options) {
  PANAL_CLI_TRY(shell, storage::check_home_names(options.tenant, options.home));
  UniqueFd file;
  int in = STDIN_FILENO;
  if (options.file != "-") {
    file = UniqueFd(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return shell.told(fail_errno("open", options.file).value());
    in = file.get();
  }
  if (options.dry_run) {
    Moving moving(shell, options.json, "checking", 0);
    const auto report = backup::read(in, -1, {}, moving.watch(nullptr));
    moving.done();
    if (!report) return told_of_home(shell, report.error());
    shell.out << fmt::format(
        "would restore {} files, {} (home {} of tenant {}, sha256 {}) as home "
        "{} of tenant {}\n",
        report->entries, human_bytes(report->bytes), report->label.home, report->label.tenant,
        report->sum, options.home, options.tenant);
    return ExitCode::kOk;
  }
  if (::geteuid() != 0)
    return shell.refuse(ExitCode::kNotAllowed, "panal home restore needs root: run it with sudo");
  const auto plan = home_plan(shell.config, true);
  if (!plan) return shell.told(plan.error());
  storage::HomeStore homes(shell.config.homes_dir, plan->rules);
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  auto hold = HomeHold::take(*store, shell.config, options, "restore");
  if (!hold) return told_of_home(shell, hold.error());
  Moving moving(shell, options.json, "restoring", 0);
  const auto watch = moving.watch(&*hold);
  backup::Report report;
  const auto put = homes.put(options.tenant, options.home, options.replace, hold->owner(),
                             [&](int tree) -> Result<void> {
                               PANAL_ASSIGN(report, backup::read(in, tree, {}, watch));
                               return {};
                             });
  moving.done();
  if (!put) return told_of_home(shell, put.error());
  (void)store->audit("panal", "home.restore", options.tenant + "/" + options.home, report.sum);
  say_report(shell.out, options, "restored", report);
  return ExitCode::kOk;
}

}  // namespace panal::cli
