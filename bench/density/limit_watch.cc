#include "bench/density/limit_watch.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/density/say.h"
#include "engine/kernel/flat_keyed.h"
#include "engine/kernel/vmstat.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// The desktop's own row of panald's answer; null without one.
const json* row_of(const json& stats, std::int64_t id) {
  const json& rows = stats.at("desktops");
  const auto found = std::find_if(rows.begin(), rows.end(), [id](const json& row) {
    return row.value("id", std::int64_t{0}) == id;
  });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

LimitWatch::LimitWatch(Tree tree, const BenchNode& node, const Load& load)
    : tree_(std::move(tree)), node_(node), load_(load) {
  const char* lab = std::getenv("PANAL_LAB_CGROUP");
  lab_ = lab == nullptr ? "" : lab;
}

Result<LimitWatch> LimitWatch::make(const BenchNode& node, const Load& load) {
  PANAL_ASSIGN(auto tree, Tree::open_system());
  LimitWatch out(std::move(tree), node, load);
  if (auto log = KernelLog::from_now()) {
    out.log_ = std::move(*log);
  } else {
    out.no_log_ = log.error().message();
    say("the kernel's log cannot be read: {}", out.no_log_);
  }
  if (const auto vm = kernel::read_vmstat(out.tree_)) out.machine_kills_before_ = vm->oom_kills;
  out.machine_kills_ = out.machine_kills_before_;
  return out;
}

std::uint64_t LimitWatch::refused_in(const std::string& group) const {
  const kernel::CgroupMount* mount = load_.root().layout().with("pids");
  if (mount == nullptr) return 0;
  std::uint64_t sum = 0;
  const auto add = [&](const std::string& path) {
    const auto text = tree_.cgroup.read(mount->directory + "/" + path + "/pids.events");
    if (!text) return;
    if (const auto events = kernel::find_flat_keyed(*text, "max")) sum += events->value_or(0);
  };
  add(group);
  const auto below = tree_.cgroup.list(mount->directory + "/" + group);
  for (const std::string& name : below.value_or(std::vector<std::string>{}))
    if (name.find('.') == std::string::npos) add(group + "/" + name);
  return sum;
}

Result<void> LimitWatch::look(const json& stats) {
  if (log_) log_->read();
  if (const auto vm = kernel::read_vmstat(tree_)) machine_kills_ = vm->oom_kills;
  for (const json& row : stats.at("desktops")) {
    // A desktop that ends takes its count with it: the highest there was.
    auto& kills = group_kills_["d" + std::to_string(row.value("id", std::int64_t{0}))];
    kills = std::max(kills, row.value("oom_kills", std::uint64_t{0}));
  }
  const json resort = stats.value(json::json_pointer("/optimiser/last_resort"), json::object());
  resort_processes_ = resort.value("killed_processes", std::uint64_t{0});
  resort_desktops_ = resort.value("killed_desktops", std::uint64_t{0});
  for (const std::string& path : {lab_ + "/run", load_.group().path()}) {
    const auto group = kernel::Cgroup::open(load_.root(), path);
    const auto use = group ? group->statistics() : Result<GroupUsage>();
    if (use && use->memory) group_kills_[path] = use->memory->oom_kills;
  }
  for (const std::string& path : {lab_, node_.config().cgroup_parent})
    refused_[path] = refused_in(path);
  return {};
}

std::uint64_t LimitWatch::kernel_kills() const {
  std::uint64_t counted = 0;
  for (const auto& [group, kills] : group_kills_) counted += kills;
  const std::uint64_t told = log_ ? log_->kills_below(lab_) : 0;
  return std::max(counted, told);
}

std::uint64_t LimitWatch::killed() const {
  return kernel_kills() + resort_processes_ + resort_desktops_;
}

std::set<std::int64_t> LimitWatch::fallen(const json& stats, const std::vector<Account>& accounts) {
  std::set<std::int64_t> out;
  for (const Account& account : accounts) {
    const json* row = row_of(stats, account.id);
    if (row == nullptr || row->value("oom_kills", std::uint64_t{0}) > 0 ||
        row->value("killed_processes", std::uint64_t{0}) > 0)
      out.insert(account.id);
  }
  return out;
}

json LimitWatch::report() const {
  json log = {{"read", log_.has_value()}};
  if (log_) {
    log["alarms"] = log_->alarms();
    log["lines"] = log_->lines();
    log["overruns"] = log_->overruns();
  } else {
    log["why_not"] = no_log_;
  }
  json by_group = json::object();
  for (const auto& [group, kills] : group_kills_)
    if (kills > 0) by_group[group] = kills;
  return {{"kernel_log", std::move(log)},
          {"killed", killed()},
          {"killed_by_kernel", kernel_kills()},
          {"killed_by_kernel_in", std::move(by_group)},
          {"killed_by_panald", resort_processes_},
          {"desktops_killed_by_panald", resort_desktops_},
          {"processes_refused", refused_},
          {"oom_kills_of_machine", machine_kills_ - machine_kills_before_}};
}

}  // namespace panal::bench
