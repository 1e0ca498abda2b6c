#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"

namespace panal::storage::unpack {

/// A directory of its own, and files as descriptors.
class ScratchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "unpack.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  [[nodiscard]] std::string make_dir(const std::string& name) const {
    std::filesystem::create_directories(dir_ + "/" + name);
    return dir_ + "/" + name;
  }
  static UniqueFd open_dir(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  static UniqueFd memory(const std::string& bytes) {
    UniqueFd fd(::memfd_create("archive", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_SET), 0);
    return fd;
  }
  static std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  std::string dir_;
};

}  // namespace panal::storage::unpack
