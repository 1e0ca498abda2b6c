#include "storage/unpack/entry_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::storage::unpack {
namespace {

using ::testing::HasSubstr;

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TarEntry entry_of(const std::string& name, EntryType type, const std::string& target = "") {
  TarEntry entry;
  entry.name = name;
  entry.type = type;
  entry.target = target;
  entry.mode = 0644;
  return entry;
}

TEST(EntryPath, IsOfOneForm) {
  const std::pair<const char*, const char*> same[] = {{"usr/bin/sh", "usr/bin/sh"},
                                                      {"./usr/bin/", "usr/bin"},
                                                      {"usr//bin/.//sh", "usr/bin/sh"},
                                                      {"./", ""},
                                                      {".", ""},
                                                      {"", ""},
                                                      {"...", "..."},
                                                      {"..a/b..", "..a/b.."},
                                                      {"a\\..\\b", "a\\..\\b"},
                                                      {"\xff\xfe", "\xff\xfe"}};
  for (const auto& [name, path] : same) {
    const auto got = entry_path(name);
    ASSERT_TRUE(got) << name;
    EXPECT_EQ(*got, path);
  }
  EXPECT_TRUE(entry_path(std::string(255, 'n')));
  EXPECT_TRUE(entry_path(repeated("d/", 64)));
}

TEST(EntryPath, RefusesWhatLeavesTheTreeOrIsTooLong) {
  for (const std::string& name :
       {std::string("/"), std::string("/etc"), std::string("//etc"), std::string(".."),
        std::string("../a"), std::string("a/.."), std::string("a/../b"), std::string("./.."),
        std::string("a\0b", 3), std::string(256, 'n'), "a/" + std::string(256, 'n'),
        repeated("d/", 65), repeated(std::string(200, 'p') + "/", 21)}) {
    const auto got = entry_path(name);
    ASSERT_FALSE(got) << name;
    EXPECT_EQ(got.error().code, EPERM) << name;
    EXPECT_LT(got.error().context.size(), 400U) << "one sentence";
  }
}

TEST(LeadsOut, CountsLevels) {
  struct Case {
    const char* path;
    const char* target;
    bool out;
  };
  const Case cases[] = {{"a", "b", false},
                        {"a", "..", true},
                        {"a/b", "..", false},
                        {"a/b", "../..", true},
                        {"a/b", "../c", false},
                        {"a/b", "../../c", true},
                        {"a/b", "c/../../d", false},
                        {"a/b", "c/../../../d", true},
                        {"a", "./b/../c", false},
                        {"a", "b/../..", true},
                        {"a", "/etc/passwd", false},
                        {"a", "/../etc", false},
                        {"a/b/c", "../../x/../..", true},
                        {"a", "...", false},
                        {"a", "", false},
                        {"a/b", "..//.././/c", true}};
  for (const auto& one : cases)
    EXPECT_EQ(leads_out(one.path, one.target), one.out) << one.path << " -> " << one.target;
}

TEST(Judge, TakesWhatARootIsMadeOf) {
  for (const auto type : {EntryType::kFile, EntryType::kDirectory}) {
    const auto verdict = judge(entry_of("./usr/x", type), {});
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->action, Action::kTake);
    EXPECT_EQ(verdict->path, "usr/x");
  }
  const auto hard = judge(entry_of("b", EntryType::kHardLink, "./usr//a"), {});
  ASSERT_TRUE(hard);
  EXPECT_EQ(hard->link_path, "usr/a");
  EXPECT_TRUE(judge(entry_of("b", EntryType::kSymlink, "/proc/mounts"), {}));
  EXPECT_EQ(judge(entry_of("./", EntryType::kDirectory), {})->action, Action::kSkip);
  auto su = entry_of("usr/bin/su", EntryType::kFile);
  su.mode = 04755;
  EXPECT_TRUE(judge(su, {}));
  auto mail = entry_of("var/mail", EntryType::kDirectory);
  mail.mode = 02775;
  EXPECT_TRUE(judge(mail, {}));
  auto last = entry_of("x", EntryType::kFile);
  last.uid = last.gid = 65535;
  EXPECT_TRUE(judge(last, {}));
}

