// What a desktop's processes offer for merging, as the kernel shows it (Linux 6.4 and later).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sandbox.h"

namespace panal::desktop {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
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

TEST(Sharing, NothingIsOfferedUnlessAsked) {
  Sandbox sandbox;
  const auto running = sandbox.life().start(sandbox.spec(7));
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_THAT(of_process(running->init.pid(), "ksm_stat"), HasSubstr("ksm_merge_any: no"));
  EXPECT_EQ(personality_of(running->init.pid()) & kNoRandomize, 0U);
}

// The next desktop of the same spawner must not inherit it, so both orders are looked at.
TEST(Sharing, IsOfferedByThatDesktopAlone) {
  Sandbox sandbox;
  DesktopSpec spec = sandbox.spec(7);
  spec.sharing = {.merge = true, .fixed_addresses = true};
  const auto running = sandbox.life().start(spec);
  ASSERT_TRUE(running) << running.error().reason() << "\n" << running.error().evidence;
  EXPECT_THAT(of_process(running->init.pid(), "ksm_stat"), HasSubstr("ksm_merge_any: yes"));
  EXPECT_EQ(personality_of(running->init.pid()) & kNoRandomize, kNoRandomize);
  const auto next = sandbox.life().start(sandbox.spec(8));
  ASSERT_TRUE(next) << next.error().reason() << "\n" << next.error().evidence;
  EXPECT_THAT(of_process(next->init.pid(), "ksm_stat"), Not(HasSubstr("ksm_merge_any: yes")));
  EXPECT_EQ(personality_of(next->init.pid()) & kNoRandomize, 0U);
}

}  // namespace
}  // namespace panal::desktop
