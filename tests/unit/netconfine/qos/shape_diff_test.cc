#include "netconfine/qos/shape_diff.h"

#include <gmock/gmock.h>

#include "netconfine/qos/shape_plan.h"

namespace panal::netconfine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Diff : public ::testing::Test {
 protected:
  Diff() {
    const auto pool = AddressPool::parse("10.77.0.0/16", "fd77:70::/64");
    for (DesktopId id = 1; id <= 3; ++id) {
      ShapedDesktop one;
      one.addresses = *pool->of(id);
      one.tenant = id == 3 ? "" : "school";
      one.limits.send_bits_per_second = 8'000'000;
      one.tenant_limits.send_bits_per_second = 16'000'000;
      (void)plan_.put(one);
    }
    for (const auto& [minor, shape] : plan_.classes()) found_.push_back({shape, 0, 0, 0, 0});
    tenant_ = plan_.classes().at(1).parent;
  }
  FoundClass& found(Minor minor) {
    for (auto& one : found_) {
      if (one.shape.minor == minor) return one;
    }
    throw std::out_of_range("class");
  }
  [[nodiscard]] TreeDifference compare() const { return compare_trees(plan_.classes(), found_); }
  static std::vector<Minor> minors(const std::vector<ShapeClass>& shapes) {
    std::vector<Minor> numbers;
    for (const auto& shape : shapes) numbers.push_back(shape.minor);
    return numbers;
  }

  ShapePlan plan_{Direction::kSend, {}};
  std::vector<FoundClass> found_;
  Minor tenant_ = 0;
};

TEST_F(Diff, EqualTreesDifferInNothing) {
  std::reverse(found_.begin(), found_.end());
  EXPECT_THAT(compare().gone, IsEmpty());
  EXPECT_THAT(compare().put, IsEmpty());
}

TEST_F(Diff, AnEmptyKernelGetsEverythingParentsFirst) {
  found_.clear();
  const auto put = minors(compare().put);
  ASSERT_EQ(put.size(), 6U);
  EXPECT_EQ(put[0], kRootMinor);
  EXPECT_EQ(put[1], tenant_);
}

TEST_F(Diff, OtherValuesAreSetAgain) {
  found(2).shape.ceil_bytes_per_second = 1;
  EXPECT_THAT(compare().gone, IsEmpty());
  EXPECT_THAT(minors(compare().put), ElementsAre(2));
}

TEST_F(Diff, TheKernelsRoundingIsNoDifference) {
  found(2).shape.ceil_burst_bytes += found(2).shape.ceil_burst_bytes / 100;
  EXPECT_THAT(compare().put, IsEmpty());
}

TEST_F(Diff, AnothersClassGoes) {
  found_.push_back(found(2));
  found_.back().shape.minor = 99;
  EXPECT_THAT(compare().gone, ElementsAre(99));
  EXPECT_THAT(compare().put, IsEmpty());
}

TEST_F(Diff, AClassUnderAnotherParentIsMadeAnew) {
  found(1).shape.parent = kRootMinor;
  EXPECT_THAT(compare().gone, ElementsAre(1));
  EXPECT_THAT(minors(compare().put), ElementsAre(1));
}

TEST_F(Diff, AParentThatGoesTakesItsChildrenAlong) {
  // The tenant stands under another number, as after a crash with other tenants beside it.
  const auto other = static_cast<Minor>(tenant_ == kFirstTenantMinor ? tenant_ + 1 : tenant_ - 1);
  found(tenant_).shape.minor = other;
  found(1).shape.parent = other;
  found(2).shape.parent = other;
  EXPECT_THAT(compare().gone, ElementsAre(1, 2, other));
  EXPECT_THAT(minors(compare().put), ElementsAre(tenant_, 1, 2));
}

TEST_F(Diff, ACircleOfStrangersComesToAnEnd) {
  for (const Minor minor : {Minor{101}, Minor{102}}) {
    found_.push_back(found(2));
    found_.back().shape.minor = minor;
    found_.back().shape.parent = static_cast<Minor>(203 - minor);
  }
  EXPECT_EQ(compare().gone.size(), 2U);
}

}  // namespace
}  // namespace panal::netconfine
