// The balloon law under the demand that a host had while desktops and compilers ran on it
// (tests/fixtures/traces): gigabytes that come and go within seconds.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/policy/balloon.h"
#include "engine/policy/units.h"
#include "tests/unit/engine/policy/recorded_trace.h"

namespace panal::policy {
namespace {

constexpr double kGuestMib = 2'560;
constexpr double kReserveMib = 300;

struct RecordedGuest {
  DesktopId id = 0;
  std::size_t behind = 0;  ///< rows: all have the same demand, each at another time
  double balloon_mib = 0;
  double swapped_mib = 0;
};

class BalloonReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    hosts_ = snapshots_of(recorded_trace(kIcewmTrace));
    ASSERT_GT(hosts_.size(), 60U);
    for (std::size_t i = 0; i < 3; ++i)
      guests_.push_back({static_cast<DesktopId>(i + 1), i * hosts_.size() / 3});
  }
  [[nodiscard]] double demand_mib(const RecordedGuest& guest, std::size_t row) const {
    return real(hosts_[(row + guest.behind) % hosts_.size()].memory.anon) / real(kMib);
  }
  /// The recording three times over, on a host with so much for its guests and its reserve; what
  /// the law decides is carried out within the second. The most that was ever in balloons.
  double run(double host_mib) {
    double most = 0;
    for (std::size_t row = 0; row < 3 * hosts_.size(); ++row) {
      BalloonInput input;
      input.at_ns = static_cast<MonotonicNs>(row) * kSecond;
      double used = 0;
      double held = 0;
      for (RecordedGuest& guest : guests_) {
        const double has = kGuestMib - guest.balloon_mib;
        const double demand = demand_mib(guest, row);
        guest.swapped_mib += std::max(0.0, demand - has);
        used += has;
        held += guest.balloon_mib;
        BalloonGuest told;
        told.id = guest.id;
        told.memory_bytes = whole(kGuestMib * real(kMib));
        told.balloon_bytes = whole(guest.balloon_mib * real(kMib));
        told.available_bytes = whole((has - demand) * real(kMib));
        told.swap_out_pages = whole(guest.swapped_mib * real(kMib)) / kPageBytes;
        told.told_at_ns = input.at_ns;
        input.guests.push_back(told);
      }
      EXPECT_LE(used, host_mib) << "second " << row;
      most = std::max(most, held);
      input.host_available_bytes = whole((host_mib - used) * real(kMib));
      input.host_reserve_bytes = whole(kReserveMib * real(kMib));
      for (const BalloonDecision& decision : balloon_.decide(input))
        for (RecordedGuest& guest : guests_)
          if (guest.id == decision.desktop)
            guest.balloon_mib = real(decision.balloon_bytes) / real(kMib);
    }
    return most;
  }

  std::vector<Snapshot> hosts_;
  std::vector<RecordedGuest> guests_;
  Balloon balloon_;
};

TEST_F(BalloonReplay, TakesWhatTheGuestsCanSpareAndDrivesNoneIntoItsSwap) {
  EXPECT_GT(run(3 * kGuestMib), 1'000) << "the reserve is theirs to give";
  for (const RecordedGuest& guest : guests_) EXPECT_EQ(guest.swapped_mib, 0) << guest.id;
}

}  // namespace
}  // namespace panal::policy
