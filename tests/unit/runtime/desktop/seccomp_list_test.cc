#include "runtime/desktop/lxc/seccomp_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>

#include <set>
#include <sstream>

namespace panal::desktop::lxc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> rules(bool browser_sandbox) {
  std::vector<std::string> lines;
  std::istringstream in(render_seccomp_list(browser_sandbox));
  std::string line;
  for (int i = 0; i < 3 && std::getline(in, line); ++i) {
  }
  while (std::getline(in, line)) lines.push_back(line);
  return lines;
}

TEST(SeccompList, BeginsAsLiblxcWantsIt) {
  EXPECT_EQ(render_seccomp_list(false).rfind("2\ndenylist\n[all]\n", 0), 0U);
}

// liblxc only warns about a name that libseccomp does not know, and then does not refuse the call.
TEST(SeccompList, EveryNameIsKnownOnSomeArchitecture) {
  for (const std::string& line : rules(false)) {
    const std::string name = line.substr(0, line.find(' '));
    EXPECT_NE(seccomp_syscall_resolve_name(name.c_str()), __NR_SCMP_ERROR) << name;
  }
}

TEST(SeccompList, EveryRuleHasAnError) {
  for (const std::string& line : rules(false)) EXPECT_THAT(line, HasSubstr(" errno "));
}

TEST(SeccompList, RefusesWhatTheDesignNames) {
  std::set<std::string> names;
  for (const std::string& line : rules(false)) names.insert(line.substr(0, line.find(' ')));
  for (const char* name : {"bpf",
                           "perf_event_open",
                           "userfaultfd",
                           "keyctl",
                           "add_key",
                           "request_key",
                           "io_uring_setup",
                           "open_by_handle_at",
                           "mount",
                           "umount2",
                           "move_mount",
                           "fsopen",
                           "fsmount",
                           "open_tree",
                           "mount_setattr",
                           "pivot_root",
                           "setns",
                           "ptrace",
                           "process_vm_readv",
                           "process_madvise",
                           "kexec_load",
                           "init_module",
                           "reboot",
                           "clone3",
                           "madvise",
                           "prctl",
                           "clone",
                           "unshare"})
    EXPECT_EQ(names.count(name), 1U) << name;
  // A desktop without these does not live.
  for (const char* name : {"execve", "fork", "vfork", "mmap", "openat", "futex", "chroot"})
    EXPECT_EQ(names.count(name), 0U) << name;
}

TEST(SeccompList, ABrowsersSandboxMayMakeUserNamespaces) {
  const std::string open = render_seccomp_list(true);
  EXPECT_THAT(open, Not(HasSubstr("\nclone errno")));
  EXPECT_THAT(open, Not(HasSubstr("\nunshare errno")));
  EXPECT_THAT(open, HasSubstr("\nsetns errno"));
  EXPECT_THAT(open, HasSubstr("\nclone3 errno"));
}

TEST(SeccompList, OnlyAnEnlistedDesktopMovesItsProgramsOutOfMerging) {
  const char* const set = "\nprctl errno 22 [0,0x43,";
  const char* const get = "\nprctl errno 22 [0,0x44,";
  EXPECT_THAT(render_seccomp_list(false), HasSubstr(set));
  EXPECT_THAT(render_seccomp_list(false, true), Not(HasSubstr(set)));
  for (const bool merge : {false, true}) {
    EXPECT_THAT(render_seccomp_list(false, merge), HasSubstr(get));
    EXPECT_THAT(render_seccomp_list(false, merge), HasSubstr("\nmadvise errno 22 [2,0xc,"));
  }
}

TEST(SeccompList, NobodyMakesSubvolumesWhichNoQuotaCounts) {
  const std::string text = render_seccomp_list(true);
  for (const char* request : {"0x50009401", "0x5000940e", "0x50009417", "0x50009418"})
    EXPECT_THAT(text, HasSubstr(std::string("\nioctl errno 1 [1,") + request + ","));
}

TEST(SeccompList, OnlyFourSocketFamilies) {
  const std::string text = render_seccomp_list(false);
  for (const char* family : {"0x1,", "0x2,", "0xa,", "0x10,"})
    EXPECT_THAT(text, Not(HasSubstr(std::string("socket errno 97 [0,") + family)));
  for (const char* family : {"0x11,", "0x26,", "0x28,", "0x1d,"})
    EXPECT_THAT(text, HasSubstr(std::string("socket errno 97 [0,") + family));
}

}  // namespace
}  // namespace panal::desktop::lxc
