#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>

#include "engine/kernel/io_stat.h"
#include "tests/system/kernel/real_cgroup.h"

namespace panal::kernel {
namespace {

constexpr std::size_t kWritten = std::size_t{1} << 20;

/// Writes so much past the page cache, to the disk the lab's scratch directory is on.
void write_directly(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
  if (fd < 0) ::_exit(3);
  alignas(4096) static std::array<char, kWritten> bytes;
  ::_exit(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) ? 0 : 4);
}

TEST_F(RealCgroup, CountsWhatAProcessWritesToADisk) {
  const std::string path = ::testing::TempDir() + "panal-io-test";
  const Cgroup group = make();
  const CgroupMount* blkio = root_.layout().with("blkio");
  if (blkio != nullptr) {
    struct stat info{};
    ASSERT_EQ(::stat(::testing::TempDir().c_str(), &info), 0);
    const std::string device =
        std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
    const auto dir = tree_.cgroup.open_dir(blkio->directory + "/" + path_);
    ASSERT_TRUE(dir);
    const auto started = start_counting_io_v1(*dir, device);
    ASSERT_TRUE(started) << started.error().message();
  }
  const auto before = group.io();
  ASSERT_TRUE(before) << before.error().message();
  const pid_t child = ::fork();
  if (child == 0) {
    if (!group.add(::getpid())) ::_exit(2);
    write_directly(path);
  }
  EXPECT_EQ(WEXITSTATUS(status_of(child)), 0);
  const auto after = group.io();
  ASSERT_TRUE(after) << after.error().message();
  EXPECT_GE(after->written_bytes, before->written_bytes + kWritten);
  EXPECT_GT(after->writes, before->writes);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace panal::kernel
