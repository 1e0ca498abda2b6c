#include "netconfine/firewall/iptables/program.h"

#include <gtest/gtest.h>

#include <csignal>

#include "netconfine/firewall/iptables/toolset.h"

namespace panal::netconfine {
namespace {

constexpr std::chrono::milliseconds kPlenty{30'000};

Program sh(const std::string& script) { return {"/bin/sh", {"-c", script}}; }

TEST(RunProgram, GivesInputAndTakesBothOutputs) {
  const auto ended = run_program(sh("cat; echo bad >&2; exit 3"), "one\ntwo\n", kPlenty);
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(ended->status, 3);
  EXPECT_EQ(ended->output, "one\ntwo\n");
  EXPECT_EQ(ended->errors, "bad\n");
}

TEST(RunProgram, LongOutputDoesNotBlock) {
  const auto ended = run_program(sh("head -c 300000 /dev/zero"), {}, kPlenty);
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(ended->output.size(), 300000U);
}

TEST(RunProgram, OneThatHangsIsKilled) {
  const auto ended = run_program(sh("exec sleep 1000"), {}, std::chrono::milliseconds(50));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ETIMEDOUT);
  EXPECT_EQ(ended.error().context, "sh has not ended within 50 ms and was killed");
}

TEST(RunProgram, ASignalIsAStatus) {
  const auto ended = run_program(sh("kill -TERM $$"), {}, kPlenty);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, 128 + SIGTERM);
}

TEST(RunProgram, HasItsOwnLockAndNoneOfOurEnvironment) {
  const auto ended = run_program({"/usr/bin/env", {}}, {}, kPlenty);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->output,
            "PATH=/usr/sbin:/sbin:/usr/bin:/bin\nLC_ALL=C\nXTABLES_LOCKFILE=/proc/self/fd/0\n");
}

TEST(RunProgram, AMissingProgramIsNamed) {
  const auto ended = run_program({"/nonexistent/iptables", {}}, {}, kPlenty);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ENOENT);
  EXPECT_EQ(ended.error().context, "start /nonexistent/iptables");
}

TEST(FindProgram, OnlyInTheSystemsDirectories) {
  const auto found = find_program("sh");
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found == "/usr/bin/sh" || *found == "/bin/sh") << *found;
  EXPECT_EQ(find_program("no-such-program").error().code, ENOENT);
}

TEST(FailureOf, IsOneSentence) {
  const Program restore{"/usr/sbin/iptables-restore", {"-n"}};
  const std::string input = "*raw\n:X - [0:0]\n-A X -j NOSUCH\nCOMMIT\n";
  const std::string help =
      "\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n";
  const std::vector<std::tuple<int, std::string, int, std::string>> table = {
      {2,
       "iptables-restore v1.8.9 (legacy): Couldn't load target `NOSUCH':No such file or directory\n"
       "\nError occurred at line: 3" +
           help,
       EPROTONOSUPPORT,
       "iptables-restore refuses \"-A X -j NOSUCH\": Couldn't load target `NOSUCH':No such file or "
       "directory"},
      {1, "iptables-restore: line 4 failed\n", EIO,
       "iptables-restore refuses \"COMMIT\": iptables-restore: line 4 failed"},
      {4,
       "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: CHAIN_DEL failed (Device or resource "
       "busy): chain PANAL-NEW\n",
       EIO,
       "iptables-restore refuses \":X - [0:0]\": line 2: CHAIN_DEL failed (Device or resource "
       "busy): chain PANAL-NEW"},
      {4,
       "iptables-nft-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: "
       "Permission denied (you must be root)\n",
       EPERM,
       "iptables-restore: Could not fetch rule set generation id: Permission denied (you must be "
       "root)"},
      {4,
       "Another app is currently holding the xtables lock; still 0s 0us time ahead to have a "
       "chance to grab the lock...\n",
       EAGAIN,
       "iptables-restore: Another app is currently holding the xtables lock; still 0s 0us time "
       "ahead to have a chance to grab the lock..."},
      {137, "", EIO, "iptables-restore was ended by signal 9"},
      {1, "\n", EIO, "iptables-restore has failed with status 1"},
      {1, "line 99 failed\n", EIO, "iptables-restore: line 99 failed"},
      {1, "line 99999999999999999999999 failed\n", EIO,
       "iptables-restore: line 99999999999999999999999 failed"},
  };
  for (const auto& [status, errors, code, sentence] : table) {
    const Error error = failure_of(restore, input, {status, {}, errors});
    EXPECT_EQ(error.code, code) << errors;
    EXPECT_EQ(error.context, sentence);
  }
}

TEST(Variant, IsReadFromTheVersion) {
  EXPECT_EQ(variant_of_version("iptables-restore v1.8.9 (nf_tables)"), IptablesVariant::kNft);
  EXPECT_EQ(variant_of_version("iptables-restore v1.8.9 (legacy)"), IptablesVariant::kLegacy);
  EXPECT_EQ(variant_of_version("iptables-restore v1.6.1"), IptablesVariant::kLegacy);
}

TEST(ArpText, LetsOnlyTheUplinkAsk) {
  EXPECT_EQ(arp_text(""), "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n");
  EXPECT_EQ(arp_text("up0"),
            "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -j ACCEPT -i up0\n"
            "-A OUTPUT -j ACCEPT -o up0\nCOMMIT\n");
}

}  // namespace
}  // namespace panal::netconfine