TEST(Judge, NamesWhatItRefuses) {
  struct Case {
    TarEntry entry;
    const char* words;
  };
  std::vector<Case> cases = {
      {entry_of("dev/null", EntryType::kCharDevice), "a character device"},
      {entry_of("dev/sda", EntryType::kBlockDevice), "a block device"},
      {entry_of("run/pipe", EntryType::kFifo), "a FIFO"},
      {entry_of("run/log", EntryType::kSocket), "a socket"},
      {entry_of("odd", EntryType::kOther), "does not know"},
      {entry_of("../x", EntryType::kFile), ".."},
      {entry_of("/x", EntryType::kFile), "absolute"},
      {entry_of("x", EntryType::kHardLink, "/etc/shadow"), "leads out"},
      {entry_of("x", EntryType::kHardLink, "a/../../b"), "leads out"},
      {entry_of("x", EntryType::kHardLink, "./"), "the root"},
      {entry_of("x", EntryType::kSymlink, ""), "nothing"},
      {entry_of("x", EntryType::kSymlink, std::string(4096, 't')), "no path"},
      {entry_of("latin-\xe9", EntryType::kFile), "UTF-8"},
      {entry_of("x", EntryType::kSymlink, "latin-\xe9"), "UTF-8"},
      {entry_of("./", EntryType::kFile), "the root"},
      {entry_of("./", EntryType::kSymlink, "/etc"), "the root"},
  };
  auto foreign = entry_of("foreign", EntryType::kFile);
  foreign.uid = 65536;
  cases.push_back({foreign, "user 65536"});
  foreign.uid = -1;
  cases.push_back({foreign, "user -1"});
  foreign.uid = 0;
  foreign.gid = std::int64_t{1} << 32;
  cases.push_back({foreign, "group 4294967296"});
  auto open = entry_of("open", EntryType::kFile);
  for (const unsigned mode : {04757U, 02775U, 06777U}) {
    open.mode = mode;
    cases.push_back({open, "set-id"});
  }
  auto capable = entry_of("usr/bin/ping", EntryType::kFile);
  capable.attributes = {"user.note", "security.capability"};
  cases.push_back({capable, "file capabilities"});
  for (const auto& one : cases) {
    const auto verdict = judge(one.entry, {});
    ASSERT_FALSE(verdict) << one.entry.name << " " << one.words;
    EXPECT_EQ(verdict.error().code, EPERM);
    EXPECT_THAT(verdict.error().context, HasSubstr(one.words));
    EXPECT_EQ(verdict.error().context.front(), '"') << "begins with the name";
  }
}

TEST(Judge, LeavesOutWhatIsSpecialWhenTold) {
  const EntryRules rules{false, true};
  for (const auto type :
       {EntryType::kCharDevice, EntryType::kBlockDevice, EntryType::kFifo, EntryType::kSocket}) {
    const auto verdict = judge(entry_of("dev/x", type), rules);
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->action, Action::kSkip);
    EXPECT_TRUE(verdict->left_out);
  }
  auto capable = entry_of("usr/bin/ping", EntryType::kFile);
  capable.attributes = {"security.capability"};
  const auto verdict = judge(capable, rules);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->action, Action::kTake);
  EXPECT_TRUE(verdict->left_out);
  EXPECT_FALSE(judge(entry_of("../dev/x", EntryType::kFifo), rules)) << "its name still counts";
}

TEST(Judge, KnowsWhiteoutsOfLayersOnly) {
  const EntryRules layer{true, false};
  const auto hides = judge(entry_of("./usr/.wh.old", EntryType::kFile), layer);
  ASSERT_TRUE(hides);
  EXPECT_EQ(hides->action, Action::kWhiteout);
  EXPECT_EQ(hides->path, "usr/old");
  const auto top = judge(entry_of(".wh.old", EntryType::kFile), layer);
  EXPECT_EQ(top->path, "old");
  const auto opaque = judge(entry_of("usr/.wh..wh..opq", EntryType::kFile), layer);
  ASSERT_TRUE(opaque);
  EXPECT_EQ(opaque->action, Action::kOpaque);
  EXPECT_EQ(opaque->path, "usr");
  EXPECT_EQ(judge(entry_of(".wh..wh..opq", EntryType::kFile), layer)->path, "");
  EXPECT_EQ(judge(entry_of("usr/.wh.old", EntryType::kFile), {})->action, Action::kTake);
  for (const char* name :
       {".wh.", "usr/.wh.", "usr/.wh..", "usr/.wh...", ".wh..wh.plnk", ".wh..wh..opq2", "../.wh.x"})
    EXPECT_FALSE(judge(entry_of(name, EntryType::kFile), layer)) << name;
}

}  // namespace
}  // namespace panal::storage::unpack
