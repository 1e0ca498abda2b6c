#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/runtime/cli/fake_store.h"

namespace panal::cli {

/// A machine of files, and profiles of our own beside the shipped ones.
class Tune : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tune-XXXXXX";
    root_ = mkdtemp(pattern.data());
    for (const char* part : {"proc/self/ns", "sys/block", "cgroup", "profiles"})
      std::filesystem::create_directories(root_ + "/" + part);
    put("proc/self/ns/pid", "");
    put("proc/sys/kernel/random/boot_id", "one\n");
    put("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 4194304 kB\nMemAvailable: 6291456 kB\n");
    put("proc/sys/vm/swappiness", "60\n");
    put("proc/sys/kernel/keys/maxkeys", "200\n");
    put("profiles/balanced.toml",
        "name = \"balanced\"\ndescription = \"for trials\"\ndesktops = 100\n[sysctl]\n"
        "\"vm.swappiness\" = { exactly = 150, why = \"because\" }\n"
        "\"kernel.keys.maxkeys\" = { at_least = 100, per_desktop = 10 }\n");
    put("profiles/broken.toml", "name = \"broken\"\n[ksm]\nrnu = \"scan\"\n");
    put("profiles/needs-ksm.toml", "name = \"needs-ksm\"\n[ksm]\nrun = \"scan\"\n");
    put("panal.toml", "[paths]\nprofiles = \"" + root_ + "/profiles\"\n");
    backends_.machine_root = root_;
    backends_.privileged = true;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + name).parent_path());
    std::ofstream(root_ + "/" + name) << text;
  }
  std::string get(const std::string& name) const {
    std::ifstream file(root_ + "/" + name);
    std::string line;
    std::getline(file, line);
    return line;
  }
  ExitCode panal(std::vector<std::string> words) {
    out_.str("");
    err_.str("");
    words.insert(words.begin(), {"--config", root_ + "/panal.toml"});
    return static_cast<ExitCode>(run(words, out_, err_, false, backends_));
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  nlohmann::json json() const { return nlohmann::json::parse(out_.str(), nullptr, false); }

  std::string root_;
  std::ostringstream out_, err_;
  FakeBackends backends_;
};

}  // namespace panal::cli
