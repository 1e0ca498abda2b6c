#include "bench/backends/backends.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "bench/backends/arm.h"
#include "bench/backends/file_probe.h"
#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "engine/base/file_tree.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using storage::RootSpec;

/// What the machine's disk keeps, whatever is copied.
constexpr std::uint64_t kDiskReserve = std::uint64_t{8} << 30U;

struct Place {
  std::uint64_t used = 0, free = 0;
};

/// Of the file system that `path` is on, once all is written out.
Result<Place> place_at(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct statvfs info{};
  if (!fd || ::syncfs(fd.get()) != 0 || ::fstatvfs(fd.get(), &info) != 0)
    return fail_errno("look at the disk of", path);
  const std::uint64_t block = info.f_frsize;
  return Place{(info.f_blocks - info.f_bfree) * block, info.f_bavail * block};
}

Result<std::size_t> count_mounts(const Tree& tree) {
  PANAL_ASSIGN(const std::string table, tree.proc.read("self/mountinfo", std::size_t{16} << 20U));
  return static_cast<std::size_t>(std::count(table.begin(), table.end(), '\n'));
}

/// One arm's roots; all are unmade at the end, however it ends.
class Roots {
 public:
  Roots(Arm& arm, std::string directory) : arm_(arm), directory_(std::move(directory)) {}
  Roots(const Roots&) = delete;
  Roots& operator=(const Roots&) = delete;
  ~Roots() {
    for (const RootSpec& spec : up_) (void)arm_.backend->destroy(spec);
  }

  /// One more; ms.
  Result<double> add() {
    PANAL_ASSIGN(RootSpec spec, arm_spec(arm_, directory_, up_.size()));
    PANAL_ASSIGN(const double took, provision(spec));
    up_.push_back(std::move(spec));
    return took;
  }
  /// Takes the last one away; ms.
  Result<double> take() {
    PANAL_ASSIGN(const double took, destroy(up_.back()));
    up_.pop_back();
    return took;
  }
  /// Unmakes and makes one again: {destroy, provision} in ms.
  Result<std::pair<double, double>> again(std::size_t number) {
    PANAL_ASSIGN(const double gone, destroy(up_[number]));
    PANAL_ASSIGN(const double back, provision(up_[number]));
    return std::pair(gone, back);
  }
  [[nodiscard]] std::size_t size() const { return up_.size(); }
  [[nodiscard]] const RootSpec& at(std::size_t number) const { return up_[number]; }

 private:
  Result<double> provision(const RootSpec& spec) {
    const auto begin = Clock::now();
    PANAL_TRY(arm_.backend->provision(spec));
    return seconds_since(begin) * 1000;
  }
  Result<double> destroy(const RootSpec& spec) {
    const auto begin = Clock::now();
    PANAL_TRY(arm_.backend->destroy(spec));
    return seconds_since(begin) * 1000;
  }

  Arm& arm_;
  std::string directory_;
  std::vector<RootSpec> up_;
};

bool copies_all(const Arm& arm) { return arm.name.starts_with("copy"); }

/// How many roots, and how often each is measured: a copy of an image takes a second or more.
struct Size {
  std::size_t roots = 0, cycles = 0;
};
Size size_of(const Arm& arm, const BackendsOptions& options) {
  if (!copies_all(arm)) return {options.count, options.cycles};
  return {std::min(options.count, options.copies), std::min(options.cycles, options.copy_cycles)};
}

/// One root after the other, unmade and made again.
Result<json> measure_cycles(Roots& roots, std::size_t cycles, const BackendsOptions& options) {
  std::vector<double> provision, destroy;
  const auto begin = Clock::now();
  for (std::size_t i = 0; i < cycles; ++i) {
    PANAL_ASSIGN(const auto took, roots.again(i % roots.size()));
    destroy.push_back(took.first);
    provision.push_back(took.second);
    if (seconds_since(begin) > options.fill_seconds) break;
  }
  return json{{"provision_ms", to_json(spread_of(std::move(provision)))},
              {"destroy_ms", to_json(spread_of(std::move(destroy)))}};
}

/// Two roots that were just made: what reading and looking costs each, and what they share.
Result<void> measure_pair(const Tree& tree, const Arm& arm, const BenchVersion& version,
                          const Roots& roots, json& out) {
  const std::string& first = roots.at(0).mount_point;
  const std::string& second = roots.at(1).mount_point;
  for (const char* when : {"first", "again"}) {
    PANAL_ASSIGN(auto looking, look_at(first, version.to_open));
    out[fmt::format("stat_{}_us", when)] = to_json(spread_of(std::move(looking.stat_us)));
    out[fmt::format("open_{}_us", when)] = to_json(spread_of(std::move(looking.open_us)));
  }
  for (const std::string& root : {arm.version_root, first, second})
    PANAL_TRY(drop_files(root, version.to_read));
  PANAL_ASSIGN(const Reading cold, read_files(first, version.to_read));
  PANAL_ASSIGN(const std::uint64_t shared, cached_bytes(second, version.to_read));
  PANAL_ASSIGN(const std::uint64_t before, page_cache_bytes(tree));
  PANAL_ASSIGN(const Reading warm, read_files(second, version.to_read));
  PANAL_ASSIGN(const std::uint64_t after, page_cache_bytes(tree));
  const auto bytes = static_cast<double>(cold.bytes);
  out["read_mib"] = bytes / kMib;
  out["first_read_ms"] = cold.milliseconds;
  out["second_read_ms"] = warm.milliseconds;
  out["second_shared_percent"] = std::min(100.0, 100.0 * static_cast<double>(shared) / bytes);
  out["second_extra_mib"] = (static_cast<double>(after) - static_cast<double>(before)) / kMib;
  return {};
}

