// What a desktop is told of memory and CPUs, and what of it is in memory, seen through its init.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/kernel/meminfo.h"
#include "sandbox.h"

namespace panal::desktop {
namespace {

using ::testing::HasSubstr;
using testing::Sandbox;
namespace fs = std::filesystem;

/// A path inside, through the desktop's init.
std::string inside(pid_t init, const std::string& path) {
  return "/proc/" + std::to_string(init) + "/root" + path;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

long file_system(const std::string& path) {
  struct statfs info{};
  return ::statfs(path.c_str(), &info) == 0 ? info.f_type : -1;
}

/// free(1) of the host, shown that file as /proc/meminfo.
std::string free_with(const std::string& meminfo, int& status) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(meminfo.c_str(), "/proc/meminfo", nullptr, MS_BIND, nullptr) != 0)
      ::_exit(99);
    ::execlp("free", "free", "-k", nullptr);
    ::_exit(98);
  }
  ::close(ends[1]);
  std::string said;
  char bytes[1024];
  for (ssize_t got = 0; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    said.append(bytes, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, &status, 0);
  return said;
}

TEST(Guest, ProgramsAreToldOfTheDesktopsLimits) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.guest.mask_memory = true;
  spec.guest.cpus = 1;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const pid_t init = running->init.pid();

  const std::string meminfo = inside(init, "/proc/meminfo");
  const auto memory = kernel::parse_meminfo(text_of(meminfo));
  ASSERT_TRUE(memory) << memory.error().message();
  EXPECT_EQ(memory->total, *spec.limits.memory_bytes);
  EXPECT_LT(memory->available, memory->total);
  int status = -1;
  // The same file by the host's name for it: nothing is bound from another mount namespace.
  const std::string said = free_with(sandbox.config.desktop_run_dir(7) + "/meminfo", status);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << said;
  EXPECT_THAT(said, HasSubstr(std::to_string(*spec.limits.memory_bytes / 1024)));

  // It is of the host's root, and nobody's to write.
  struct statvfs mount{};
  ASSERT_EQ(::statvfs(meminfo.c_str(), &mount), 0);
  EXPECT_NE(mount.f_flag & ST_RDONLY, 0U);
  struct stat info{};
  ASSERT_EQ(::stat(meminfo.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
  EXPECT_EQ(info.st_mode & 07777U, 0444U);

  if (::get_nprocs() > 1) {
    EXPECT_EQ(text_of(inside(init, "/sys/devices/system/cpu/online")), "0\n");
    const std::string cpus = text_of(inside(init, "/proc/cpuinfo"));
    EXPECT_THAT(cpus, HasSubstr("processor\t: 0\n"));
    EXPECT_THAT(cpus, ::testing::Not(HasSubstr("processor\t: 1\n")));
  }
  const auto stopped = sandbox.life().stop(spec, std::chrono::milliseconds{5000});
  EXPECT_TRUE(stopped) << stopped.error().message();
  EXPECT_THAT(sandbox.traces(7), ::testing::IsEmpty());
}

TEST(Guest, UntoldTheyAreToldOfTheHost) {
  Sandbox sandbox;
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  struct sysinfo host{};
  ASSERT_EQ(::sysinfo(&host), 0);
  const auto memory = kernel::parse_meminfo(text_of(inside(running->init.pid(), "/proc/meminfo")));
  ASSERT_TRUE(memory) << memory.error().message();
  EXPECT_EQ(memory->total, std::uint64_t{host.totalram} * host.mem_unit);
}

TEST(Guest, WhatNobodyMissesIsInMemory) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.guest.logs = Scratch::kMemory;
  spec.guest.var_tmp = Scratch::kMemory;
  spec.guest.cache_in_memory = true;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const pid_t init = running->init.pid();
  for (const char* path : {"/var/log", "/var/tmp", "/run/panal-cache"})
    EXPECT_EQ(file_system(inside(init, path)), TMPFS_MAGIC) << path;
  struct stat cache{};
  ASSERT_EQ(::stat(inside(init, "/run/panal-cache").c_str(), &cache), 0);
  EXPECT_EQ(cache.st_uid, spec.ids.first + spec.user.uid);
  EXPECT_EQ(cache.st_gid, spec.ids.first + spec.user.gid);
  EXPECT_EQ(cache.st_mode & 07777U, 0700U);
  struct stat scratch{};
  ASSERT_EQ(::stat(inside(init, "/var/tmp").c_str(), &scratch), 0);
  EXPECT_EQ(scratch.st_mode & 07777U, 01777U);
  struct statvfs size{};
  ASSERT_EQ(::statvfs(inside(init, "/run/panal-cache").c_str(), &size), 0);
  EXPECT_EQ(size.f_blocks * size.f_frsize, std::uint64_t{25} << 20U) << "a tenth of 256 MiB";
}

TEST(Guest, LogsMayBeNowhere) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.guest.logs = Scratch::kOff;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const std::string logs = inside(running->init.pid(), "/var/log");
  struct statvfs mount{};
  ASSERT_EQ(::statvfs(logs.c_str(), &mount), 0);
  EXPECT_NE(mount.f_flag & ST_RDONLY, 0U);
  EXPECT_TRUE(fs::is_empty(logs));
}

TEST(Guest, ADesktopThatIsKeptKeepsItsLogs) {
  Sandbox sandbox;
  fs::create_directories(sandbox.image / "var/log");
  fs::create_directories(sandbox.image / "var/tmp");
  DesktopSpec spec = sandbox.spec(7);
  spec.persistent = true;
  spec.guest.logs = Scratch::kOff;
  spec.guest.var_tmp = Scratch::kMemory;
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  const long root = file_system(inside(running->init.pid(), "/"));
  for (const char* path : {"/var/log", "/var/tmp"})
    EXPECT_EQ(file_system(inside(running->init.pid(), path)), root) << path;
}

}  // namespace
}  // namespace panal::desktop
