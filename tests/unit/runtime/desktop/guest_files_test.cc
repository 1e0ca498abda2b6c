#include "runtime/desktop/guest_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "engine/kernel/meminfo.h"

namespace panal::desktop {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr std::uint64_t kHost = 24 * 1024 * kMiB;

GuestSettings masking(std::uint32_t cpus = 0) {
  GuestSettings guest;
  guest.mask_memory = true;
  guest.cpus = cpus;
  return guest;
}

Limits limited(std::uint64_t bytes) {
  Limits limits;
  limits.memory_bytes = bytes;
  return limits;
}

/// Fields of a meminfo by name, in kB; pages for those that are counts.
std::map<std::string, std::uint64_t> fields_of(const std::string& text) {
  std::map<std::string, std::uint64_t> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    EXPECT_NE(colon, std::string::npos) << line;
    EXPECT_TRUE(out.emplace(line.substr(0, colon), std::stoull(line.substr(colon + 1))).second)
        << line << " stands there twice";
  }
  return out;
}

class MeminfoOf : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(MeminfoOf, AgreesWithItself) {
  const std::string text = meminfo_text(GetParam());
  const auto read = kernel::parse_meminfo(text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->total, GetParam() / 1024 * 1024);
  const auto fields = fields_of(text);
  for (const auto& [name, value] : fields) {
    if (name.rfind("Vmalloc", 0) == 0 || name == "Hugepagesize") continue;
    EXPECT_LE(value, fields.at("MemTotal")) << name;
  }
  // Hundredths are cut off, so a little may be missing.
  const std::uint64_t parts = fields.at("MemFree") + fields.at("Cached") + fields.at("AnonPages") +
                              fields.at("Slab") + fields.at("PageTables");
  EXPECT_LE(parts, fields.at("MemTotal"));
  EXPECT_GE(parts + 100, fields.at("MemTotal"));
  EXPECT_GT(fields.at("MemAvailable"), fields.at("MemFree"));
  EXPECT_EQ(fields.at("Slab"), fields.at("SReclaimable") + fields.at("SUnreclaim"));
  EXPECT_EQ(fields.at("Cached"),
            fields.at("Active(file)") + fields.at("Inactive(file)") + fields.at("Shmem"));
  EXPECT_EQ(fields.at("Inactive"), fields.at("Inactive(anon)") + fields.at("Inactive(file)"));
  EXPECT_EQ(fields.at("SwapTotal"), 0U);
}

INSTANTIATE_TEST_SUITE_P(Limits, MeminfoOf,
                         ::testing::Values(32 * kMiB, 256 * kMiB, 1000 * kMiB, 2048 * kMiB,
                                           2048 * kMiB + 4096, 1024 * 1024 * kMiB,
                                           (std::uint64_t{1} << 60U)));

TEST(Meminfo, IsWrittenAsTheKernelWritesIt) {
  const std::string text = meminfo_text(2048 * kMiB);
  EXPECT_EQ(text.substr(0, text.find('\n')), "MemTotal:        2097152 kB");
  EXPECT_THAT(text, HasSubstr("\nHugePages_Total:       0\n"));
  EXPECT_THAT(text, HasSubstr("\nMemFree:         1048550 kB\n"));
}

TEST(Meminfo, HasEveryFieldOfTheKernelsWeKnow) {
  const auto ours = fields_of(meminfo_text(2048 * kMiB));
  int seen = 0;
  for (const char* kernel : {"hybrid-6.18", "v1-6.18", "v2-6.1"}) {
    std::ifstream in(std::string(PANAL_SOURCE_DIR) + "/tests/fixtures/" + kernel + "/proc/meminfo");
    std::stringstream text;
    text << in.rdbuf();
    for (const auto& [name, value] : fields_of(text.str())) {
      EXPECT_TRUE(ours.contains(name)) << name << " of " << kernel;
      ++seen;
    }
  }
  EXPECT_GT(seen, 40);
}

std::vector<std::string> targets(const std::vector<GuestFile>& files) {
  std::vector<std::string> out;
  for (const GuestFile& file : files) out.push_back(file.target);
  return out;
}

TEST(GuestFiles, TellOnlyOfWhatIsLessThanTheHosts) {
  const HostView host{kHost, 8, "processor\t: 0\n\n"};
  EXPECT_THAT(guest_files({}, limited(kHost / 2), host), IsEmpty()) << "nobody asked";
  EXPECT_THAT(targets(guest_files(masking(), limited(kHost / 2), host)),
              ElementsAre("proc/meminfo"));
  EXPECT_THAT(guest_files(masking(), limited(kHost), host), IsEmpty());
  EXPECT_THAT(guest_files(masking(), limited(kUnlimited), host), IsEmpty());
  EXPECT_THAT(guest_files(masking(), Limits{}, host), IsEmpty());
  EXPECT_THAT(targets(guest_files(masking(2), Limits{}, host)),
              ElementsAre("proc/cpuinfo", "sys/devices/system/cpu/online"));
  EXPECT_THAT(guest_files(masking(8), Limits{}, host), IsEmpty());
  EXPECT_THAT(guest_files(masking(9), Limits{}, host), IsEmpty());
}

TEST(CpuInfo, IsCutBehindAProcessor) {
  const std::string host =
      "processor\t: 0\nflags\t: a\n\nprocessor\t: 1\nflags\t: b\n\nprocessor\t: 2\n\n";
  EXPECT_EQ(cpuinfo_text(host, 1), "processor\t: 0\nflags\t: a\n\n");
  EXPECT_EQ(cpuinfo_text(host, 2), "processor\t: 0\nflags\t: a\n\nprocessor\t: 1\nflags\t: b\n\n");
  EXPECT_EQ(cpuinfo_text(host, 3), host);
  EXPECT_EQ(cpuinfo_text(host, 9), host);
  // Some architectures end with lines about the machine.
  EXPECT_EQ(cpuinfo_text("processor\t: 0\n\nHardware\t: x\n", 2),
            "processor\t: 0\n\nHardware\t: x\n");
  EXPECT_EQ(cpuinfo_text("", 1), "");
}

TEST(CpuList, IsTheKernels) {
  EXPECT_EQ(cpu_list(1), "0\n");
  EXPECT_EQ(cpu_list(2), "0-1\n");
  EXPECT_EQ(cpu_list(64), "0-63\n");
}

}  // namespace
}  // namespace panal::desktop
