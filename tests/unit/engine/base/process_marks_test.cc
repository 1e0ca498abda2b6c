#include "engine/base/process_marks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace panal {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

class ProcessMarks : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "marks-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    file_ = directory_ + "/marks";
  }
  void TearDown() override {
    for (const pid_t child : children_) end(child);
    std::filesystem::remove_all(directory_);
  }

  /// A child that is marked, with a descriptor of this process's, once this returns.
  pid_t marked_child(int marks) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      if (!mark_this_process(marks)) ::_exit(1);
      (void)!::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    children_.push_back(child);
    return child;
  }
  static void end(pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  std::vector<pid_t> marked() const {
    const auto found = marked_processes(file_);
    EXPECT_TRUE(found) << found.error().message();
    std::vector<pid_t> pids;
    for (const Pidfd& one : *found) pids.push_back(one.pid());
    return pids;
  }

  std::string directory_, file_;
  std::vector<pid_t> children_;
};

TEST_F(ProcessMarks, NoFileNobody) { EXPECT_THAT(marked(), IsEmpty()); }

TEST_F(ProcessMarks, AllThatLiveAreFoundAndNoOther) {
  const auto marks = open_process_marks(file_);
  ASSERT_TRUE(marks) << marks.error().message();
  EXPECT_EQ(std::filesystem::status(file_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_THAT(marked(), IsEmpty()) << "to have it open is no mark";
  std::vector<pid_t> expected;
  for (int i = 0; i < 7; ++i) expected.push_back(marked_child(marks->get()));
  EXPECT_THAT(marked(), UnorderedElementsAreArray(expected));
  // Ended, however it ended, it is marked no more, though nobody has reaped it.
  ::kill(expected[3], SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(expected[3]), &info, WEXITED | WNOWAIT), 0);
  expected.erase(expected.begin() + 3);
  EXPECT_THAT(marked(), UnorderedElementsAreArray(expected));
}

TEST_F(ProcessMarks, WhoLocksTheWholeFileIsFoundOnceAndNoTrap) {
  const auto marks = open_process_marks(file_);
  ASSERT_TRUE(marks);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t greedy = ::fork();
  if (greedy == 0) {
    ::alarm(60);
    struct flock lock{};
    lock.l_type = F_RDLCK;
    if (::fcntl(marks->get(), F_SETLK, &lock) != 0) ::_exit(1);
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  children_.push_back(greedy);
  const pid_t hidden = marked_child(marks->get());
  EXPECT_THAT(marked(), ::testing::Contains(::testing::AnyOf(greedy, hidden)));
  EXPECT_LE(marked().size(), 2U);
  end(greedy);
  children_.erase(children_.begin());
  EXPECT_THAT(marked(), ::testing::ElementsAre(hidden));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(ProcessMarks, AMarkedProcessDoesNotFindItselfAndItsChildrenAreNotMarked) {
  const auto marks = open_process_marks(file_);
  ASSERT_TRUE(marks);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!mark_this_process(marks->get())) ::_exit(1);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      const auto seen = marked_processes(file_);
      ::_exit(seen && seen->size() == 1 && seen->front().pid() == ::getppid() ? 0 : 1);
    }
    int status = -1;
    ::waitpid(grandchild, &status, 0);
    ::_exit(status == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace panal
