#include "engine/policy/merge_places.h"

#include <gtest/gtest.h>

#include "engine/policy/units.h"

namespace panal::policy {

void PrintTo(MergeAnswer answer, std::ostream* out) { *out << to_string(answer); }

namespace {

const MergeDomainId kOffice{"a", "office"};
const MergeDomainId kVisitors{"a", "guests"};
const MergeDomainId kBank{"b", "office"};

TEST(MergePlaces, TheFirstComeIsGivenThePlaceAndKeepsIt) {
  MergePlaces places;
  EXPECT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kGiven);
  EXPECT_EQ(places.ask(2, kBank, true, 0), MergeAnswer::kOtherDomain);
  EXPECT_EQ(places.ask(3, kVisitors, true, 0), MergeAnswer::kOtherDomain)
      << "a tenant's trust levels are apart";
  EXPECT_EQ(places.ask(4, kOffice, true, 0), MergeAnswer::kGiven);
  EXPECT_EQ(places.holder(), kOffice);
}

TEST(MergePlaces, WhoHasNotAgreedIsNotEnlistedAndBlocksNobody) {
  MergePlaces places;
  EXPECT_EQ(places.ask(1, kOffice, false, 0), MergeAnswer::kNoConsent);
  EXPECT_EQ(places.ask(2, kBank, true, 0), MergeAnswer::kGiven);
  EXPECT_EQ(places.ask(3, kOffice, true, 0), MergeAnswer::kOtherDomain) << "agreed too late";
}

TEST(MergePlaces, AnAgreementTakenBackHoldsAtTheNextStart) {
  MergePlaces places;
  ASSERT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kGiven);
  places.started(1, kOffice, true);
  EXPECT_EQ(places.ask(2, kOffice, false, 0), MergeAnswer::kNoConsent);
  EXPECT_TRUE(places.draining());
  places.demand({{kOffice, true, 2}, {kBank, true, 1}});  // as read before it was taken back
  EXPECT_EQ(places.ask(3, kBank, true, 0), MergeAnswer::kDraining) << "1 has merged pages still";
  places.ended(1);
  EXPECT_EQ(places.ask(4, kBank, true, 0), MergeAnswer::kDraining) << "its processes may live";
  EXPECT_EQ(places.leaving(), std::vector<DesktopId>{1});
  places.gone(1);
  EXPECT_EQ(places.ask(5, kBank, true, 0), MergeAnswer::kGiven);
}

TEST(MergePlaces, AStartThatFailedGivesThePlaceBackButARunningOneDoesNot) {
  MergePlaces places;
  ASSERT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kGiven);
  places.not_started(1);
  places.gone(1);
  ASSERT_EQ(places.ask(2, kBank, true, 0), MergeAnswer::kGiven);
  places.started(2, kBank, true);
  places.not_started(2);
  EXPECT_TRUE(places.leaving().empty());
  EXPECT_EQ(places.ask(3, kOffice, true, 0), MergeAnswer::kOtherDomain);
}

TEST(MergePlaces, AfterABootTheLargerDomainIsChosenNotTheFirst) {
  MergePlaces places;
  places.demand({{kOffice, true, 2}, {kBank, true, 200}, {kVisitors, false, 900}});
  EXPECT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kOtherDomain);
  EXPECT_EQ(places.ask(2, kBank, true, 0), MergeAnswer::kGiven);
}

TEST(MergePlaces, ARivalWorthTwiceWaitsHalfAnHourAndThenForTheLastToLeave) {
  MergePlaces places;
  places.demand({{kOffice, true, 10}});
  ASSERT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kGiven);
  places.started(1, kOffice, true);
  places.demand({{kOffice, true, 10}, {kBank, true, 20}});
  for (int minute = 0; minute < 30; ++minute) {
    (void)places.look(minute * kMinute);
    EXPECT_FALSE(places.draining()) << minute;
  }
  (void)places.look(30 * kMinute);
  EXPECT_TRUE(places.draining());
  EXPECT_EQ(places.holder(), kOffice);
  EXPECT_EQ(places.ask(2, kOffice, true, 31 * kMinute), MergeAnswer::kDraining);
  EXPECT_EQ(places.ask(3, kBank, true, 31 * kMinute), MergeAnswer::kDraining);
  places.ended(1);
  places.gone(1);
  EXPECT_EQ(places.ask(4, kBank, true, 32 * kMinute), MergeAnswer::kGiven);
}

TEST(MergePlaces, WhatOneDesktopSavedCountsNotOnlyHowManyThereAre) {
  MergePlaces places;
  places.demand({{kOffice, true, 10}, {kBank, true, 9}});
  ASSERT_EQ(places.ask(1, kOffice, true, 0), MergeAnswer::kGiven);
  places.started(1, kOffice, true);
  places.measured(2 << 20);  // of one desktop: a twelfth of what was guessed
  (void)places.look(0);
  (void)places.look(30 * kMinute);
  EXPECT_TRUE(places.draining());
  // A loss is remembered as little, not as nothing: the domain alone is chosen again.
  places.measured(-(64 << 20));
  places.ended(1);
  places.gone(1);
  places.demand({{kOffice, true, 10}});
  EXPECT_EQ(places.ask(2, kOffice, true, 40 * kMinute), MergeAnswer::kGiven);
}

TEST(MergePlaces, TwoThatAFormerDaemonLeftAreBothWaitedFor) {
  MergePlaces places;
  places.started(1, kOffice, true);
  places.started(2, kBank, true);
  places.measured(1 << 30);  // nobody can say whose
  places.demand({{kOffice, true, 1}, {kBank, true, 1}});
  EXPECT_EQ(places.ask(3, kOffice, true, 0), MergeAnswer::kDraining);
  places.ended(2);
  places.gone(2);
  EXPECT_EQ(places.ask(3, kOffice, true, 0), MergeAnswer::kGiven);
}

TEST(MergePlaces, AnAdoptedDesktopThatIsNotEnlistedHoldsNothing) {
  MergePlaces places;
  places.started(1, kOffice, false);
  EXPECT_EQ(places.ask(2, kBank, true, 0), MergeAnswer::kGiven);
  places.ended(1);
  EXPECT_TRUE(places.leaving().empty());
}

}  // namespace
}  // namespace panal::policy
