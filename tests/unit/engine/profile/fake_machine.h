#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "engine/profile/apply.h"
#include "engine/profile/plan.h"

namespace panal::profile {

/// Thrown where a test has somebody killed: nothing after it is done.
struct Killed {};

/// A machine whose settings are files, and that has one step; keeps what was written.
class FakeMachine : public Steps {
 public:
  using Values = std::map<std::string, std::string>;

  FakeMachine() {
    // The record is synced at every step, which costs nothing in memory.
    const std::filesystem::path memory = "/dev/shm";
    std::string pattern =
        (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
        "panal-tuning.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const char* part : {"proc/self/ns", "sys", "cgroup"})
      std::filesystem::create_directories(root_ / part);
    put("proc/self/ns/pid", "");
    boot("first");
    for (const auto& [name, text] :
         Values{{"proc/sys/fs/inotify/max_user_instances", "128\n"},
                {"proc/sys/kernel/pid_max", "32768\n"},
                {"proc/sys/kernel/pty/max", "999999\n"},
                {"proc/sys/vm/swappiness", "60\n"},
                {"proc/sys/vm/min_free_kbytes", "67584\n"},
                {"sys/kernel/mm/transparent_hugepage/enabled", "always\n"},
                {"sys/kernel/mm/ksm/run", "0\n"},
                {"sys/kernel/mm/ksm/use_zero_pages", "0\n"},
                {"sys/kernel/mm/ksm/pages_to_scan", "100\n"},
                {"sys/kernel/mm/ksm/sleep_millisecs", "20\n"},
                {"sys/kernel/mm/ksm/advisor_mode", "scan-time\n"},
                {"sys/kernel/mm/ksm/pages_sharing", "0\n"}})
      put(name, text);
    tree_ = std::make_unique<Tree>(std::move(*Tree::open_below(root_)));
  }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;
  ~FakeMachine() override { std::filesystem::remove_all(root_); }

  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::filesystem::remove(root_ / name);
    std::ofstream(root_ / name) << text;
  }
  std::string get(const std::string& name) const {
    std::ifstream file(root_ / name);
    std::string line;
    std::getline(file, line);
    return line;
  }
  /// The file swallows what is written, as a kernel that makes another value of it.
  void swallow(const std::string& name) const {
    std::filesystem::remove(root_ / name);
    std::filesystem::create_symlink("/dev/null", root_ / name);
  }
  std::string path(const std::string& name) const { return root_ / name; }
  void remove(const std::string& name) const { std::filesystem::remove(root_ / name); }
  void boot(const std::string& id) const { put("proc/sys/kernel/random/boot_id", id + "\n"); }

  /// All settings and the step's state.
  Values values() const {
    Values all{{"zram", zram}, {"swap_file", swap_file}};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_))
      if (entry.is_regular_file() && entry.path().string().find("/saved") == std::string::npos &&
          entry.path().filename() != "lock")
        all[std::filesystem::relative(entry.path(), root_)] =
            get(std::filesystem::relative(entry.path(), root_));
    return all;
  }
  bool has_record() const { return std::filesystem::exists(root_ / "saved/applied.json"); }

  Machine machine() {
    return {*tree_, root_ / "saved", this, true, [this](std::string_view name) { reached(name); }};
  }
  MachineLock lock() const { return std::move(*MachineLock::take(root_ / "lock")); }
  std::string lock_file() const { return root_ / "lock"; }
  static HostFacts facts() {
    return {.memory_total_bytes = std::uint64_t{8} << 30U,
            .memory_available_bytes = std::uint64_t{6} << 30U};
  }

  Result<std::string> state(const std::string& name) override {
    const std::string& absent = name == "zram" ? no_zram : no_swap_file;
    if (!absent.empty()) return fail(ENOENT, absent);
    return of(name);
  }
  Result<void> bring(const std::string& name, const std::string& wanted) override {
    of(name) = "half set up";
    reached(name + " half way");
    if (wanted == refused) {
      of(name) = "off";
      return fail(EINVAL, name + ": no such algorithm");
    }
    of(name) = wanted;
    return {};
  }

  /// Called before each thing that lasts.
  void reached(std::string_view name) {
    if (on_checkpoint) on_checkpoint(name);
    if (kill_at == checkpoints++) throw Killed{};
  }

  std::string zram = "off";
  std::string swap_file = "off";
  std::string refused;  ///< a state of zram that cannot be had
  std::string no_zram;  ///< why there is none
  std::string no_swap_file;
  int kill_at = -1;
  int checkpoints = 0;
  std::function<void(std::string_view)> on_checkpoint;

 private:
  std::string& of(const std::string& step) { return step == "zram" ? zram : swap_file; }

  std::filesystem::path root_;
  std::unique_ptr<Tree> tree_;
};

}  // namespace panal::profile
