#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "runtime/agent/protocol.h"
#include "runtime/desktop/lxc/config.h"

namespace panal::desktop::lxc {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

ContainerSpec a_spec() {
  ContainerSpec spec;
  spec.desktop.id = 7;
  spec.desktop.name = "Alice's Desk";
  spec.desktop.user.home_path = "/home/alice";
  spec.desktop.ids = IdRange{1000000, 65536};
  spec.desktop.limits.memory_bytes = std::uint64_t{2} << 30U;
  spec.desktop.limits.pids = 512;
  spec.run_dir = "/r/d7";
  spec.log_dir = "/s/d7/log";
  spec.root = "/r/d7/root";
  spec.home = "/r/d7/home";
  spec.shared_dir = "/r/d7/host";
  return spec;
}

const ConfigSite kSite{"/opt/panal/panal-agent", "lab/panal", "/r/d7/seccomp.list", "/r/lxc/empty",
                       "panal-desktop"};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> render(const ContainerSpec& spec) {
  const auto text = render_config(spec, kSite);
  EXPECT_TRUE(text) << text.error().message();
  return lines_of(text.value_or(""));
}

TEST(LxcConfig, HasWhatConfinesTheContainer) {
  const auto lines = render(a_spec());
  for (const char* line :
       {"lxc.uts.name = alice-s-desk",
        "lxc.idmap = u 0 1000000 65536",
        "lxc.idmap = g 0 1000000 65536",
        "lxc.net.0.type = empty",
        "lxc.no_new_privs = 1",
        "lxc.apparmor.profile = panal-desktop",
        "lxc.seccomp.profile = /r/d7/seccomp.list",
        "lxc.init.cmd = /.panal/panal-agent",
        "lxc.rootfs.path = dir:/r/d7/root",
        "lxc.mount.auto = proc:mixed sys:ro",
        "lxc.autodev = 1",
        "lxc.tty.max = 0",
        "lxc.pty.max = 64",
        "lxc.proc.oom_score_adj = 500",
        "lxc.log.file = /s/d7/log/lxc.log",
        "lxc.console.logfile = /s/d7/log/console.log",
        "lxc.cgroup.relative = 1",
        "lxc.cgroup.dir.container = lab/panal/d7",
        "lxc.cgroup.dir.monitor = lab/panal-monitor/d7",
        "lxc.cgroup.devices.deny = a",
        "lxc.cgroup2.devices.deny = a",
        "lxc.cgroup.memory.limit_in_bytes = 2147483648",
        "lxc.cgroup2.memory.max = 2147483648",
        "lxc.cgroup.pids.max = 512",
        "lxc.cgroup2.pids.max = 512",
        "lxc.mount.entry = /opt/panal/panal-agent .panal/panal-agent none "
        "bind,ro,nosuid,nodev,create=file 0 0",
        "lxc.mount.entry = /r/d7/home home/alice none bind,nosuid,nodev,create=dir 0 0",
        "lxc.mount.entry = /r/d7/host run/panal none bind,nosuid,nodev,noexec,create=dir 0 0"})
    EXPECT_THAT(lines, Contains(line));
}

TEST(LxcConfig, KeepsOnlyTheCapabilitiesInitNeeds) {
  std::string kept;
  for (const std::string& line : render(a_spec()))
    if (line.rfind("lxc.cap.keep = ", 0) == 0) kept = " " + line.substr(15) + " ";
  ASSERT_FALSE(kept.empty());
  for (const char* name : {"sys_", "net_admin", "net_raw", "mknod", "audit", "mac_", "setfcap",
                           "setpcap", "linux_immutable", "bpf", "perfmon", "syslog", "ipc_"})
    EXPECT_THAT(kept, Not(HasSubstr(name)));
  for (const char* name : {" setuid ", " setgid ", " kill ", " chown "})
    EXPECT_THAT(kept, HasSubstr(name));
}

TEST(LxcConfig, TheSharedDirectoryIsMountedAfterItsParent) {
  const auto lines = render(a_spec());
  const auto index = [&](const std::string& part) {
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (lines[i].find(part) != std::string::npos) return static_cast<int>(i);
    return -1;
  };
  EXPECT_LT(index(" run tmpfs "), index(" run/panal none "));
}

TEST(LxcConfig, OnlyHarmlessDevices) {
  for (const std::string& line : render(a_spec())) {
    if (line.rfind("lxc.cgroup.devices.allow = ", 0) != 0) continue;
    const std::string device = line.substr(27);
    EXPECT_THAT((std::vector<std::string>{"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                                          "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"}),
                Contains(device));
  }
}

TEST(LxcConfig, AbsentLimitsAreNotSet) {
  ContainerSpec spec = a_spec();
  spec.desktop.limits = {};
  for (const std::string& line : render(spec)) {
    EXPECT_THAT(line, Not(HasSubstr("memory.max")));
    EXPECT_THAT(line, Not(HasSubstr("pids.max")));
    EXPECT_THAT(line, Not(HasSubstr("cpu.")));
  }
}

TEST(LxcConfig, CpuLimitsOfBothVersions) {
  ContainerSpec spec = a_spec();
  spec.desktop.limits.cpu_weight = 200;
  spec.desktop.limits.cpu_quota_permille = 1500;
  const auto lines = render(spec);
  EXPECT_THAT(lines, Contains("lxc.cgroup.cpu.shares = 2048"));
  EXPECT_THAT(lines, Contains("lxc.cgroup2.cpu.weight = 200"));
  EXPECT_THAT(lines, Contains("lxc.cgroup.cpu.cfs_quota_us = 150000"));
  EXPECT_THAT(lines, Contains("lxc.cgroup2.cpu.max = 150000 100000"));
}

TEST(LxcConfig, UntoldNothingOfTheGuestIsChanged) {
  const auto lines = render(a_spec());
  for (const std::string& line : lines) {
    EXPECT_THAT(line, Not(HasSubstr("meminfo")));
    EXPECT_THAT(line, Not(HasSubstr(" var/")));
    EXPECT_THAT(line, Not(HasSubstr("panal-cache")));
  }
  EXPECT_THAT(lines, Contains("lxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev,mode=1777,size=512m,"
                              "nr_inodes=65536,create=dir 0 0"));
  EXPECT_TRUE(scratch_targets(a_spec().desktop).empty());
}

TEST(LxcConfig, GuestFilesStandOverTheKernels) {
  ConfigSite site = kSite;
  site.guest_files = {{"meminfo", "proc/meminfo", ""}};
  const auto text = render_config(a_spec(), site);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_THAT(lines_of(*text), Contains("lxc.mount.entry = /r/d7/meminfo proc/meminfo none "
                                        "bind,ro,nosuid,nodev,noexec,optional 0 0"));
}

TEST(LxcConfig, WhatNobodyMissesIsInMemoryOrOff) {
  ContainerSpec spec = a_spec();
  spec.desktop.guest = {.logs = Scratch::kMemory,
                        .var_tmp = Scratch::kMemory,
                        .cache_in_memory = true,
                        .cache_percent = 5,
                        .scratch_percent = 10};
  auto lines = render(spec);
  for (const char* line :
       {"lxc.mount.entry = tmpfs var/log tmpfs nosuid,nodev,noexec,mode=755,size=16m,"
        "nr_inodes=4096,create=dir 0 0",
        "lxc.mount.entry = tmpfs var/tmp tmpfs nosuid,nodev,mode=1777,size=204m,nr_inodes=16384,"
        "create=dir 0 0",
        "lxc.mount.entry = tmpfs tmp tmpfs nosuid,nodev,mode=1777,size=204m,nr_inodes=65536,"
        "create=dir 0 0",
        "lxc.mount.entry = tmpfs run/panal-cache tmpfs nosuid,nodev,mode=700,uid=1000,gid=1000,"
        "size=102m,nr_inodes=65536,create=dir 0 0"})
    EXPECT_THAT(lines, Contains(line));
  EXPECT_THAT(scratch_targets(spec.desktop), ::testing::ElementsAre("var/log", "var/tmp"));

  spec.desktop.guest.logs = Scratch::kOff;
  EXPECT_THAT(render(spec), Contains("lxc.mount.entry = /r/lxc/empty var/log none "
                                     "bind,ro,nosuid,nodev,noexec,create=dir 0 0"));

  // What is kept is kept, but for caches, which can be made again.
  spec.desktop.persistent = true;
  lines = render(spec);
  for (const std::string& line : lines) EXPECT_THAT(line, Not(HasSubstr(" var/")));
  EXPECT_THAT(lines, Contains(HasSubstr(" run/panal-cache tmpfs ")));
  EXPECT_TRUE(scratch_targets(spec.desktop).empty());
}

TEST(LxcConfig, ScratchSpaceIsSomeWhateverTheLimit) {
  ContainerSpec spec = a_spec();
  spec.desktop.limits.memory_bytes = std::uint64_t{32} << 20U;
  EXPECT_THAT(render(spec), Contains(HasSubstr("mode=1777,size=16m,")));
  for (const auto limit : {std::optional<std::uint64_t>(), std::optional(kUnlimited)}) {
    spec.desktop.limits.memory_bytes = limit;
    EXPECT_THAT(render(spec), Contains(HasSubstr("mode=1777,size=256m,")));
  }
}

TEST(LxcConfig, BlanksInHostPathsAreEscaped) {
  ContainerSpec spec = a_spec();
  spec.home = "/r/my d7/home#1";
  EXPECT_THAT(render(spec), Contains("lxc.mount.entry = /r/my\\040d7/home\\0431 home/alice none "
                                     "bind,nosuid,nodev,create=dir 0 0"));
}

TEST(LxcConfig, ValuesThatWouldChangeItsMeaningAreRefused) {
  const auto refused = [](const char* what, const auto& change) {
    ContainerSpec spec = a_spec();
    change(spec);
    const auto text = render_config(spec, kSite);
    ASSERT_FALSE(text) << what;
    EXPECT_EQ(text.error().code, EINVAL);
  };
  for (const char* home :
       {"", "/", "home/alice", "/home/../etc", "/home/./a", "/..", "/home//a", "/home/a b",
        "/home/a\nlxc.cap.keep = sys_admin", "/home/a\t", "/home/\xc3\xa9", "/home/a,suid"})
    refused(home, [&](ContainerSpec& s) { s.desktop.user.home_path = home; });
  refused("root", [](ContainerSpec& s) { s.root = "/r\nlxc.hook.start = /bin/sh"; });
  refused("log", [](ContainerSpec& s) { s.log_dir = "/l\n"; });
  refused("empty", [](ContainerSpec& s) { s.shared_dir.clear(); });
  refused("ids", [](ContainerSpec& s) { s.desktop.ids = IdRange{0, 65536}; });
  refused("no ids", [](ContainerSpec& s) { s.desktop.ids.count = 0; });
}

TEST(HostName, IsMadeOfWhatTheUserWrote) {
  const std::map<std::string, std::string> cases = {
      {"alice", "alice"},
      {"Alice's Desk", "alice-s-desk"},
      {"--x--", "x"},
      {"", "d7"},
      {"\n\n", "d7"},
      {"\xd0\x9f\xd1\x80", "d7"},
      {"a\nlxc.cap.keep=1", "a-lxc-cap-keep-1"},
      {std::string(100, 'a'), std::string(63, 'a')},
  };
  for (const auto& [name, want] : cases) EXPECT_EQ(host_name(name, 7), want) << name;
}

}  // namespace
}  // namespace panal::desktop::lxc
