#include "runtime/desktop/limited_compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace panal::desktop {
namespace {

namespace fs = std::filesystem;

using storage::QuotaKind;
using ::testing::ElementsAre;

/// Notes what it is asked.
class NotingCompose final : public storage::ComposeBackend {
 public:
  [[nodiscard]] std::string_view name() const override { return "noting"; }
  [[nodiscard]] storage::BackendTraits traits() const override {
    storage::BackendTraits traits;
    traits.layers = true;
    return traits;
  }
  [[nodiscard]] storage::BackendTraits traits_for(const storage::RootSpec& spec) const override {
    storage::BackendTraits traits;
    traits.apart = spec.backend == "tmpfs" || spec.backend == "btrfs";
    traits.limits = spec.backend == "tmpfs";
    return traits;
  }
  [[nodiscard]] Result<void> provision(const storage::RootSpec& spec) override {
    calls.push_back("provision " + spec.backend);
    limits = spec.limits;
    return {};
  }
  [[nodiscard]] Result<void> destroy(const storage::RootSpec& spec) override {
    calls.push_back("destroy " + spec.backend + (spec.persistent ? " kept" : ""));
    return {};
  }
  [[nodiscard]] Result<storage::RootUsage> usage(const storage::RootSpec& /*spec*/) override {
    return storage::RootUsage{7, 1};
  }
  [[nodiscard]] Result<storage::Recovered> recover(const storage::RecoverScope& scope) override {
    calls.push_back("recover " + scope.state);
    if (fails) return fail(EIO, "recover of the fake");
    return storage::Recovered{1, 2, {"d9: a problem"}};
  }
  [[nodiscard]] Result<void> erase(const storage::RootSpec& spec) override {
    calls.push_back("erase " + spec.backend);
    return {};
  }
  std::vector<std::string> calls;
  storage::RootLimits limits = {};  ///< of the last one that was provisioned
  bool fails = false;
};

class LimitedComposeTest : public ::testing::Test {
 protected:
  LimitedComposeTest() {
    std::string pattern = (fs::temp_directory_path() / "limited-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    spec_.desktop = "d7";
    spec_.backend = "copy";
    spec_.upper_dir = dir_ + "/state/d7/upper";
    spec_.mount_point = dir_ + "/run/d7/root";
  }
  ~LimitedComposeTest() override {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }

  std::string dir_;
  storage::RootSpec spec_;
  NotingCompose inner_;
  LimitedCompose limited_{inner_, {}};
};

TEST_F(LimitedComposeTest, IsWhatItsInnerBackendIs) {
  EXPECT_EQ(limited_.name(), "noting");
  EXPECT_TRUE(limited_.traits().layers);
  EXPECT_FALSE(limited_.traits().limits);
  EXPECT_EQ(limited_.usage(spec_)->bytes, 7U);
}

TEST_F(LimitedComposeTest, ErasesAlsoWhereThereIsNothing) {
  ASSERT_TRUE(limited_.erase(spec_));
  // What is mounted goes first, whosever it is; nothing that is kept is thrown away by that.
  EXPECT_THAT(inner_.calls, ElementsAre("destroy  kept", "erase copy"));
  fs::create_directories(spec_.upper_dir);
  inner_.calls.clear();
  ASSERT_TRUE(limited_.erase(spec_));
  EXPECT_THAT(inner_.calls, ElementsAre("destroy  kept", "erase copy"));
}

TEST_F(LimitedComposeTest, MakesNoQuotaForWhatLiesElsewhere) {
  constexpr std::uint64_t kBytes = std::uint64_t{1} << 30U;
  LimitedCompose limited(inner_, {QuotaKind::kLoop, QuotaKind::kLoop, {kBytes, 1000}});
  for (const char* backend : {"tmpfs", "btrfs"}) {
    spec_.backend = backend;
    ASSERT_TRUE(limited.provision(spec_)) << backend;
    EXPECT_FALSE(fs::exists(dir_ + "/state")) << backend;
  }
  EXPECT_EQ(inner_.limits.bytes, 0U) << "btrfs would refuse it";
  spec_.backend = "tmpfs";
  ASSERT_TRUE(limited.provision(spec_));
  EXPECT_EQ(inner_.limits.bytes, kBytes);
  EXPECT_EQ(inner_.limits.inodes, 1000U);
}

TEST_F(LimitedComposeTest, RecoversWithTheInnerBackendAndTellsItsProblems) {
  fs::create_directories(spec_.upper_dir);
  fs::create_directories(dir_ + "/run/d8");
  const auto done = limited_.recover({dir_ + "/state", dir_ + "/run", {}});
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->unmounted, 1U);
  EXPECT_EQ(done->removed, 2U);
  EXPECT_THAT(done->problems, ElementsAre("d9: a problem"));
  EXPECT_THAT(inner_.calls, ElementsAre("recover " + dir_ + "/state"));

  inner_.fails = true;
  const auto failed = limited_.recover({dir_ + "/state", dir_ + "/run", {}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, EIO);
}

}  // namespace
}  // namespace panal::desktop
