#include "runtime/cli/doctor_takers.h"

namespace panal::cli {
namespace {

constexpr const char* kTakersName = "taking memory back";

}  // namespace

Check check_takers(const optimiser::TakerChoice& choice) {
  if (!choice.chosen().empty()) return {kTakersName, Check::kOk, "by " + choice.text(), {}};
  return {kTakersName, Check::kWarning, choice.text(),
          "desktops run all the same; to have memory of idle ones back use Linux 5.10 or later and "
          "let panald keep CAP_SYS_NICE and CAP_SYS_PTRACE"};
}

std::vector<Check> probe_takers(const config::Config& config, const Tree& tree) {
  auto cgroups = kernel::CgroupRoot::open(tree);
  if (!cgroups) return {};  // check_cgroups() says so
  optimiser::KernelTrials trials(tree, std::move(*cgroups), config.cgroup_parent + "-trial");
  return {check_takers(optimiser::choose_way(trials))};
}

}  // namespace panal::cli
