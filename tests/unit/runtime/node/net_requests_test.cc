#include "runtime/node/net_requests.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/unit/runtime/node/fake_store.h"

namespace panal::node {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Rules are of no interest here.
class IdleNetwork final : public netconfine::Network {
 public:
  Result<netconfine::Link> attach(DesktopId, const UniqueFd&) override {
    return netconfine::Link();
  }
  Result<void> detach(DesktopId) override { return {}; }
  Result<std::vector<netconfine::Link>> links() override { return std::vector<netconfine::Link>(); }
  Result<void> recover(const std::set<DesktopId>&) override { return {}; }
};

class Asker final : public Caller {
 public:
  [[nodiscard]] uid_t uid() const override { return 0; }
  void progress(const std::string&) override {}
  void answer(const json& body, UniqueFd) override { answered = body; }
  void refuse(int status, const std::string&) override { refused = status; }

  std::optional<json> answered;
  int refused = 0;
};

class NetRequestsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "requests-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    config_.run_dir = pattern;
    auto confinement = Confinement::open({network_, config_, Logger::silent()});
    ASSERT_TRUE(confinement) << confinement.error().message();
    confinement_ = std::move(*confinement);
    for (auto* pool : {&clerk_, &testers_}) {
      auto opened = WorkerPool::open(1, [this]() -> Result<std::unique_ptr<store::Store>> {
        return std::make_unique<FakeStore>(rows_);
      });
      ASSERT_TRUE(opened) << opened.error().message();
      *pool = std::move(*opened);
    }
    requests_.emplace(NetRequests::Parts{
        loop_, *confinement_, *clerk_, *testers_,
        [](DesktopId) { return Result<UniqueFd>(UniqueFd(::eventfd(0, EFD_CLOEXEC))); }});
  }
  void TearDown() override {
    if (clerk_) clerk_->finish();
    if (testers_) testers_->finish();
    std::filesystem::remove_all(config_.run_dir);
  }
  std::shared_ptr<Asker> ask(const json& request) {
    auto asker = std::make_shared<Asker>();
    EXPECT_TRUE(requests_->handle(asker, request));
    return asker;
  }

  loop::Loop loop_;
  config::Config config_;
  IdleNetwork network_;
  std::shared_ptr<FakeRows> rows_ = std::make_shared<FakeRows>();
  std::unique_ptr<Confinement> confinement_;
  std::unique_ptr<WorkerPool> clerk_, testers_;
  std::optional<NetRequests> requests_;
};

TEST_F(NetRequestsTest, NothingWaitsForATestOfAPacket) {
  // Somebody's test is waiting for its packet.
  std::promise<void> arrives;
  testers_->submit([&](store::Store&) { arrives.get_future().wait(); });
  netpolicy::Query query;
  query.from.desktop = 1;
  query.to.desktop = 2;
  query.traffic = {netconfine::Protocol::kUdp, {53, 53}};
  json request = netpolicy::to_json(query);
  request["op"] = "net_test";
  const auto test = ask(request);
  const auto show = ask({{"op", "net_show"}});
  EXPECT_TRUE(loop_.run_until([&] { return show->answered.has_value(); }, seconds(20)));
  EXPECT_FALSE(test->answered || test->refused != 0) << "it was not sent to those who test";
  arrives.set_value();
  EXPECT_TRUE(loop_.run_until([&] { return test->refused != 0; }, seconds(20)));
  EXPECT_EQ(test->refused, 404) << "no such desktop is known";
}

}  // namespace
}  // namespace panal::node
