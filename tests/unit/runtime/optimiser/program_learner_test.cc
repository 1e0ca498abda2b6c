// Over a tree of files: processes that merge well and badly, as the kernel shows them.
#include "runtime/optimiser/program_learner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {
namespace {

constexpr std::int64_t kMinute = 60LL * 1'000'000'000;
constexpr std::int64_t kRound = 10 * kMinute;
constexpr std::int64_t kKib = 1024;

class ProgramLearnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* knob :
         {"run", "pages_shared", "pages_sharing", "pages_unshared", "pages_volatile"})
      files_.write(std::string("sys/kernel/mm/ksm/") + knob, "1\n");
    scans(0);
    learner_.emplace(parts());
  }
  ProgramLearner::Parts parts() {
    return {tree_, [this](DesktopId id) { return processes_[id]; }, files_.path() + "/ksm.programs",
            Logger::silent(), std::chrono::milliseconds(0)};
  }
  void scans(int full) {
    files_.write("sys/kernel/mm/ksm/full_scans", std::to_string(full) + "\n");
  }
  /// `start_s`: seconds since the boot. A desktop's process each time it is called.
  void process(DesktopId desktop, pid_t pid, const std::string& file, std::int64_t profit,
               const char* enlisted = "yes", int start_s = 10) {
    const std::string dir = "proc/" + std::to_string(pid);
    const std::string items = std::string(enlisted) == "yes" ? "9" : "0";
    files_.write(dir + "/ksm_stat",
                 "ksm_rmap_items " + items + "\nksm_merging_pages 0\nksm_process_profit " +
                     std::to_string(profit) + "\nksm_merge_any: " + enlisted + "\n");
    const long ticks = start_s * ::sysconf(_SC_CLK_TCK);
    files_.write(dir + "/stat", std::to_string(pid) +
                                    " (x) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 " +
                                    std::to_string(ticks) + " 0 0\n");
    ASSERT_EQ(::symlink(file.c_str(), (files_.path() + "/" + dir + "/exe").c_str()), 0);
    processes_[desktop].push_back(pid);
  }
  /// Enough passes, and then so many rounds.
  void rounds(int count) {
    scans(full_ += 2);
    for (int i = 0; i < count; ++i) {
      learner_->look(now_ += kRound);
      scans(full_ += 2);
      learner_->look(now_ += kMinute);
    }
  }
  nlohmann::json left_out() const { return learner_->report()["left_out"]; }

  kernel::FixtureTree files_{kernel::FixtureFiles{}};
  Tree tree_ = files_.tree();
  std::map<DesktopId, std::vector<pid_t>> processes_;
  std::int64_t now_ = kMinute;
  int full_ = 0;
  std::optional<ProgramLearner> learner_;
};

using Names = std::vector<std::string>;

TEST_F(ProgramLearnerTest, LeavesOutWhatLosesThriceAndOfItsImageOnly) {
  process(1, 11, "/usr/lib/firefox-esr/firefox-esr", -900 * kKib);
  process(1, 12, "/usr/bin/xfwm4", 3000 * kKib);
  learner_->started(1, "xfce");
  learner_->look(now_);
  rounds(2);
  EXPECT_TRUE(learner_->leave_out("xfce").empty()) << learner_->report();
  rounds(2);
  EXPECT_EQ(learner_->leave_out("xfce"), Names{"firefox-esr"}) << learner_->report();
  EXPECT_TRUE(learner_->leave_out("icewm").empty());
  EXPECT_TRUE(learner_->leave_out("xfc").empty()) << "no image's name is another's beginning";
  EXPECT_EQ(left_out(), (nlohmann::json{{"xfce/firefox-esr", -900 * kKib}}));
  EXPECT_EQ(learner_->figures().left_out, 1U);
  EXPECT_EQ(learner_->figures().known, 2U);
  EXPECT_EQ(learner_->figures().verdicts, (Counts{{"left_out", 1}}));
}

