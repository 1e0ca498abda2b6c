#include "storage/image/trial_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace panal::storage {
namespace {

using testing::HasSubstr;

TrialRecord some() {
  TrialRecord record;
  record.commit = std::string(64, 'a');
  record.began_unix_s = 1'795'737'600;
  record.took_ms = 3400;
  record.good = true;
  record.windows = 3;
  record.pictured = true;
  return record;
}

TEST(TrialRecord, ComesBackAsItWas) {
  const auto back = parse_trial(print_trial(some()), "trial.json");
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->commit, some().commit);
  EXPECT_EQ(back->began_unix_s, some().began_unix_s);
  EXPECT_EQ(back->took_ms, 3400);
  EXPECT_TRUE(back->good);
  EXPECT_EQ(back->windows, 3U);
  EXPECT_TRUE(back->pictured);
  TrialRecord bad = some();
  bad.good = false;
  bad.reason = "no \xff such program";
  EXPECT_THAT(parse_trial(print_trial(bad), "trial.json")->reason, HasSubstr("such program"));
}

TEST(TrialRecord, RefusesWhatIsNone) {
  const std::string good = print_trial(some());
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::string table[] = {
      "",
      "[]",
      "{",
      good.substr(0, good.size() / 2),
      with("\"format\": 1", "\"format\": 2"),
      with("\"format\": 1", "\"format\": 1.5"),
      with("\"windows\": 3", "\"windows\": -1"),
      with("\"windows\": 3", "\"windows\": 99999999999"),
      with("\"windows\": 3", "\"windows\": \"3\""),
      with("\"took_ms\": 3400", "\"took_ms\": -3400"),
      with("\"took_ms\": 3400", "\"took_ms\": 1e99"),
      with("\"good\": true", "\"good\": 1"),
      with("\"reason\": \"\"", "\"reason\": null"),
      with("\"commit\": \"aa", "\"commit\": \"../"),
  };
  for (const std::string& text : table) {
    const auto record = parse_trial(text, "trial.json");
    ASSERT_FALSE(record) << text;
    EXPECT_EQ(record.error().code, EPROTO) << text;
    EXPECT_THAT(record.error().context, HasSubstr("trial.json")) << text;
  }
}

TEST(TrialRecord, IsKeptWithItsVersion) {
  std::string pattern = testing::TempDir() + "trial-XXXXXX";
  const std::string images = ::mkdtemp(pattern.data());
  EXPECT_EQ(write_trial(images, "icewm", "1", some(), "").error().code, ENOENT) << "no version";
  std::filesystem::create_directories(images + "/icewm/1");
  auto read = read_trial(images, "icewm", "1");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_FALSE(*read) << "not tried yet";

  ASSERT_TRUE(write_trial(images, "icewm", "1", some(), "picture"));
  read = read_trial(images, "icewm", "1");
  ASSERT_TRUE(read && *read);
  EXPECT_TRUE((*read)->pictured);
  std::ifstream file(trial_picture(images, "icewm", "1"));
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), "picture");

  // The next one, of which there is none, does not keep the old one's picture.
  ASSERT_TRUE(write_trial(images, "icewm", "1", some(), ""));
  EXPECT_FALSE((*read_trial(images, "icewm", "1"))->pictured);
  EXPECT_FALSE(std::filesystem::exists(trial_picture(images, "icewm", "1")));

  std::ofstream(images + "/icewm/1/trial.json") << "";
  EXPECT_EQ(read_trial(images, "icewm", "1").error().code, EPROTO);
  EXPECT_EQ(read_trial(images, "..", "1").error().code, EINVAL);
  EXPECT_EQ(write_trial(images, "icewm", "a/b", some(), "").error().code, EINVAL);
  std::filesystem::remove_all(images);
}

}  // namespace
}  // namespace panal::storage
