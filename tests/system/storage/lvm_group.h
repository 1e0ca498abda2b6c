#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "storage/compose/program/run_program.h"

namespace panal::storage {

/// A volume group with a thin pool in a file, on a kernel that has device-mapper; gone with it.
class LvmGroup {
 public:
  /// `directory`: where the file goes. After it, problem() says what did not work.
  explicit LvmGroup(const std::string& directory)
      : name_("panaltest" + std::to_string(::getpid())) {
    ::setenv("DM_DISABLE_UDEV", "1", 1);  // a lab has an IPC namespace of its own
    const std::string file = directory + "/lvm.disk";
    if (!run({"truncate", "--size", "2G", file})) return;
    if (!run({"losetup", "--find", "--show", file})) return;
    device_ = said_.substr(0, said_.find('\n'));
    (void)(run({"pvcreate", "--yes", "--quiet", device_}) &&
           run({"vgcreate", "--yes", "--quiet", name_, device_}) &&
           run({"lvcreate", "--yes", "--quiet", "--type", "thin-pool", "--size", "1G", "--name",
                "pool", name_}));
  }
  ~LvmGroup() {
    if (device_.empty()) return;
    (void)run({"vgremove", "--yes", "--force", "--quiet", name_});
    (void)run({"pvremove", "--yes", "--quiet", device_});
    (void)run({"losetup", "--detach", device_});
  }
  LvmGroup(const LvmGroup&) = delete;
  LvmGroup& operator=(const LvmGroup&) = delete;

  [[nodiscard]] std::string pool() const { return name_ + "/pool"; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  bool run(const std::vector<std::string>& argv) {
    const auto done = run_program(argv, std::chrono::minutes(2));
    if (done)
      said_ = *done;
    else if (problem_.empty())
      problem_ = done.error().message();
    return done.has_value();
  }

  std::string name_, device_, said_, problem_;
};

}  // namespace panal::storage
