#include "bench/density/ksm_arm.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <thread>

#include "bench/density/ksm_laws.h"
#include "bench/density/ksm_recorder.h"
#include "bench/density/load.h"
#include "bench/density/say.h"
#include "bench/density/stored.h"
#include "bench/density/units.h"
#include "engine/kernel/meminfo.h"
#include "engine/policy/ksm_trace.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

/// Everything that merged comes apart: the next arm begins with nothing.
Result<void> unmerge(const Tree& tree) {
  PANAL_ASSIGN(KsmSettings settings, kernel::read_ksm_settings(tree));
  settings.advisor = KsmAdvisor::kNone;
  for (const KsmRun run : {KsmRun::kStopped, KsmRun::kUnmerging, KsmRun::kStopped}) {
    settings.run = run;
    PANAL_TRY(kernel::write_ksm_settings(tree, settings));
  }
  return {};
}

/// `dense` without swap, and with the governor or without.
Result<std::string> write_profile(const std::string& name) {
  const char* temporary = std::getenv("TMPDIR");
  const std::string file =
      fmt::format("{}/ksm-{}.toml", temporary == nullptr ? "/tmp" : temporary, name);
  PANAL_TRY(write_file(
      file, fmt::format("name = \"ksm-{}\"\nbased_on = \"dense\"\n[ksm]\ngovernor = {}\n[zram]\n"
                        "enabled = false\n[zswap]\nenabled = false\n",
                        name, name == kGovernorArm)));
  return file;
}

