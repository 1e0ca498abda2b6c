// What a desktop's processes offer for merging, as the kernel shows it. Linux before 6.4 (Debian
// 12's own) cannot merge a process's memory, and a later one tells of it in ksm_stat.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <fstream>
#include <sstream>

#include "engine/base/prctl_numbers.h"
#include "sandbox.h"

namespace panal::desktop {
namespace {

using ::testing::AnyOf;
using testing::errno_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Sandbox;

constexpr unsigned long kNoRandomize = 0x0040000;  // linux/personality.h

std::string of_process(pid_t pid, const std::string& file) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

unsigned long personality_of(pid_t pid) {
  return std::stoul(of_process(pid, "personality"), nullptr, 16);
}

bool kernel_merges() { return ::prctl(kGetMemoryMerge, 0, 0, 0, 0) >= 0; }

/// "yes", "no", or "" where the kernel does not say.
std::string merge_any(pid_t pid) {
  const std::string text = of_process(pid, "ksm_stat");
  const std::string key = "ksm_merge_any: ";
  const std::size_t at = text.find(key);
  return at == std::string::npos
             ? ""
             : text.substr(at + key.size(), text.find('\n', at) - at - key.size());
}

TEST(Sharing, NothingIsOfferedUnlessAsked) {
  Sandbox sandbox;
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_THAT(merge_any(running->init.pid()), AnyOf("no", ""));
  EXPECT_EQ(personality_of(running->init.pid()) & kNoRandomize, 0U);
}

// The next desktop of the same spawner must not inherit it, so both orders are looked at.
TEST(Sharing, IsOfferedByThatDesktopAlone) {
  if (!kernel_merges()) GTEST_SKIP() << "this kernel cannot merge a process's memory";
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.sharing = {.merge = true, .fixed_addresses = true};
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_THAT(merge_any(running->init.pid()), AnyOf("yes", ""));
  EXPECT_EQ(personality_of(running->init.pid()) & kNoRandomize, kNoRandomize);
  // Its programs may leave and come back, as the agent says; the others' list refuses that
  // (Confinement.RefusedCallsAreRefusedFromInside).
  EXPECT_EQ(errno_of(sandbox.report(7), "prctl_memory_merge"), 0);
  EXPECT_EQ(errno_of(sandbox.report(7), "madvise_mergeable"), EINVAL);
  const auto next = sandbox.life().start(sandbox.spec(8));
  ASSERT_TRUE(next) << next.error().reason() << "\n" << next.error().evidence;
  EXPECT_THAT(merge_any(next->init.pid()), AnyOf("no", ""));
  EXPECT_EQ(personality_of(next->init.pid()) & kNoRandomize, 0U);
}

TEST(Sharing, AKernelThatCannotMergeIsToldOf) {
  if (kernel_merges())
    GTEST_SKIP() << "nothing is missing: this kernel can (tests/vm has one that cannot)";
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.sharing = {.merge = true, .fixed_addresses = true};
  const auto running = sandbox.life().start(spec);
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().cause.code, ENOTSUP);
  EXPECT_THAT(running.error().reason(), HasSubstr("Linux 6.4"));
  EXPECT_THAT(sandbox.traces(7), IsEmpty());
  spec.sharing.merge = false;
  const auto fixed = sandbox.life().start(spec);
  ASSERT_TRUE(fixed) << fixed.error().reason() << "\n" << fixed.error().evidence;
  EXPECT_EQ(personality_of(fixed->init.pid()) & kNoRandomize, kNoRandomize);
}

}  // namespace
}  // namespace panal::desktop
