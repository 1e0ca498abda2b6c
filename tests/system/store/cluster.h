#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <memory>
#include <string>

#include "runtime/store/private_cluster.h"
#include "runtime/store/store.h"

namespace panal::store {

/// A real private cluster in the lab's directory, for the whole test program. It runs as Debian's
/// own `postgres` account, so that the machine gets no new users.
class Cluster : public ::testing::Environment {
 public:
  static Cluster*& instance() {
    static Cluster* only = nullptr;
    return only;
  }

  void SetUp() override {
    instance() = this;
    std::string pattern = (std::filesystem::temp_directory_path() / "store-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    ::chmod(pattern.c_str(), 0755);
    directory_ = pattern;
    config_.state_dir = directory_ + "/state";
    config_.run_dir = directory_ + "/run";
    config_.database_user = "postgres";
    config_.broker_user = "nobody";
    cluster_ = std::make_unique<PrivateCluster>(config_);
    const auto made = cluster_->ensure();
    ASSERT_TRUE(made) << made.error().message();
    start();
    const auto migrated = cluster_->prepare();
    ASSERT_TRUE(migrated) << migrated.error().message();
  }

  void TearDown() override {
    stop(SIGINT);
    std::filesystem::remove_all(directory_);
  }

  void start() {
    auto started = cluster_->start();
    ASSERT_TRUE(started) << started.error().message();
    server_ = std::move(*started);
    const auto ready = cluster_->wait_ready(std::chrono::seconds(30), &server_);
    ASSERT_TRUE(ready) << ready.error().message();
  }

  void stop(int signal) {
    if (!server_.valid()) return;
    EXPECT_TRUE(server_.send_signal(signal));
    EXPECT_EQ(::waitpid(server_.pid(), nullptr, 0), server_.pid());
    server_ = Pidfd();
  }

  /// As the peer map allows root to connect.
  [[nodiscard]] std::string conninfo(const std::string& role,
                                     const std::string& database = "panal") const {
    return "host=" + config_.database_socket_dir() + " dbname=" + database + " user=" + role;
  }
  /// With the rights of `role`, which root may not be: the owner steps down.
  [[nodiscard]] std::string stepped_down(const std::string& role) const {
    return conninfo(kOwnerRole) + " options='-c role=" + role + "'";
  }
  [[nodiscard]] std::unique_ptr<Store> as(const std::string& role) const {
    auto store = Store::connect(stepped_down(role));
    EXPECT_TRUE(store) << store.error().message();
    return store ? std::move(*store) : nullptr;
  }

  [[nodiscard]] const config::Config& config() const { return config_; }
  [[nodiscard]] PrivateCluster& cluster() { return *cluster_; }

 private:
  std::string directory_;
  config::Config config_;
  std::unique_ptr<PrivateCluster> cluster_;
  Pidfd server_;
};

}  // namespace panal::store
