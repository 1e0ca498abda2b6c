#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/model/snapshot.h"
#include "runtime/optimiser/enclosing_groups.h"
#include "tests/unit/engine/kernel/fixture_tree.h"

namespace panal::optimiser {

/// A machine of two cores in files, on which each desktop takes something of everything. Counters
/// grow as time goes by, which it does when told.
class FakeMachine {
 public:
  // What one desktop takes.
  double memory_mib = 10, tasks = 8, files = 100, terminals = 2, keys = 1, key_bytes = 20;
  double cores = 0.001, disk_percent = 0, sent_mbit = 0;
  // What all others do.
  double other_cores = 0.1, other_disk_percent = 1, other_mbit = 0.5;
  // The share of the time in which a desktop's task waits.
  double cpu_waits = 0, io_waits = 1;
  // Limits.
  double available_mib = 12'000;  // with no desktop
  double group_mib = 0;           // 0: none
  double pid_max = 32'768, group_pids = 0, file_max = 1e6, pty_max = 4'096, pty_reserve = 1'024;
  double key_max = 1e6, key_bytes_max = 25e6, link_mbit = 1'000;

  double desktops = 0;

  FakeMachine() {
    put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
    put("cgroup/cgroup.controllers", "memory pids\n");
    put("cgroup/panal/memory.events", "oom 0\noom_kill 0\n");
    for (const char* resource : {"cpu", "memory", "io"}) waited("proc/pressure/", resource, 0);
    put("sys/block/sda/size", "1\n");
    pass(1);
  }

  /// So many seconds go by, with the desktops that there are.
  void pass(double seconds) {
    now_ns_ += static_cast<MonotonicNs>(seconds * 1e9);
    own_seconds_ += seconds * cores * desktops;
    busy_seconds_ += seconds * (cores * desktops + other_cores);
    disk_ms_ += 10 * seconds * (disk_percent * desktops + other_disk_percent);
    sent_bytes_ += seconds * (sent_mbit * desktops + other_mbit) * 1e6 / 8;
    flowed_bytes = seconds * sent_mbit * desktops * 1e6 / 8;
    cpu_waited_ += seconds * cpu_waits;
    io_waited_ += seconds * io_waits;
    write();
  }
  /// What anybody can read without time going by.
  void write() const {
    put("proc/meminfo", "MemTotal: 25165824 kB\nMemFree: 0 kB\nMemAvailable: " +
                            whole((available_mib - memory_mib * desktops) * 1024) + " kB\n");
    put("proc/loadavg", "0.00 0.00 0.00 1/" + whole(500 + tasks * desktops) + " 4711\n");
    put("proc/sys/kernel/pid_max", whole(pid_max) + "\n");
    put("proc/sys/kernel/threads-max", "192730\n");
    put("proc/sys/fs/file-nr", whole(1'000 + files * desktops) + "\t0\t" + whole(file_max) + "\n");
    put("proc/sys/kernel/pty/nr", whole(terminals * desktops) + "\n");
    put("proc/sys/kernel/pty/max", whole(pty_max) + "\n");
    put("proc/sys/kernel/pty/reserve", whole(pty_reserve) + "\n");
    put("proc/key-users", "    0: 9 8/8 " + whole(3 + keys * desktops) + "/" + whole(key_max) +
                              " " + whole(40 + key_bytes * desktops) + "/" + whole(key_bytes_max) +
                              "\n1000000: 1 1/1 1/200 5/20000\n");
    // In hundredths of a second.
    put("proc/stat", "cpu  " + whole(busy_seconds_ * 100) + " 0 0 7 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n");
    put("proc/diskstats", "   8       0 sda 1 0 1 0 1 0 1 0 0 " + whole(disk_ms_) + " 1\n");
    put("proc/net/dev", "  eth0: 5 1 0 0 0 0 0 0 " + whole(sent_bytes_) + " 1 0 0 0 0 0 0\n");
    put("sys/class/net/eth0/speed", whole(link_mbit) + "\n");
    const std::string group = "cgroup/panal/";
    const std::string charge = whole(memory_mib * desktops * 1024 * 1024);
    put(group + "memory.max",
        (group_mib > 0 ? whole(group_mib * 1024 * 1024) : std::string("max")) + "\n");
    put(group + "memory.current", charge + "\n");
    put(group + "memory.stat", "anon " + charge + "\nfile 0\n");
    put(group + "cpu.stat", "usage_usec " + whole(own_seconds_ * 1e6) + "\n");
    put(group + "pids.max", (group_pids > 0 ? whole(group_pids) : std::string("max")) + "\n");
    put(group + "pids.current", whole(tasks * desktops) + "\n");
    waited(group, "cpu.pressure", cpu_waited_);
    waited(group, "io.pressure", io_waited_);
    waited(group, "memory.pressure", 0);
  }
  std::vector<kernel::Cgroup> groups() const {
    return std::move(*enclosing_groups(*kernel::CgroupRoot::open(tree), "panal"));
  }
  MonotonicNs now_ns() const { return now_ns_; }

  double flowed_bytes = 0;  ///< to clients, while the last time went by
  kernel::FixtureTree at{{}};
  Tree tree = at.tree();

 private:
  static std::string whole(double value) {
    return std::to_string(static_cast<std::uint64_t>(std::llround(std::max(0.0, value))));
  }
  /// Only what has changed is written: time goes by in hundreds of steps.
  void put(const std::string& file, const std::string& text) const {
    std::string& before = written_[file];
    if (before == text) return;
    at.write(file, text);
    before = text;
  }
  void waited(const std::string& where, const std::string& what, double seconds) const {
    const std::string line =
        " avg10=0.00 avg60=0.00 avg300=0.00 total=" + whole(seconds * 1e6) + "\n";
    put(where + what, "some" + line + "full" + line);
  }

  mutable std::map<std::string, std::string> written_;
  MonotonicNs now_ns_ = 0;
  double own_seconds_ = 0, busy_seconds_ = 0, disk_ms_ = 0, sent_bytes_ = 0, cpu_waited_ = 0,
         io_waited_ = 0;
};

}  // namespace panal::optimiser