/// The sum of RSS of all processes of all desktops, as ksmtuned sums its guests'.
double rss_bytes(const Tree& tree, const Load& load, const BenchNode& node) {
  const auto group = kernel::Cgroup::open(load.root(), node.config().cgroup_parent);
  const auto pids = group ? group->pids() : tl::make_unexpected(group.error());
  if (!pids) return 0;  // nothing has started yet
  double pages = 0;
  for (const pid_t pid : *pids) {
    const auto text = tree.proc.read(std::to_string(pid) + "/statm");
    unsigned long long size = 0, resident = 0;
    if (text && std::sscanf(text->c_str(), "%llu %llu", &size, &resident) == 2)
      pages += static_cast<double>(resident);
  }
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

std::vector<Account> every_nth(const std::vector<Account>& accounts, std::size_t count) {
  std::vector<Account> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(accounts[i * accounts.size() / count]);
  return out;
}

class Arm {
 public:
  Arm(const KsmOptions& options, std::string name, double full_rss_bytes, Tree tree,
      BenchNode& node)
      : options_(options),
        name_(std::move(name)),
        full_rss_bytes_(full_rss_bytes),
        tree_(std::move(tree)),
        node_(node) {}

  Result<KsmArmRun> run();

 private:
  Result<void> set_pace();
  Result<void> tick(double seconds);
  Result<void> tick_ksmtuned(double seconds);
  Result<void> tick_governor();
  Result<double> start(const std::vector<Account>& accounts);
  Result<void> churn(const std::vector<Account>& accounts);
  void wait_until(double seconds);

  const KsmOptions& options_;
  std::string name_;
  double full_rss_bytes_;
  Tree tree_;
  BenchNode& node_;
  std::unique_ptr<Load> load_;
  KsmtunedLaw ksmtuned_;
  double next_decision_ = KsmtunedLaw::kEverySeconds;
  double memory_total_bytes_ = 0;
  KsmArmRun out_;
  std::unique_ptr<KsmRecorder> recorder_;  ///< last: its thread uses all of the above
};

/// Before anything starts. The governor's arm is left to panald.
Result<void> Arm::set_pace() {
  if (name_ == kGovernorArm) return {};
  PANAL_ASSIGN(const KsmSettings base, kernel::read_ksm_settings(tree_));
  KsmSettings wanted = base;
  if (name_ == "fixed") wanted = fixed_pace(base);
  if (name_ == "advisor") wanted = advised_pace(base);
  if (name_ == kKsmtunedArm) wanted.run = KsmRun::kStopped;  // until its first minute is over
  return kernel::write_ksm_settings(tree_, wanted);
}

/// Its host is as full as the desktops make it: their RSS is shown to it in the proportion in
/// which all of them would fill this machine.
Result<void> Arm::tick_ksmtuned(double seconds) {
  if (seconds < next_decision_) return {};
  next_decision_ += KsmtunedLaw::kEverySeconds;
  const double share = rss_bytes(tree_, *load_, node_) / full_rss_bytes_;
  const double committed = memory_total_bytes_ * share;
  PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
  const KsmSettings wanted = ksmtuned_.decide(
      now, {static_cast<std::uint64_t>(memory_total_bytes_), static_cast<std::uint64_t>(committed),
            static_cast<std::uint64_t>(std::max(0.0, memory_total_bytes_ - committed))});
  say("ksmtuned: host {:.0f} % full, {}", share * 100,
      wanted.run == KsmRun::kRunning
          ? fmt::format("{} pages every {} ms", wanted.pages_to_scan, wanted.sleep_ms)
          : "stopped");
  return kernel::write_ksm_settings(tree_, wanted);
}

/// A second without an answer is a gap in the trace and no more.
Result<void> Arm::tick_governor() {
  const auto stats = node_.stats();
  if (!stats) return {};
  const json ksm = stats->value("optimiser", json::object()).value("ksm", json::object());
  const auto values = ksm.find("trace_row");
  if (values == ksm.end() || !values->is_array()) return {};
  std::vector<std::optional<std::int64_t>> row;
  for (const auto& value : *values)
    row.push_back(value.is_number() ? std::optional(value.get<std::int64_t>()) : std::nullopt);
  if (row.size() != out_.trace.columns.size() || !row[0]) return {};
  auto& rows = out_.trace.rows;
  if (rows.empty() || *row[0] > *rows.back()[0]) rows.push_back(std::move(row));
  return {};
}

Result<void> Arm::tick(double seconds) {
  if (name_ == kKsmtunedArm) return tick_ksmtuned(seconds);
  if (name_ == kGovernorArm) return tick_governor();
  return {};
}

/// Starts them, each with its client as soon as it runs, and waits until all have one. When the
/// last of them ran, in the recorder's seconds.
Result<double> Arm::start(const std::vector<Account>& accounts) {
  std::vector<std::string> words = {"desktop", "start", "--no-wait"};
  for (const auto& account : accounts) words.push_back(account.desktop);
  PANAL_TRY(node_.panal(words));
  const double patience = recorder_->now() + 60 + 8 * static_cast<double>(accounts.size());
  std::set<std::int64_t> running, connected;
  double last = recorder_->now();
  while (connected.size() < accounts.size()) {
    PANAL_ASSIGN(const auto live, node_.live());
    for (const auto& account : accounts) {
      const auto found = live.find(account.id);
      if (found == live.end() || !found->second.agent) continue;
      if (running.insert(account.id).second) {
        last = recorder_->now();
        PANAL_TRY(load_->connect(account));
      }
      if (found->second.session == "connected") connected.insert(account.id);
    }
    if (recorder_->now() > patience)
      return fail(ETIMEDOUT, fmt::format("{} of {} desktops run and {} have a client",
                                         running.size(), accounts.size(), connected.size()));
    std::this_thread::sleep_for(milliseconds(50));
  }
  return last;
}

void Arm::wait_until(double seconds) {
  while (recorder_->now() < seconds) {
    const double left = seconds - recorder_->now();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, 60.0)));
    const KsmPoint now = recorder_->last();
    say("{}: {:.0f} MiB won, ksmd used {:.1f} s", name_, now.profit_bytes / kMib,
        now.ksmd_cpu_seconds);
  }
}

