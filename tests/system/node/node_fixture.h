#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/system/node/running_node.h"

namespace panal::node {

/// One node for all: each test makes desktops of its own and leaves panald serving.
class NodeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (RunningNode::why_not().empty()) node_ = std::make_unique<RunningNode>();
  }
  static void TearDownTestSuite() { node_.reset(); }
  void SetUp() override {
    if (!node_) GTEST_SKIP() << RunningNode::why_not();
  }
  void TearDown() override {
    for (const auto& desktop : desktops_) node_->want(desktop.id, store::Desired::kStopped);
    for (const auto& desktop : desktops_)
      node_->await(
          desktop.id,
          [](const auto& row) {
            return row.observed == store::Observed::kStopped ||
                   row.observed == store::Observed::kFailed;
          },
          "stopped");
  }
  store::Desktop new_desktop() {
    desktops_.push_back(node_->new_desktop());
    return desktops_.back();
  }

  static inline std::unique_ptr<RunningNode> node_;
  std::vector<store::Desktop> desktops_;
};

}  // namespace panal::node
