#include "runtime/agent/guest_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "runtime/agent/protocol.h"

namespace panal::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30U;

TEST(MemoryVariable, IsThereWhereAFileStandsOverTheKernels) {
  EXPECT_EQ(memory_variable("MemTotal:        2097152 kB\nMemFree: 1 kB\n", 24 * kGiB),
            "PANAL_MEMORY_KIB=2097152");
  EXPECT_EQ(memory_variable("MemTotal:       25165824 kB\n", 24 * kGiB), "") << "the kernel's own";
  EXPECT_EQ(memory_variable("MemTotal:       25165825 kB\n", 24 * kGiB), "");
}

TEST(MemoryVariable, IsNotMadeOfAnythingElse) {
  for (const char* text :
       {"", "MemTotal:", "MemTotal: ", "MemTotal: kB", "MemTotal: 12", "MemTotal: 12 MB\n",
        "MemTotal: -12 kB\n", "MemTotal: 0 kB\n", "MemTotal: 99999999999999999999 kB\n",
        "MemFree: 12 kB\nMemTotal: 12 kB\n", "memtotal: 12 kB\n"})
    EXPECT_EQ(memory_variable(text, 24 * kGiB), "") << text;
}

TEST(GuestVariables, NameTheCacheWhereItIs) {
  std::string path = fs::temp_directory_path() / "guest-view-XXXXXX";
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  fs::create_directories(path + "/run");
  EXPECT_THAT(guest_variables(path), IsEmpty());
  fs::create_directory_symlink("/tmp", path + kCacheDir);
  EXPECT_THAT(guest_variables(path), IsEmpty()) << "a link is nobody's mount";
  fs::remove(path + kCacheDir);
  fs::create_directory(path + kCacheDir);
  fs::create_directory(path + "/proc");
  std::ofstream(path + "/proc/meminfo") << "MemTotal:          32768 kB\n";
  EXPECT_THAT(guest_variables(path),
              ElementsAre("PANAL_MEMORY_KIB=32768", "XDG_CACHE_HOME=/run/panal-cache"));
  fs::remove_all(path);
}

}  // namespace
}  // namespace panal::agent
