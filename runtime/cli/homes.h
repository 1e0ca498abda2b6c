#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "runtime/cli/shell.h"
#include "runtime/space/space_plan.h"
#include "runtime/store/store.h"
#include "storage/home/home_store.h"

namespace panal::cli {

/// What `panal home` was told.
struct HomeOptions {
  std::string tenant, home;
  std::string file;      ///< of a backup; "-": stdin or stdout
  std::string snapshot;  ///< its name
  std::string limit;     ///< as parse_size() reads it; empty: not given
  std::uint64_t inodes = 0;
  bool inodes_given = false;
  bool json = false, dry_run = false, replace = false, measure = false;
  bool list = false, remove = false;  ///< snapshots
};

/// A home that a command works on: in the database, so that no desktop of the farm opens it
/// meanwhile. Given back at the end.
class HomeHold {
 public:
  /// `what`: "backup", "restore", ... Errors: EBUSY naming who has it, ENOENT no such tenant.
  [[nodiscard]] static Result<HomeHold> take(store::Store& store, const config::Config& config,
                                             const HomeOptions& options, const std::string& what);
  HomeHold(HomeHold&& other) noexcept = default;
  HomeHold& operator=(HomeHold&&) = delete;
  HomeHold(const HomeHold&) = delete;
  HomeHold& operator=(const HomeHold&) = delete;
  ~HomeHold();

  /// Now and then during long work; asks the database once a minute.
  void renew();
  [[nodiscard]] storage::HomeOwner owner() const { return {claim_.holder, claim_.node}; }

 private:
  struct Borrowed {
    void operator()(store::Store*) const {}
  };
  HomeHold(store::Store& store, store::HomeClaim claim)
      : store_(&store), claim_(std::move(claim)), renewed_(std::chrono::steady_clock::now()) {}

  std::unique_ptr<store::Store, Borrowed> store_;  ///< null once moved from
  store::HomeClaim claim_;
  std::chrono::steady_clock::time_point renewed_;
};

/// What holds for homes of this node; tries quotas out where `probe` and the configuration wants
/// it.
[[nodiscard]] Result<space::HomePlan> home_plan(const config::Config& config, bool probe);

/// Says an error of work on a home; the sentence is whole.
[[nodiscard]] ExitCode told_of_home(const Shell& shell, const Error& error);

/// By tenant and home.
using Leases = std::map<std::pair<std::string, std::string>, store::HomeLease>;
/// None where the database does not answer: locks are shown all the same.
[[nodiscard]] Leases leases_of(Shell& shell);

[[nodiscard]] ExitCode home_ls(Shell& shell, const HomeOptions& options);
[[nodiscard]] ExitCode home_show(Shell& shell, const HomeOptions& options);
[[nodiscard]] ExitCode home_backup(Shell& shell, const HomeOptions& options);
[[nodiscard]] ExitCode home_restore(Shell& shell, const HomeOptions& options);

}  // namespace panal::cli
