// `panal tune` in a lab that shares the machine with others: it tells, and changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "runtime/cli/cli.h"
#include "runtime/cli/shell.h"
#include "runtime/cli/tune_at_start.h"

namespace panal::cli {
namespace {

using ::testing::HasSubstr;

class TuneInALab : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("PANAL_LAB") == nullptr) GTEST_SKIP() << "run it in scripts/lab";
    if (::access("/run/panal-lab/machine-settings", F_OK) == 0)
      GTEST_SKIP() << "this lab may change the machine";
  }
  ExitCode panal(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    return static_cast<ExitCode>(run(words, out_, err_, false, *backends_));
  }
  static std::string swappiness() {
    std::ifstream file("/proc/sys/vm/swappiness");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<Backends> backends_ = make_backends();
  std::ostringstream out_, err_;
};

TEST_F(TuneInALab, ChangesNothing) {
  const std::string before = swappiness();
  for (const char* verb : {"apply", "revert"}) {
    const auto words = std::string(verb) == "apply"
                           ? std::vector<std::string>{"tune", verb, "dense"}
                           : std::vector<std::string>{"tune", verb};
    EXPECT_EQ(panal(words), ExitCode::kRefused);
    EXPECT_THAT(err_.str(),
                HasSubstr("this is a lab, and kernel settings are the whole machine's"));
  }
  EXPECT_EQ(swappiness(), before);
  EXPECT_NE(::access("/run/panal-lab/machine/applied.json", F_OK), 0) << "no record either";
}

TEST_F(TuneInALab, ANodeComesUpWithoutItsProfile) {
  const std::string before = swappiness();
  auto config = config::parse("[tuning]\napply_at_start = true\n", "panal.toml");
  ASSERT_TRUE(config) << config.error().message();
  Shell shell{out_, err_, false, "", std::move(*config), *backends_};
  std::string said;
  tune_at_start(shell, [&said](const std::string& text) { said += text; });
  EXPECT_THAT(said, HasSubstr("profile balanced is not applied: this is a lab"));
  EXPECT_EQ(swappiness(), before);
}

TEST_F(TuneInALab, TellsAllTheSame) {
  EXPECT_EQ(panal({"tune", "ls"}), ExitCode::kOk) << err_.str();
  EXPECT_EQ(panal({"tune", "apply", "laptop-demo", "--dry-run"}), ExitCode::kOk) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("fs.inotify.max_user_instances"));
  EXPECT_EQ(panal({"tune", "verify"}), ExitCode::kRefused);
}

}  // namespace
}  // namespace panal::cli
