#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/user_namespace.h"
#include "engine/model/ids.h"
#include "tests/support/test_files.h"

namespace panal::storage {

/// A scratch directory on disk; unmounts and deletes everything below at the end.
class StorageTest : public ::testing::Test, protected test::TestFiles {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const char* base = std::getenv("TMPDIR");
    dir_ = std::string(base != nullptr ? base : "/tmp") + "/storage.XXXXXX";
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
    ASSERT_EQ(::chmod(dir_.c_str(), 0755), 0);
  }

  void TearDown() override {
    for (auto mount = mount_points_.rbegin(); mount != mount_points_.rend(); ++mount)
      (void)mount::detach(*mount);
    if (dir_.empty()) return;
    const auto removed = remove_tree(dir_);
    EXPECT_TRUE(removed) << removed.error().message();
  }

  std::string make_dir(const std::string& name) {
    const std::string path = dir_ + "/" + name;
    std::filesystem::create_directories(path);
    return path;
  }

  std::string make_mount_point(const std::string& name) {
    mount_points_.push_back(make_dir(name));
    return mount_points_.back();
  }

  /// Runs `work` as user `id` of the namespace of a desktop with this range, where a failed
  /// step returns its number (0: all well).
  static int inside(const IdRange& ids, unsigned id, const std::function<int()>& work) {
    auto names = UserNamespace::create(ids.first, ids.count);
    if (!names) return 250;
    const pid_t child = ::fork();
    if (child == 0) {
      // By way of its root: only who was that gives its capabilities up with its id.
      if (::setns(names->fd(), CLONE_NEWUSER) != 0 || ::setresuid(0, 0, 0) != 0 ||
          ::setresgid(id, id, id) != 0 || ::setresuid(id, id, id) != 0)
        ::_exit(251);
      ::_exit(work());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string dir_;
  std::vector<std::string> mount_points_;
};

}  // namespace panal::storage