Result<json> measure_arm(Arm& arm, const BenchVersion& version, const std::string& directory,
                         const Tree& tree, const BackendsOptions& options) {
  json out;
  const auto began = Clock::now();
  const Size size = size_of(arm, options);
  Roots roots(arm, directory);
  PANAL_ASSIGN(const std::size_t mounts_before, count_mounts(tree));
  PANAL_ASSIGN(const double very_first, roots.add());
  out["very_first_ms"] = very_first;  // with the template, where there is one
  PANAL_ASSIGN(const std::size_t mounts_after, count_mounts(tree));
  // A pool that was mounted on the way stays, and is none of the root's.
  out["mounts"] = mounts_after - mounts_before;
  PANAL_ASSIGN(out["one"], measure_cycles(roots, size.cycles, options));
  PANAL_TRY(roots.add());
  PANAL_TRY(measure_pair(tree, arm, version, roots, out));

  const std::string disk = arm.pool.empty() ? directory : arm.pool;
  PANAL_ASSIGN(const Place before, place_at(disk));
  const std::size_t begun = roots.size();
  std::vector<double> fill;
  const auto begin = Clock::now();
  while (roots.size() < size.roots && seconds_since(begin) < options.fill_seconds) {
    PANAL_ASSIGN(const double took, roots.add());
    fill.push_back(took);
    if (roots.size() % 8 != 0) continue;
    struct statvfs info{};
    if (::statvfs(directory.c_str(), &info) == 0 &&
        std::uint64_t{info.f_bavail} * info.f_frsize < kDiskReserve)
      break;
  }
  out["count"] = roots.size();
  out["fill_ms"] = to_json(spread_of(std::move(fill)));
  PANAL_ASSIGN(const Place after, place_at(disk));
  PANAL_ASSIGN(const storage::RootUsage own, arm.backend->usage(roots.at(0)));
  const auto added = static_cast<double>(roots.size() - begun);
  const double own_kib = static_cast<double>(own.bytes) / 1024;
  if (arm.name == "tmpfs") {
    out["disk_kib"] = 0;
    out["memory_kib"] = own_kib;
  } else if (!arm.pool.empty()) {
    // Nobody else writes to its pool.
    const auto grown = static_cast<double>(after.used) - static_cast<double>(before.used);
    out["disk_kib"] = added > 0 ? grown / 1024 / added : 0.0;
  } else {
    out["disk_kib"] = own_kib;
  }
  PANAL_ASSIGN(out["many"], measure_cycles(roots, size.cycles, options));
  std::vector<double> empty;
  while (roots.size() > 0) {
    PANAL_ASSIGN(const double took, roots.take());
    empty.push_back(took);
  }
  out["empty_ms"] = to_json(spread_of(std::move(empty)));
  out["seconds"] = seconds_since(began);
  return out;
}

}  // namespace

const std::vector<std::string>& backend_arms() {
  static const std::vector<std::string> all = {
      "overlay",      "overlay-layers", "tmpfs",          "bind",         "copy",
      "copy-reflink", "btrfs",          "fuse-overlayfs", "unionfs-fuse", "lvm"};
  return all;
}

Result<json> run_backends(const BackendsOptions& options) {
  if (std::getenv("PANAL_LAB_CGROUP") == nullptr)
    return fail(EINVAL, "backends are measured in a lab (scripts/lab)");
  PANAL_ASSIGN(const Tree tree, Tree::open_system());
  const char* temporary = std::getenv("TMPDIR");
  std::string directory =
      std::string(temporary == nullptr ? "/tmp" : temporary) + "/backends-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return fail_errno("make directory", directory);
  const Cleanup remove([&directory] { (void)remove_tree(directory); });
  if (::chmod(directory.c_str(), 0755) != 0) return fail_errno("chmod", directory);
  PANAL_ASSIGN(const BenchVersion version, bench_version(options.image, directory));
  PANAL_ASSIGN(const auto facts,
               storage::probe_compose(tree, {directory, "", false, options.lvm_pool}));
  json result = {
      {"version", {{"name", version.name}, {"bytes", version.bytes}, {"files", version.files}}},
      {"count", options.count},
      {"arms", json::object()}};
  for (const std::string& name : options.arms.empty() ? backend_arms() : options.arms) {
    const std::string place = directory + "/" + name;
    auto arm = open_arm(name, {place, version, facts, options.lvm_pool});
    if (!arm) {
      say("{}: failed: {}", name, arm.error().message());
      result["arms"][name] = {{"failed", arm.error().message()}};
      continue;
    }
    if (!arm->skipped.empty()) {
      say("{}: skipped: {}", name, arm->skipped);
      result["arms"][name] = {{"skipped", arm->skipped}};
      continue;
    }
    say("{}", name);
    auto measured = measure_arm(*arm, version, place, tree, options);
    arm->backend.reset();
    arm->undo.run();
    if (!measured) {
      say("{}: failed: {}", name, measured.error().message());
      measured = json{{"failed", measured.error().message()}};
    } else {
      say("{}: {} roots, {:.0f} s", name, (*measured)["count"].get<std::size_t>(),
          (*measured)["seconds"].get<double>());
    }
    result["arms"][name] = std::move(*measured);
    if (const auto gone = remove_tree(place); !gone) say("{}: {}", name, gone.error().message());
  }
  return result;
}

}  // namespace panal::bench
