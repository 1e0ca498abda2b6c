#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernel/swaps.h"
#include "engine/profile/catalog.h"

namespace panal::profile {

/// A lab in which the machine's settings may be changed, and the program.
class TunedLab : public ::testing::Test {
 protected:
  static constexpr const char* kLab = "/run/panal-lab";

  void SetUp() override {
    if (!std::filesystem::exists(std::string(kLab) + "/machine-settings"))
      GTEST_SKIP() << "run it in scripts/lab --machine-settings";
    auto tree = Tree::open_system();
    ASSERT_TRUE(tree) << tree.error().message();
    tree_.emplace(std::move(*tree));
    before_ = machine();
  }

  /// Everything a profile may change, by file.
  std::map<std::string, std::string> machine() const {
    std::map<std::string, std::string> all;
    const auto look = [&](const std::string& file) {
      std::ifstream in(file);
      std::string text((std::istreambuf_iterator<char>(in)), {});
      if (in) all[file] = text;
    };
    for (const Sysctl& sysctl : sysctls()) {
      std::string file = sysctl.name;
      std::replace(file.begin(), file.end(), '.', '/');
      look("/proc/sys/" + file);
    }
    for (const auto& entry : std::filesystem::directory_iterator("/proc/sys/vm")) {
      const std::string name = entry.path().filename();
      if (name != "drop_caches" && name != "stat_refresh") look(entry.path());
    }
    for (const char* knob :
         {"run", "use_zero_pages", "smart_scan", "pages_to_scan", "sleep_millisecs", "advisor_mode",
          "max_page_sharing", "merge_across_nodes"})
      look(std::string("/sys/kernel/mm/ksm/") + knob);
    for (const char* knob : {"enabled", "defrag", "shmem_enabled"})
      look(std::string("/sys/kernel/mm/transparent_hugepage/") + knob);
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
      if (!entry.path().filename().string().starts_with("zram")) continue;
      for (const char* knob : {"initstate", "disksize", "comp_algorithm"})
        look(entry.path().string() + "/" + knob);
    }
    const auto swaps = kernel::read_swaps(*tree_);
    EXPECT_TRUE(swaps);
    if (swaps)
      for (const SwapDevice& swap : *swaps) all[swap.path] = std::to_string(swap.size_bytes);
    return all;
  }

  struct Ended {
    int code = -1;
    std::string said;
  };
  static Ended panal(const std::vector<std::string>& words) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(pipe[1], 1);
      ::dup2(pipe[1], 2);
      ::close(pipe[0]);
      const std::string program = PANAL_BIN_DIR "/panal";
      std::vector<char*> arguments{const_cast<char*>(program.c_str())};
      for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
      arguments.push_back(nullptr);
      ::execv(program.c_str(), arguments.data());
      ::_exit(127);
    }
    ::close(pipe[1]);
    Ended ended;
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(pipe[0], buffer.data(), buffer.size())) > 0;)
      ended.said.append(buffer.data(), static_cast<std::size_t>(got));
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ended;
  }

  std::optional<Tree> tree_;
  const std::string state_dir_ = std::string(kLab) + "/machine";
  std::map<std::string, std::string> before_;
};

}  // namespace panal::profile
