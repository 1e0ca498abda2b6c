#include "runtime/optimiser/ksm_keeper.h"

#include "engine/kernel/ksm.h"

namespace panal::optimiser {
namespace {

/// `panal tune` has the machine's lock for a second or two.
constexpr std::chrono::milliseconds kLockPatience{3000};

/// The governor's knobs of `ours`, all else as it is now.
KsmSettings with_knobs(KsmSettings now, const KsmSettings& ours) {
  now.run = ours.run;
  now.pages_to_scan = ours.pages_to_scan;
  now.sleep_ms = ours.sleep_ms;
  now.advisor = ours.advisor;
  now.use_zero_pages = ours.use_zero_pages;
  return now;
}

/// What was there before, but for an unmerging that was under way: it stood, unmerging or not, and
/// shall stand, and what is merged stays so.
KsmSettings as_before(const KsmSettings& now, KsmSettings former) {
  if (former.run == KsmRun::kUnmerging) former.run = KsmRun::kStopped;
  return with_knobs(now, former);
}

}  // namespace

Result<void> KsmKeeper::hold() {
  auto held = record_.hold();
  if (!held && held.error().code == EBUSY) taken_over_ = by_another_ = true;
  return held;
}

Result<void> KsmKeeper::recover() {
  PANAL_ASSIGN(const auto seen, record_.read());
  if (!seen) return {};
  PANAL_TRY(hold());
  // Whoever held it until now may have put all back.
  PANAL_ASSIGN(const auto saved, record_.read());
  if (saved && record_.of_this_boot(*saved)) {
    former_ = saved->settings;
    return {};
  }
  auto removed = record_.remove();
  record_.let_go();
  return removed;
}

Result<void> KsmKeeper::begin() {
  PANAL_TRY(hold());
  auto begun = [&]() -> Result<void> {
    PANAL_ASSIGN(const auto saved, record_.read());
    if (saved && record_.of_this_boot(*saved)) {
      former_ = saved->settings;  // of another node, which is gone
      return {};
    }
    PANAL_ASSIGN(const auto lock, record_.lock_machine(std::chrono::milliseconds{0}));
    // Read only now: who governed before has put its own back.
    PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
    PANAL_TRY(record_.write(now));
    former_ = now;
    return {};
  }();
  if (!begun) record_.let_go();
  return begun;
}

Result<void> KsmKeeper::apply(const KsmDecision& decision, bool use_zero_pages) {
  if (taken_over_) return {};
  if (!decision.run && !former_) return {};  // never turned on by us: not ours to turn off
  if (!former_) PANAL_TRY(begin());
  PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
  if (set_ && now.run != set_->run) {
    taken_over_ = true;
    former_.reset();
    (void)record_.remove();
    record_.let_go();
    return fail(EBUSY, "somebody else turned KSM on or off: it is left to them");
  }
  KsmSettings wanted = now;
  if (decision.run) {
    wanted.advisor = KsmAdvisor::kNone;  // it would set the rate itself
    wanted.run = KsmRun::kRunning;
    wanted.pages_to_scan = decision.pages_to_scan;
    wanted.sleep_ms = decision.sleep_ms;
    wanted.use_zero_pages = use_zero_pages;
  } else {
    wanted = as_before(now, *former_);  // of others' memory there may still be some to merge
  }
  if (now != wanted) PANAL_TRY(kernel::write_ksm_settings(tree_, wanted));
  set_ = wanted;
  return {};
}

bool KsmKeeper::given_back(MonotonicNs now_ns) {
  const bool looked = by_another_ ? looked_ns_ != 0 : theirs_.has_value();
  if (!taken_over_ || (looked && now_ns - looked_ns_ < kLookEvery)) return false;
  looked_ns_ = now_ns;
  if (by_another_) {
    if (!record_.hold()) return false;
    record_.let_go();
    taken_over_ = by_another_ = false;
    if (recover()) return true;
    taken_over_ = by_another_ = true;
    return false;
  }
  const auto now = kernel::read_ksm_settings(tree_);
  if (!now) return false;
  if (theirs_ != *now) {
    theirs_ = *now;
    theirs_since_ns_ = now_ns;
  }
  const bool as_left = set_ && now->run == set_->run;
  if (!as_left || now_ns - theirs_since_ns_ < kQuietFor) return false;
  taken_over_ = false;
  set_.reset();
  theirs_.reset();
  return true;
}

Result<void> KsmKeeper::restore() {
  if (!former_) return {};
  PANAL_ASSIGN(const auto lock, record_.lock_machine(kLockPatience));
  PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
  PANAL_TRY(kernel::write_ksm_settings(tree_, as_before(now, *former_)));
  PANAL_TRY(record_.remove());
  former_.reset();
  set_.reset();
  record_.let_go();
  return {};
}

Result<std::optional<KsmSettings>> left_ksm(const Tree& tree, const std::string& record_file) {
  const KsmRecord record(tree, record_file, {});
  PANAL_ASSIGN(const auto saved, record.read());
  if (!saved || !record.of_this_boot(*saved) || ksm_is_governed(record_file).value_or(true))
    return std::optional<KsmSettings>();
  return std::optional<KsmSettings>(saved->settings);
}

Result<bool> restore_left_ksm(const Tree& tree, const std::string& record_file,
                              const std::string& lock_file) {
  KsmKeeper keeper(tree, record_file, lock_file);
  if (const auto found = keeper.recover(); !found) {
    if (keeper.taken_over()) return false;  // its governor lives
    return tl::make_unexpected(found.error());
  }
  if (!keeper.holds()) return false;
  PANAL_TRY(keeper.restore());
  return true;
}

}  // namespace panal::optimiser
