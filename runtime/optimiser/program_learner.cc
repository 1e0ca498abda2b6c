#include "runtime/optimiser/program_learner.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"
#include "engine/kernel/ksm.h"
#include "engine/kernel/process_file.h"
#include "engine/kernel/process_start.h"
#include "engine/model/program.h"
#include "engine/policy/ksm_programs_text.h"

namespace panal::optimiser {
namespace {

constexpr std::chrono::minutes kLookEvery{1};
/// 1,024 programs take at most 200 KiB.
constexpr std::size_t kLargestFile = 1 << 20;

std::int64_t boot_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

/// As /proc/PID/stat counts.
std::uint64_t ticks_of(std::int64_t boot_ns) {
  const auto per_second = static_cast<std::int64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  return static_cast<std::uint64_t>(boot_ns / (1'000'000'000 / per_second));
}

}  // namespace

ProgramLearner::~ProgramLearner() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  end_came_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (!changed_) return;
  if (const auto saved = save(); !saved)
    parts_.log->warning("ksm_programs", {{"why", saved.error().message()}});
}

Result<void> ProgramLearner::load() {
  if (parts_.file.empty()) return {};
  const std::size_t slash = parts_.file.rfind('/');
  PANAL_ASSIGN(const Dir dir, Dir::open(parts_.file.substr(0, slash)));
  const auto text = dir.read(parts_.file.substr(slash + 1), kLargestFile);
  if (!text && text.error().code == ENOENT) return {};
  if (!text) return tl::make_unexpected(text.error());
  auto programs = policy::parse_ksm_programs(*text);
  if (!programs) return prefixed(parts_.file, std::move(programs.error()));
  const std::lock_guard lock(mutex_);
  programs_.restore(std::move(*programs));
  return {};
}

void ProgramLearner::begin() {
  thread_ = std::thread([this] { loop(); });
}

void ProgramLearner::loop() {
  do look(boot_now_ns());
  while (rest(kLookEvery));
}

bool ProgramLearner::rest(std::chrono::milliseconds span) {
  std::unique_lock lock(mutex_);
  return !end_came_.wait_for(lock, span, [this] { return ending_; });
}

std::vector<std::string> ProgramLearner::leave_out(const std::string& image) {
  const std::string prefix = image + "/";
  std::vector<std::pair<double, std::string>> out;
  const std::lock_guard lock(mutex_);
  const auto& all = programs_.all();
  for (auto one = all.lower_bound(prefix); one != all.end(); ++one) {
    if (!one->first.starts_with(prefix)) break;
    if (!one->second.left_out) continue;
    changed_ = true;  // the start is counted
    if (!programs_.enlist(one->first))
      out.emplace_back(one->second.profit_bytes, one->first.substr(prefix.size()));
  }
  std::sort(out.begin(), out.end());
  if (out.size() > kMostLeftOut) out.resize(kMostLeftOut);
  std::vector<std::string> names;
  names.reserve(out.size());
  for (auto& [profit, name] : out) names.push_back(std::move(name));
  return names;
}

void ProgramLearner::started(DesktopId id, const std::string& image) {
  const std::lock_guard lock(mutex_);
  images_[id] = image;
}

void ProgramLearner::ended(DesktopId id) {
  const std::lock_guard lock(mutex_);
  images_.erase(id);
}

void ProgramLearner::look(std::int64_t boot_ns) {
  const auto counters = kernel::read_ksm_counters(parts_.tree);
  if (!counters) return;  // no KSM here, and nobody enlisted
  passes_.note(ticks_of(boot_ns), counters->full_scans_total);
  const auto before = passes_.judged_before();
  if (!before) return;
  if (last_round_ns_ > 0 && std::chrono::nanoseconds{boot_ns - last_round_ns_} < kRoundEvery)
    return;
  std::map<DesktopId, std::string> images;
  {
    const std::lock_guard lock(mutex_);
    images = images_;
  }
  if (images.empty()) return;
  last_round_ns_ = boot_ns;
  policy::KsmRound round;
  for (const auto& [id, image] : images) {
    add_desktop(round, id, image, *before);
    if (!rest(parts_.pause)) return;
  }
  judge(round, boot_ns);
}

void ProgramLearner::add_desktop(policy::KsmRound& round, DesktopId id, const std::string& image,
                                 std::uint64_t before_ticks) const {
  std::vector<pid_t> pids = parts_.processes(id);
  if (pids.size() > kMostProcesses) pids.resize(kMostProcesses);
  for (const pid_t pid : pids) {
    const auto start = kernel::read_process_start(parts_.tree, pid);
    if (!start || *start >= before_ticks) continue;
    const auto file = kernel::read_process_file(parts_.tree, pid);
    const std::string_view name = file ? image_program(*file) : std::string_view();
    if (name.empty()) continue;
    const auto merging = kernel::read_ksm_process(parts_.tree, pid);
    // Kernels before 6.15 do not say who is enlisted, but keep book of nobody else.
    if (!merging || (!merging->merge_any && merging->rmap_items == 0)) continue;
    round.add(id, image + "/" + std::string(name), *merging);
  }
}

void ProgramLearner::judge(const policy::KsmRound& round, std::int64_t boot_ns) {
  {
    const std::lock_guard lock(mutex_);
    ++totals_.rounds;
    const auto is_left_out = [this](const std::string& program) {
      const auto found = programs_.all().find(program);
      return found != programs_.all().end() && found->second.left_out;
    };
    for (const auto& [program, profit] : round.profits()) {
      KsmProcess usual;
      usual.merge_any = true;
      usual.profit_bytes = static_cast<std::int64_t>(profit);
      const bool before = is_left_out(program);
      programs_.observe(program, usual, policy::KsmPrograms::kPassesBeforeJudgement, boot_ns);
      changed_ = true;
      if (is_left_out(program) == before) continue;
      ++totals_.verdicts[before ? "taken_back" : "left_out"];
      parts_.log->info("ksm_program", {{"program", program},
                                       {"left_out", before ? "no" : "yes"},
                                       {"profit_bytes", std::to_string(usual.profit_bytes)}});
    }
    if (!changed_) return;
  }
  const auto saved = save();
  if (!saved) parts_.log->warning("ksm_programs", {{"why", saved.error().message()}});
  const std::lock_guard lock(mutex_);
  changed_ = !saved;
}

Result<void> ProgramLearner::save() const {
  if (parts_.file.empty()) return {};
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = policy::print_ksm_programs(programs_.all());
  }
  const std::string fresh = parts_.file + ".new";
  {
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("open", fresh);
    // Not synced: what a crash of the machine loses is learnt anew.
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0) return fail_errno("write", fresh);
    if (written != static_cast<ssize_t>(text.size())) return fail(ENOSPC, "write " + fresh);
  }
  if (::rename(fresh.c_str(), parts_.file.c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

ProgramTally ProgramLearner::figures() const {
  const std::lock_guard lock(mutex_);
  ProgramTally out = totals_;
  out.known = programs_.all().size();
  for (const auto& [program, one] : programs_.all())
    if (one.left_out) ++out.left_out;
  return out;
}

nlohmann::json ProgramLearner::report() const {
  const std::lock_guard lock(mutex_);
  auto left_out = nlohmann::json::object();
  for (const auto& [program, one] : programs_.all())
    if (one.left_out) left_out[program] = static_cast<std::int64_t>(one.profit_bytes);
  return {{"rounds", totals_.rounds},
          {"known", programs_.all().size()},
          {"left_out", std::move(left_out)}};
}

}  // namespace panal::optimiser
