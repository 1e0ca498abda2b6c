#include "runtime/optimiser/taker_choice.h"

#include <algorithm>
#include <utility>

namespace panal::optimiser {
namespace {

constexpr std::string_view kNone = "none";
/// Takes in a row of which each was let have so much and none brought a page: a desktop alone may
/// be of merged pages, but not one after the other.
constexpr int kBarren = 16;
constexpr std::uint64_t kLeastAsked = 4 << 20;

}  // namespace

std::string TakerChoice::text() const {
  std::string out = chosen().empty() ? "nothing works here" : std::string(chosen());
  if (!chosen().empty()) out += ": " + tried.back().trial.why;
  for (const Tried& one : tried)
    if (!one.trial.good()) out += "; not " + std::string(one.way) + ": " + one.trial.why;
  return out;
}

TakerChoice choose_way(TakerTrials& trials, std::size_t first) {
  TakerChoice choice;
  for (std::size_t i = first; i < kTakerWays.size(); ++i) {
    choice.tried.push_back({kTakerWays[i], trials.run(kTakerWays[i])});
    if (choice.tried.back().trial.good()) break;
  }
  return choice;
}

ProbedTaker::ProbedTaker(Parts parts) : parts_(std::move(parts)) {
  if (!parts_.make)
    parts_.make = [this](std::string_view way) { return make_taker(way, parts_.tree); };
  choose(0, {});
}

std::string_view ProbedTaker::name() const {
  const std::lock_guard lock(mutex_);
  return name_;
}

std::string ProbedTaker::why() const {
  const std::lock_guard lock(mutex_);
  return why_;
}

void ProbedTaker::choose(std::size_t first, TakerChoice choice) {
  for (auto& tried : choose_way(*parts_.trials, first).tried)
    choice.tried.push_back(std::move(tried));
  taker_ = choice.chosen().empty() ? nullptr : parts_.make(choice.chosen());
  tried_at_ = std::chrono::steady_clock::now();
  barren_ = 0;
  {
    const std::lock_guard lock(mutex_);
    name_ = taker_ ? choice.chosen() : kNone;
    why_ = choice.text();
  }
  if (taker_)
    parts_.log->info("taker", {{"by", std::string(name())}, {"why", why()}});
  else
    parts_.log->warning("taker", {{"by", std::string(name())}, {"why", why()}});
}

bool ProbedTaker::replaced() {
  const auto now = std::chrono::steady_clock::now();
  if (now - tried_at_ < parts_.try_again) return false;
  tried_at_ = now;
  barren_ = 0;
  const std::string_view before = name();
  TakerTrial again = parts_.trials->run(before);
  if (again.good()) return false;  // it is that desktop's
  const auto* at = std::find(kTakerWays.begin(), kTakerWays.end(), before);
  TakerChoice choice;
  choice.tried.push_back({before, std::move(again)});
  choose(static_cast<std::size_t>(at - kTakerWays.begin()) + 1, std::move(choice));
  return true;
}

Result<Taken> ProbedTaker::take(const kernel::Cgroup& group, const TakeRequest& request,
                                TakeCursor& cursor) {
  if (!taker_) return fail(ENOTSUP, "take memory from " + group.path() + ": " + why());
  auto taken = taker_->take(group, request, cursor);
  bool doubt = false;
  if (taken) {
    const bool barren = taken->asked_of_kernel_bytes >= kLeastAsked && taken->yield_bytes() == 0;
    if (barren) ++barren_;
    if (taken->yield_bytes() > 0) barren_ = 0;
    doubt = barren_ >= kBarren;
  } else {
    // A group that went away says the same as a file that was never there.
    doubt = !taken.error().is_gone() || group.memory_usage().has_value();
  }
  if (!doubt || !replaced() || !taker_) return taken;
  cursor = TakeCursor{};
  return taker_->take(group, request, cursor);
}

std::unique_ptr<MemoryTaker> probed_or_chosen_taker(const std::shared_ptr<TakerTrials>& trials,
                                                    const Tree& tree,
                                                    const kernel::CgroupRoot& cgroups,
                                                    const std::string& cgroup_parent,
                                                    const LoggerPtr& log) {
  if (trials) return std::make_unique<ProbedTaker>(ProbedTaker::Parts{tree, trials, log});
  return choose_taker(tree, cgroups, cgroup_parent);
}

}  // namespace panal::optimiser
