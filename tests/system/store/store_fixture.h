#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/system/store/cluster.h"

namespace panal::store {

/// The cluster through the eyes of each role, with a node and an image.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    lab_ = Cluster::instance();
    admin_ = lab_->as(kAdminRole);
    node_ = lab_->as(kNodeRole);
    broker_ = lab_->as(kBrokerRole);
    ASSERT_TRUE(admin_ && node_ && broker_);
    ASSERT_TRUE(node_->register_node("n1", "0.1", 42));
    Version version;
    version.image = "icewm";
    version.version = "1";
    version.session = {"icewm-session", "--with space", "-x"};
    const auto added = admin_->add_version(version, "small");
    ASSERT_TRUE(added) << added.error().message();
  }

  /// A fresh user with one desktop, names unique in the program.
  Desktop new_desktop(const std::string& home = "") {
    static int counter = 0;
    User user;
    user.login = "u" + std::to_string(++counter);
    user.password_hash = "$argon2id$test";
    user.groups = {{"audio", 29}, {"video", 44}};
    const auto added = admin_->add_user(user);
    EXPECT_TRUE(added) << added.error().message();
    Desktop desktop;
    desktop.login = user.login;
    desktop.name = user.login + "-desk";
    desktop.image = "icewm";
    desktop.home = home;
    const auto made = admin_->add_desktop(desktop);
    EXPECT_TRUE(made) << made.error().message();
    return *made;
  }

  Cluster* lab_ = nullptr;
  std::unique_ptr<Store> admin_, node_, broker_;
};

}  // namespace panal::store