Result<void> Arm::churn(const std::vector<Account>& accounts) {
  const double begin = recorder_->now();
  std::vector<std::string> words = {"desktop", "stop"};
  for (const auto& account : accounts) words.push_back(account.desktop);
  PANAL_TRY(node_.panal(words));
  out_.details["churn_stop_seconds"] = recorder_->now() - begin;
  PANAL_ASSIGN(const double last, start(accounts));
  out_.details["churn_seconds"] = last - begin;
  say("{}: {} desktops stopped and started again in {:.1f} s", name_, accounts.size(),
      last - begin);
  wait_until(last + options_.attached_seconds);
  load_->disconnect(accounts);
  return {};
}

Result<KsmArmRun> Arm::run() {
  out_.arm.name = name_;
  out_.trace.columns = policy::ksm_trace_columns();
  PANAL_ASSIGN(const HostMemory memory, kernel::read_meminfo(tree_));
  memory_total_bytes_ = static_cast<double>(memory.total);
  PANAL_TRY(node_.use_image(options_.image));
  PANAL_ASSIGN(const auto accounts, node_.make_desktops(options_.image, options_.count));
  PANAL_ASSIGN(load_, Load::make(node_));
  PANAL_TRY(set_pace());
  PANAL_ASSIGN(recorder_, KsmRecorder::start(tree_, [this](double at) { return tick(at); }));
  PANAL_ASSIGN(const double origin, start(accounts));
  say("{}: {} desktops run after {:.1f} s", name_, accounts.size(), origin);
  wait_until(origin + options_.attached_seconds);
  out_.rss_bytes = rss_bytes(tree_, *load_, node_);
  load_->disconnect_all();
  const double window = options_.window_seconds;
  wait_until(origin + window * 8 / 15);
  const std::size_t leaving =
      options_.churn_percent == 0
          ? 0
          : std::max<std::size_t>(1, accounts.size() * options_.churn_percent / 100);
  if (leaving > 0) PANAL_TRY(churn(every_nth(accounts, leaving)));
  wait_until(origin + window + 1);
  // Desktops that died in silence would leave less to merge.
  PANAL_TRY(node_.wait_for(
      accounts, "all desktops to live still",
      [](const LiveDesktop& desktop) { return desktop.agent; }, std::chrono::seconds(5)));
  PANAL_ASSIGN(out_.arm.points, recorder_->end(origin));
  out_.details["starts_seconds"] = origin;
  out_.details["churned"] = leaving;
  out_.details["rss_mib"] = out_.rss_bytes / kMib;
  return std::move(out_);
}

}  // namespace

Result<KsmArmRun> run_ksm_arm(const KsmOptions& options, const std::string& name,
                              double full_rss_bytes) {
  if (name != kGovernorArm && name != kKsmtunedArm && name != "fixed" && name != "advisor")
    return fail(EINVAL, "there is no arm \"" + name + "\": governor, fixed, advisor, ksmtuned");
  if (name == kKsmtunedArm && full_rss_bytes <= 0)
    return fail(EINVAL, "ksmtuned wants another arm before it: how full a host the desktops make");
  PANAL_ASSIGN(auto tree, Tree::open_system());
  PANAL_TRY(unmerge(tree));
  PANAL_ASSIGN(const std::string profile, write_profile(name));
  say("{}: panal up", name);
  PANAL_ASSIGN(auto node, BenchNode::up({.profile = profile}));
  PANAL_ASSIGN(const KsmSettings tuned, kernel::read_ksm_settings(tree));
  auto result = [&]() -> Result<KsmArmRun> {
    PANAL_ASSIGN(auto own, Tree::open_system());
    Arm arm(options, name, full_rss_bytes, std::move(own), node);
    return arm.run();
  }();
  // As the profile had them: `panal tune revert` goes back from there.
  const auto restored =
      name == kGovernorArm ? Result<void>{} : kernel::write_ksm_settings(tree, tuned);
  const auto down = node.down();
  if (!result) return prefixed("arm " + name, result.error());
  if (!restored) return prefixed("arm " + name + ", afterwards", restored.error());
  if (!down) return prefixed("arm " + name + ", afterwards", down.error());
  return result;
}

}  // namespace panal::bench
