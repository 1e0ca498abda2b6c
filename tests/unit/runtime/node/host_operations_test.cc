#include "runtime/node/host_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/unit/runtime/desktop/fakes.h"
#include "tests/unit/runtime/node/fake_store.h"

namespace panal::node {
namespace {

using store::Observed;
using ::testing::Contains;
using ::testing::Not;

/// Ends of desktop 7, which has alice's home, on a node where nothing runs.
class HostOperationsTest : public ::testing::Test {
 protected:
  HostOperationsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "operations-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    config_.run_dir = dir_ + "/run";
    config_.state_dir = dir_ + "/state";
    config_.node_name = "n1";
    config_.stop_grace_seconds = 0;
    spec_.id = 7;
    spec_.home = "alice";
    spec_.user.tenant = "acme";
    rows_->desktops[7].id = 7;
    rows_->desktops[7].observed = Observed::kRunning;
    EXPECT_TRUE(rows_->homes.take({"acme", "alice", "n1", "d7", 7, {}}));
  }
  ~HostOperationsTest() override { std::filesystem::remove_all(dir_); }

  Result<void> clear_without_spec() {
    return operations_.clear(store_, 7, nullptr, Observed::kStopped, "it was found to have ended");
  }

  std::string dir_;
  config::Config config_;
  desktop::DesktopSpec spec_;
  std::shared_ptr<FakeRows> rows_ = std::make_shared<FakeRows>();
  FakeStore store_{rows_};
  desktop::testing::FakeNode node_;
  desktop::testing::FakeCompose compose_{node_};
  desktop::testing::FakeHomes homes_{node_};
  desktop::testing::FakeNetwork network_{node_};
  desktop::testing::FakeGroups groups_{node_};
  desktop::testing::FakeContainers containers_{node_, groups_};
  desktop::testing::FakeShared shared_{node_};
  desktop::testing::FakeGate gate_{node_};
  desktop::Lifecycle life_{desktop::Parts{compose_, homes_, network_, containers_, groups_, shared_,
                                          gate_, Logger::silent()},
                           config_};
  loop::Loop loop_;
  AgentHub hub_{loop_, Logger::silent()};
  storage::ImageStore images_{"/nowhere"};
  desktop::IdSlots slots_ = *desktop::IdSlots::make(IdRange{1'000'000, 4 * 65536}, {}, {});
  kernel::CgroupRoot cgroups_;
  HostOperations operations_{
      HostOperations::Parts{life_, hub_, images_, slots_, cgroups_, Logger::silent()}, config_};
};

TEST_F(HostOperationsTest, AStopThatFailsIsTriedAgainWithAllThatItIsAbout) {
  node_.fails = "-home";  // it is still mounted
  EXPECT_FALSE(operations_.stop(store_, spec_, "asked"));
  EXPECT_EQ(rows_->desktops[7].observed, Observed::kStopping);
  // The loop comes back to it, and has the spec no more.
  EXPECT_FALSE(clear_without_spec());
  EXPECT_EQ(rows_->homes.rows.size(), 1U) << "the home stays this desktop's";
  node_.fails.clear();
  node_.calls.clear();
  EXPECT_TRUE(clear_without_spec());
  EXPECT_THAT(node_.calls, Contains("-home"));
  EXPECT_TRUE(rows_->homes.rows.empty());
  EXPECT_EQ(rows_->desktops[7].observed, Observed::kStopped);
  node_.calls.clear();
  EXPECT_TRUE(clear_without_spec());
  EXPECT_THAT(node_.calls, Not(Contains("-home"))) << "that is over";
}

TEST_F(HostOperationsTest, SoIsTheClearingOfOneThatEndedByItself) {
  node_.fails = "-home";
  EXPECT_FALSE(operations_.clear(store_, 7, &spec_, Observed::kFailed, "its init ended"));
  EXPECT_EQ(rows_->desktops[7].observed, Observed::kRunning) << "the loop finds it so";
  EXPECT_EQ(rows_->homes.rows.size(), 1U);
  node_.fails.clear();
  node_.calls.clear();
  EXPECT_TRUE(clear_without_spec());
  EXPECT_THAT(node_.calls, Contains("-home"));
  EXPECT_TRUE(rows_->homes.rows.empty());
}

}  // namespace
}  // namespace panal::node
