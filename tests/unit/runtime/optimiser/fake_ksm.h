#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/base/tree.h"
#include "engine/model/decision.h"

namespace panal::optimiser {

/// The knobs as plain files.
class KsmKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "panal-ksm-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const char* part : {"proc/sys/kernel/random", "sys/kernel/mm/ksm", "cgroup"})
      std::filesystem::create_directories(root_ / part);
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"run", "0"},
             {"pages_to_scan", "100"},
             {"sleep_millisecs", "20"},
             {"use_zero_pages", "0"},
             {"smart_scan", "1"},
             {"max_page_sharing", "256"},
             {"advisor_mode", "[none] scan-time"}})
      std::ofstream(knob(name)) << value << "\n";
    boot("first");
    tree_ = std::move(*Tree::open_below(root_));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::filesystem::path knob(const std::string& name) const {
    return root_ / "sys/kernel/mm/ksm" / name;
  }
  std::string value(const std::string& name) const {
    std::ifstream file(knob(name));
    std::string word;
    file >> word;
    return word;
  }
  void boot(const std::string& id) const {
    std::ofstream(root_ / "proc/sys/kernel/random/boot_id") << id << "\n";
  }
  std::string saved() const { return root_ / "ksm.former"; }

  std::filesystem::path root_;
  Tree tree_;
};

/// Numbers as long as those they replace: plain files are not truncated as the kernel's are.
inline constexpr KsmDecision kBurst{true, 500, 11, KsmPhase::kBurst};

}  // namespace panal::optimiser
