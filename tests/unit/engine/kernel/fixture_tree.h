#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "engine/base/tree.h"

namespace panal::kernel {

using FixtureFiles = std::map<std::string, std::string>;

/// A tree of files in a scratch directory; the kernel's knobs as plain files.
class FixtureTree {
 public:
  explicit FixtureTree(const FixtureFiles& files) {
    std::string pattern = std::filesystem::temp_directory_path() / "panal-cgroup.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    for (const char* part : {"proc/self", "sys", "cgroup"})
      std::filesystem::create_directories(root_ / part);
    for (const auto& [name, text] : files) write(name, text);
  }
  FixtureTree(const FixtureTree&) = delete;
  FixtureTree& operator=(const FixtureTree&) = delete;
  ~FixtureTree() { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(root_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path() const { return root_; }
  Tree tree() const { return std::move(*Tree::open_below(root_)); }

 private:
  std::filesystem::path root_;
};

}  // namespace panal::kernel
