#include "runtime/agent/user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace panal::agent {
namespace {

Frame welcome() {
  return Frame("welcome")
      .add("hostname", "desk")
      .add("login", "alice")
      .add("uid", "1000")
      .add("gid", "1000")
      .add("group", "audio:29")
      .add("home", "/home/alice")
      .add("shell", "/bin/bash")
      .add("timezone", "Europe/Madrid")
      .add("arg", "icewm-session");
}

Frame with(std::string_view key, const std::string& value) {
  Frame frame = welcome();
  for (auto& [name, text] : frame.fields) {
    if (name == key) text = value;
  }
  return frame;
}

User alice() { return parse_user(welcome()).value(); }

TEST(AgentUser, Parses) {
  const User user = alice();
  EXPECT_EQ(user.uid, 1000U);
  EXPECT_EQ(user.groups, (std::vector<std::pair<std::string, std::uint32_t>>{{"audio", 29}}));
  EXPECT_EQ(user.lang, "C.UTF-8");
}

TEST(AgentUser, ProgramsAreKeptApartByTheirNamesOnly) {
  EXPECT_EQ(apart_variable(alice()), "");
  const Frame frame = welcome()
                          .add("apart", "firefox-esr")
                          .add("apart", "a:b")
                          .add("apart", "")
                          .add("apart", "../x")
                          .add("apart", "x++");
  const auto user = parse_user(frame);
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->apart, (std::vector<std::string>{"firefox-esr", "x++"}));
  EXPECT_EQ(apart_variable(*user), "PANAL_APART=firefox-esr:x++");
}

TEST(AgentUser, BadRecords) {
  struct Case {
    const char* key;
    std::string value;
  };
  const Case cases[] = {
      {"login", "root"},
      {"login", ""},
      {"login", "a:b"},
      {"login", "Alice"},
      {"login", "a\nb"},
      {"uid", "0"},
      {"uid", "65535"},
      {"gid", "0"},
      {"uid", "-1"},
      {"group", "audio"},
      {"group", "audio:0"},
      {"group", "root:x"},
      {"home", "home"},
      {"home", "/home/../x"},
      {"home", "/"},
      {"home", "/a:b"},
      {"shell", "bash"},
      {"shell", "/bin/sh\n"},
      {"timezone", "../passwd"},
      {"timezone", "/etc/x"},
      {"hostname", ""},
      {"hostname", "a b"},
      {"hostname", std::string(64, 'a')},
  };
  for (const auto& test : cases) {
    EXPECT_FALSE(parse_user(with(test.key, test.value))) << test.key << "=" << test.value;
  }
  Frame frame = welcome();
  frame.fields.pop_back();
  EXPECT_FALSE(parse_user(frame)) << "no program";
}

TEST(Passwd, ReplacesNameAndUid) {
  EXPECT_EQ(
      passwd_with("root:x:0:0:root:/root:/bin/bash\nalice:x:7:7::/a:/b\nbob:x:1000:5::/c:/d\n",
                  alice()),
      "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n");
  EXPECT_EQ(passwd_with("", alice()), "alice:x:1000:1000::/home/alice:/bin/bash\n");
  EXPECT_EQ(passwd_with("nobody:x:65534", alice()),
            "nobody:x:65534\nalice:x:1000:1000::/home/alice:/bin/bash\n");
}

TEST(Passwd, IsStable) {
  const std::string once = passwd_with("root:x:0:0:::\n", alice());
  EXPECT_EQ(passwd_with(once, alice()), once);
}

TEST(Group, TheRecordsGidsCount) {
  EXPECT_EQ(group_with("root:x:0:\naudio:x:63:pulse\n", alice()),
            "root:x:0:\naudio:x:29:pulse,alice\nalice:x:1000:\n");
  EXPECT_EQ(group_with("users:x:1000:\n", alice()), "users:x:1000:\naudio:x:29:alice\n");
  EXPECT_EQ(group_with("alice:x:5:\n", alice()), "audio:x:29:alice\nalice:x:1000:\n");
}

TEST(Group, IsStable) {
  const std::string once = group_with("root:x:0:\naudio:x:29:\n", alice());
  EXPECT_EQ(group_with(once, alice()), once);
}

TEST(Hosts, KeepsOtherLines) {
  EXPECT_EQ(hosts_with("127.0.0.1 localhost old\n# mine\n10.0.0.1 server\n", "desk"),
            "127.0.0.1\tlocalhost\n127.0.1.1\tdesk\n::1\tlocalhost\n# mine\n10.0.0.1 server\n");
}

TEST(Environment, NoAccessibilityBusAndItsOwnCookie) {
  const auto environment = session_environment(alice(), 100, "/run/x", false);
  EXPECT_THAT(environment,
              testing::IsSupersetOf({"DISPLAY=:100", "XAUTHORITY=/run/x", "HOME=/home/alice",
                                     "USER=alice", "TZ=Europe/Madrid", "NO_AT_BRIDGE=1",
                                     "XDG_RUNTIME_DIR=/run/user/1000"}));
  EXPECT_THAT(session_environment(alice(), 100, "/x", true),
              testing::Contains("PULSE_SERVER=tcp:127.0.0.1:7100"));
}

TEST(User, PicturesAreSharedUnlessTheProfileSaysNo) {
  EXPECT_TRUE(parse_user(welcome())->shared_pictures) << "an old panald says nothing";
  EXPECT_TRUE(parse_user(welcome().add("shared_pictures", "1"))->shared_pictures);
  EXPECT_FALSE(parse_user(welcome().add("shared_pictures", "0"))->shared_pictures);
}

TEST(Environment, HeapsAreLeanWhereTheProfileSaysSo) {
  struct Case {
    const char* word;
    std::size_t variables;
  };
  const std::size_t usual = session_environment(alice(), 100, "/x", false).size();
  for (const Case& c : {Case{"1", 2}, Case{"0", 0}, Case{"", 0}, Case{"yes", 0}, Case{"11", 0}}) {
    const auto user = parse_user(welcome().add("lean_heap", c.word));
    ASSERT_TRUE(user);
    EXPECT_EQ(heap_variables(*user).size(), c.variables) << c.word;
    EXPECT_EQ(session_environment(*user, 100, "/x", false).size(), usual + c.variables) << c.word;
  }
  EXPECT_THAT(
      heap_variables(parse_user(welcome().add("lean_heap", "1")).value()),
      testing::ElementsAre("GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0",
                           "G_SLICE=always-malloc"));
}

}  // namespace
}  // namespace panal::agent
