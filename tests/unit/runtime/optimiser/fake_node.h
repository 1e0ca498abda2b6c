#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/kernel/cgroup.h"
#include "engine/model/ids.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {

/// A machine as plain files: what a real one showed (tests/fixtures), and desktops below `panal`,
/// of which the kernel says at once what it was asked for.
class FakeNode {
 public:
  /// `machine`: v2-6.1, or v1-6.18, which has no pressure of groups.
  explicit FakeNode(const std::string& machine = "v2-6.1")
      : from_(std::filesystem::path(PANAL_SOURCE_DIR "/tests/fixtures") / machine) {
    for (const char* part : {"proc", "sys"}) copy(from_ / part, part);
    if (v2())
      std::filesystem::copy_file(from_ / "cgroup/cgroup.controllers",
                                 files.path() + "/cgroup/cgroup.controllers");
    group("panal");
    tree = files.tree();
    root = std::move(*kernel::CgroupRoot::open(tree));
  }

  /// Its group, with so much anonymous memory; v2 alone.
  void desktop(DesktopId id, std::uint64_t bytes) {
    group(name(id));
    files.write(at(id, "memory.stat"), "anon " + std::to_string(bytes) + "\nfile 0\n");
    files.write(at(id, "memory.current"), std::to_string(bytes) + "\n");
  }
  /// From now on, to take memory from it lasts until let_go_on() of the same file.
  void hold_takes(DesktopId id) { hold(at(id, "memory.reclaim")); }
  void let_take(DesktopId id) { let_go_on(at(id, "memory.reclaim")); }
  /// Who opens this file to write waits.
  void hold(const std::string& file) {
    const std::string path = files.path() + "/" + file;
    std::filesystem::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  }
  void let_go_on(const std::string& file) {
    readers_.emplace_back(
        ::open((files.path() + "/" + file).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  /// Nobody who reads meanwhile sees half of it.
  void put(const std::string& file, const std::string& text) const {
    files.write(file + ".part", text);
    std::filesystem::rename(files.path() + "/" + file + ".part", files.path() + "/" + file);
  }
  bool frozen(DesktopId id) const { return files.read(at(id, "cgroup.freeze")).starts_with("1"); }
  static std::string at(DesktopId id, const std::string& file) {
    return "cgroup/" + name(id) + "/" + file;
  }

  kernel::FixtureTree files{{}};
  Tree tree;
  kernel::CgroupRoot root;

 private:
  static std::string name(DesktopId id) { return "panal/" + kernel_name(id); }
  bool v2() const { return std::filesystem::exists(from_ / "cgroup/cgroup.controllers"); }
  void copy(const std::filesystem::path& from, const std::string& to) const {
    std::filesystem::create_directories(files.path() + "/" + to);
    std::filesystem::copy(from, files.path() + "/" + to,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  void group(const std::string& path) const {
    if (v2()) {
      copy(from_ / "cgroup/panal-fixture", "cgroup/" + path);
      files.write("cgroup/" + path + "/cgroup.procs", "");
      files.write("cgroup/" + path + "/cgroup.events", "populated 1\nfrozen 1\n");
      files.write("cgroup/" + path + "/memory.reclaim", "");
      return;
    }
    for (const auto& hierarchy : std::filesystem::directory_iterator(from_ / "cgroup"))
      copy(hierarchy.path() / "panal-fixture",
           "cgroup/" + hierarchy.path().filename().string() + "/" + path);
  }

  std::filesystem::path from_;
  std::vector<UniqueFd> readers_;
};

inline bool eventually(const std::function<bool()>& good,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!good()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace panal::optimiser