TEST_F(ProgramLearnerTest, JudgesNeitherYoungNorForeignNorUnlistedNorAUsersOwn) {
  const std::int64_t loss = -900 * kKib;
  process(1, 11, "/usr/bin/young", loss, "yes", 1'000'000'000);
  process(1, 12, "/usr/bin/left-out", loss, "no");
  process(1, 13, "/home/alice/xfwm4", loss);
  process(1, 14, "/usr/bin/gone (deleted)", loss);
  process(2, 15, "/usr/bin/of-nobody", loss);  // its desktop is not enlisted
  process(1, 16, "/usr/bin/small", -8 * kKib);
  processes_[1].push_back(99);  // ended meanwhile
  learner_->started(1, "xfce");
  learner_->look(now_);
  rounds(5);
  EXPECT_EQ(learner_->report()["known"], 1) << learner_->report();
  EXPECT_TRUE(left_out().empty()) << learner_->report();
}

TEST_F(ProgramLearnerTest, OneDesktopDoesNotSpoilItForTheOthers) {
  process(1, 11, "/usr/bin/xfwm4", -900'000 * kKib);
  process(2, 12, "/usr/bin/xfwm4", 3000 * kKib);
  for (const DesktopId id : {1, 2}) learner_->started(id, "xfce");
  learner_->look(now_);
  rounds(5);
  EXPECT_TRUE(left_out().empty()) << learner_->report();
  learner_->ended(2);
  rounds(20);
  EXPECT_EQ(left_out().size(), 1U) << "alone it is all that is known of the program";
}

TEST_F(ProgramLearnerTest, NothingIsJudgedWhileKsmdDoesNotGetRound) {
  process(1, 11, "/usr/bin/firefox", -900 * kKib);
  learner_->started(1, "xfce");
  for (int i = 0; i < 10; ++i) learner_->look(now_ += kRound);
  EXPECT_EQ(learner_->report()["rounds"], 0);
}

TEST_F(ProgramLearnerTest, IsKnownToTheNextOneAndTriesAgain) {
  process(1, 11, "/usr/bin/firefox", -900 * kKib);
  learner_->started(1, "xfce");
  learner_->look(now_);
  rounds(4);
  ASSERT_EQ(left_out().size(), 1U);
  learner_.emplace(parts());
  ASSERT_TRUE(learner_->load());
  unsigned tried = 0;
  for (unsigned start = 0; start < policy::KsmPrograms::kFirstRetry; ++start)
    tried += learner_->leave_out("xfce").empty();
  EXPECT_EQ(tried, 1U);
}

TEST_F(ProgramLearnerTest, ADamagedFileIsToldAndWrittenAnew) {
  ASSERT_TRUE(learner_->load()) << "none is no mistake";
  files_.write("ksm.programs", "panal-ksm-programs 1\nnonsense\n");
  const auto loaded = learner_->load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, EPROTO);
  EXPECT_NE(loaded.error().context.find("ksm.programs: line 2"), std::string::npos)
      << loaded.error().context;
  process(1, 11, "/usr/bin/xfwm4", 5);
  learner_->started(1, "xfce");
  learner_->look(now_);
  rounds(1);
  EXPECT_EQ(files_.read("ksm.programs"), "panal-ksm-programs 1\nxfce/xfwm4 5 1 0 0 0 0\n");
}

TEST_F(ProgramLearnerTest, OfAFileThatIsNoneNothingIsTaken) {
  const std::string good = "panal-ksm-programs 1\nxfce/firefox -90000 3 0 1 0 50\n";
  struct Case {
    const char* what;
    std::string text;
    int code;
  };
  const Case cases[] = {
      {"empty", "", EPROTO},
      {"cut short", good.substr(0, good.size() - 1), EPROTO},
      {"cut within a number", good.substr(0, good.size() - 2), EPROTO},
      {"of another version", "panal-ksm-programs 2\n", EPROTO},
      {"half good", good + "xfce/\n", EPROTO},
      {"binary", std::string("\0\1\2\xff", 4), EPROTO},
      {"without end", std::string(2 << 20, 'x'), EFBIG},
  };
  for (const Case& one : cases) {
    files_.write("ksm.programs", one.text);
    learner_.emplace(parts());
    const auto loaded = learner_->load();
    ASSERT_FALSE(loaded) << one.what;
    EXPECT_EQ(loaded.error().code, one.code) << one.what;
    EXPECT_TRUE(left_out().empty()) << one.what;
  }
  files_.write("ksm.programs", good);
  learner_.emplace(parts());
  ASSERT_TRUE(learner_->load());
  EXPECT_EQ(left_out().size(), 1U);
}

TEST_F(ProgramLearnerTest, TheThreadEndsAtOnce) {
  learner_->begin();
  learner_.reset();
}

}  // namespace
}  // namespace panal::optimiser
