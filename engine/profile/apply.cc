#include "engine/profile/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/profile/swap_file_step.h"

namespace panal::profile {
namespace {

constexpr const char* kNothing = "no profile is applied on this machine";

void reached(const Machine& machine, const Setting& setting) {
  if (machine.checkpoint) machine.checkpoint(setting.name);
}

/// In which order settings are brought back: last first, and then what the kernel moved with them.
std::vector<const Setting*> backwards(const std::vector<const Setting*>& written) {
  std::vector<const Setting*> order;
  for (const bool following : {false, true})
    for (auto setting = written.rbegin(); setting != written.rend(); ++setting)
      if (((*setting)->rule == Setting::Rule::kFollows) == following) order.push_back(*setting);
  return order;
}

std::vector<const Setting*> pointers(const std::vector<Setting>& settings) {
  std::vector<const Setting*> result;
  for (const Setting& setting : settings) result.push_back(&setting);
  return result;
}

/// Puts back what was written. What it could not, in words; empty: all.
std::string take_back(const std::vector<const Setting*>& written, const Machine& machine) {
  std::string left;
  for (const Setting* setting : backwards(written)) {
    // A write that was refused changed nothing, and its undoing would be refused as well.
    if (const auto now = read_setting(machine, *setting); now && *now == setting->before) continue;
    reached(machine, *setting);
    const auto done = write_setting(machine, *setting, setting->before);
    if (!done) left += fmt::format("{}{}", left.empty() ? "" : "; ", done.error().message());
  }
  return left;
}

/// Whether there is anything to write.
bool differs(const Setting& setting, const Machine& machine) {
  if (setting.changes()) return true;
  // An earlier write may have moved it: KSM's pace, when its advisor is taken off.
  if (setting.rule != Setting::Rule::kInitial) return false;
  const auto now = read_setting(machine, setting);
  return now && *now != setting.after;
}

/// The record as it was before an apply.
Result<void> restore_record(const std::optional<Saved>& saved, const Machine& machine) {
  return saved ? write_saved(machine, *saved) : remove_saved(machine);
}

/// The error is a whole sentence.
Failure failed(const Error& cause, const std::vector<const Setting*>& written,
               const std::optional<Saved>& saved, const Machine& machine) {
  const std::string left = take_back(written, machine);
  if (!left.empty())
    return fail(cause.code, fmt::format("{}; and not everything could be put back ({}): try panal "
                                        "tune revert",
                                        cause.message(), left));
  if (const auto record = restore_record(saved, machine); !record)
    return fail(cause.code, fmt::format("{}; all values are as before, but the record is not: {}",
                                        cause.message(), record.error().message()));
  return fail(cause.code, cause.message() + "; all values are as before");
}

const Setting* find(const std::optional<Saved>& saved, const std::string& name) {
  if (!saved) return nullptr;
  for (const Setting& setting : saved->settings)
    if (setting.name == name) return &setting;
  return nullptr;
}

/// What an earlier profile changed and this one cannot: it stays, and stays on record.
Setting kept(Setting old) {
  old.before = old.after;
  return old;
}

bool enough(const Drift& drift) {
  if (!drift.at_least) return drift.found == drift.wanted;
  std::uint64_t found = 0;
  std::uint64_t wanted = 0;
  const auto read = [](const std::string& text, std::uint64_t& value) {
    return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{};
  };
  return read(drift.found, found) && read(drift.wanted, wanted) && found >= wanted;
}

}  // namespace

Result<std::vector<std::string>> apply(const Plan& plan, const std::optional<Saved>& saved,
                                       const Machine& machine, const MachineLock& /*lock*/) {
  if (const Setting* setting = plan.blocked(); setting != nullptr)
    return fail(EBUSY, fmt::format("{} cannot be set to {}: {}; nothing was changed", setting->name,
                                   setting->wanted, setting->obstacle));
  std::vector<std::string> left_out;
  Saved record{Saved::State::kApplying, plan.profile, plan.desktops, boot_id(machine), {}};
  std::ptrdiff_t leaving = 0;  // how many of the record's are those of the profile before
  for (const auto* some : {&plan.leaving, &plan.settings}) {
    for (const Setting& setting : *some) {
      if (setting.obstacle.empty()) {
        record.settings.push_back(setting);
        continue;
      }
      left_out.push_back(fmt::format("{} left out: {}", setting.name, setting.obstacle));
      if (const Setting* old = find(saved, setting.name)) record.settings.push_back(kept(*old));
    }
    if (some == &plan.leaving) leaving = static_cast<std::ptrdiff_t>(record.settings.size());
  }
  PANAL_TRY(write_saved(machine, record));

  std::vector<const Setting*> written;
  Saved applied = record;
  applied.state = Saved::State::kApplied;
  const auto forget = [&applied](const std::string& name) {
    std::erase_if(applied.settings, [&](const Setting& setting) { return setting.name == name; });
  };
  for (const Setting& setting : plan.leaving)
    if (setting.obstacle.empty()) forget(setting.name);
  // What a profile before asked for goes back in the order in which a revert does it.
  const auto all = pointers(record.settings);
  std::vector<const Setting*> order = backwards({all.begin(), all.begin() + leaving});
  order.insert(order.end(), all.begin() + leaving, all.end());
  for (const Setting* one : order) {
    const Setting& setting = *one;
    if (setting.rule == Setting::Rule::kFollows) written.push_back(one);
    if (!differs(setting, machine)) continue;
    reached(machine, setting);
    if (written.empty() || written.back() != one) written.push_back(one);
    const auto done = write_setting(machine, setting, setting.after);
    if (done) continue;
    if (!setting.optional) return failed(done.error(), written, saved, machine);
    // It may have become something else.
    if (!take_back({&setting}, machine).empty())
      return failed(done.error(), written, saved, machine);
    written.pop_back();
    left_out.push_back(fmt::format("{} left out: {}", setting.name, done.error().message()));
    forget(setting.name);
    if (const Setting* old = find(saved, setting.name)) applied.settings.push_back(kept(*old));
  }
  if (const auto done = write_saved(machine, applied); !done)
    return failed(done.error(), written, saved, machine);
  return left_out;
}

Result<Reverted> revert(const Machine& machine, const MachineLock& /*lock*/) {
  PANAL_ASSIGN(auto saved, read_saved(machine));
  if (!saved) return fail(ENODATA, kNothing);
  Reverted done;
  done.profile = saved->profile;
  if (of_earlier_boot(*saved, machine)) {
    done.earlier_boot = true;
    // But for files that were swapped to: nobody does any more, and they take as much of the disk.
    for (const Setting& setting : saved->settings)
      if (setting.file == kSwapFileStep && machine.steps != nullptr)
        if (const auto gone = machine.steps->bring(setting.file, setting.original); !gone)
          done.notes.push_back(setting.name + ": " + gone.error().message());
    PANAL_TRY(remove_saved(machine));
    return done;
  }
  // Says that what is found from now on is half done. A full disk must not keep values from
  // coming back.
  saved->state = Saved::State::kReverting;
  (void)write_saved(machine, *saved);

  std::optional<Error> problem;
  for (const Setting* setting : backwards(pointers(saved->settings))) {
    if (!setting->name_space.empty() && setting->name_space != pid_namespace(machine)) {
      done.notes.push_back(setting->name + ": belongs to another pid namespace; left alone");
      continue;
    }
    const auto now = read_setting(machine, *setting);
    if (now && *now == setting->original) continue;
    reached(machine, *setting);
    const auto put = now ? write_setting(machine, *setting, setting->original)
                         : tl::make_unexpected(now.error());
    if (!put && put.error().code == EINVAL && setting->rule == Setting::Rule::kInitial) {
      // KSM's own advisor is back, or somebody's, and moves it now.
      done.notes.push_back(setting->name + ": the kernel sets it itself; left alone");
      continue;
    }
    if (!put) {
      if (!problem) problem = put.error();
      continue;
    }
    const bool moves =
        setting->rule == Setting::Rule::kInitial || setting->rule == Setting::Rule::kFollows;
    done.values.push_back({setting->name, *now, setting->original,
                           !moves && *now != setting->after && *now != setting->before});
  }
  if (problem)
    return fail(problem->code, fmt::format("{} values were put back, but not all: {}; they stay on "
                                           "record, try again",
                                           done.values.size(), problem->message()));
  PANAL_TRY(remove_saved(machine));
  return done;
}

Result<std::optional<Reverted>> settle(const Machine& machine, const MachineLock& lock) {
  PANAL_ASSIGN(const auto saved, read_saved(machine));
  if (!saved || (saved->state == Saved::State::kApplied && !of_earlier_boot(*saved, machine)))
    return std::optional<Reverted>();
  PANAL_ASSIGN(auto done, revert(machine, lock));
  return std::optional<Reverted>(std::move(done));
}

Result<Verified> verify(const Machine& machine, const std::vector<std::string>& governed) {
  PANAL_ASSIGN(const auto saved, read_saved(machine));
  if (!saved) return fail(ENODATA, kNothing);
  Verified result;
  result.profile = saved->profile;
  result.interrupted = saved->state != Saved::State::kApplied;
  result.earlier_boot = of_earlier_boot(*saved, machine);
  for (const Setting& setting : saved->settings) {
    if (std::find(governed.begin(), governed.end(), setting.name) != governed.end()) {
      result.governed.push_back(setting.name);
      continue;
    }
    if (setting.rule == Setting::Rule::kInitial || setting.rule == Setting::Rule::kFollows)
      continue;
    if (!setting.name_space.empty() && setting.name_space != pid_namespace(machine)) continue;
    const auto now = read_setting(machine, setting);
    if (!now && !now.error().is_gone()) return tl::make_unexpected(now.error());
    ++result.checked;
    Drift drift{setting.name, setting.wanted, now ? *now : "nothing",
                setting.rule == Setting::Rule::kAtLeast};
    if (!enough(drift)) result.drift.push_back(std::move(drift));
  }
  return result;
}

}  // namespace panal::profile
