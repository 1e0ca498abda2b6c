#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "engine/kernel/cgroup.h"

namespace panal::kernel {

/// A group of the real kernel, in the lab's; processes in it are killed at the end.
class RealCgroup : public ::testing::Test {
 protected:
  void SetUp() override {
    auto tree = Tree::open_system();
    ASSERT_TRUE(tree) << tree.error().message();
    tree_ = std::move(*tree);
    auto root = CgroupRoot::open(tree_);
    ASSERT_TRUE(root) << root.error().message();
    root_ = std::move(*root);
    const char* parent = ::getenv("PANAL_LAB_CGROUP");
    ASSERT_NE(parent, nullptr) << "run me in scripts/lab";
    path_ = std::string(parent) + "/panal/d7";
  }
  void TearDown() override {
    if (auto group = Cgroup::open(root_, parent_path())) {
      EXPECT_TRUE(group->kill_all(std::chrono::seconds(20)));
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      const auto gone = group->destroy(std::chrono::seconds(20));
      EXPECT_TRUE(gone) << gone.error().message();
      const auto again = group->destroy(std::chrono::seconds(0));
      EXPECT_TRUE(again) << "removing what is gone is no error";
    }
  }
  std::string parent_path() const { return path_.substr(0, path_.rfind('/')); }
  Cgroup make() const {
    auto made = Cgroup::create(root_, path_);
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
  }
  // A child that waits for its end; in the group, in all hierarchies, when this returns.
  pid_t start(const Cgroup& group, const std::function<void()>& work = [] { ::pause(); }) {
    int joined[2] = {};
    if (::pipe2(joined, O_CLOEXEC) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
      if (!group.add(::getpid())) ::_exit(2);
      ::close(joined[0]);
      ::close(joined[1]);
      work();
      ::_exit(0);
    }
    ::close(joined[1]);
    char end = 0;
    while (::read(joined[0], &end, 1) < 0 && errno == EINTR) {
    }
    ::close(joined[0]);
    return child;
  }
  static int status_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }

  Tree tree_;
  CgroupRoot root_;
  std::string path_;
};

}  // namespace panal::kernel
