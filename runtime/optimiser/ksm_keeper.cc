#include "runtime/optimiser/ksm_keeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"
#include "engine/kernel/ksm.h"

namespace panal::optimiser {

using nlohmann::json;

namespace {

/// The governor's knobs of `ours`, all else as it is now.
KsmSettings with_knobs(KsmSettings now, const KsmSettings& ours) {
  now.run = ours.run;
  now.pages_to_scan = ours.pages_to_scan;
  now.sleep_ms = ours.sleep_ms;
  now.advisor = ours.advisor;
  now.use_zero_pages = ours.use_zero_pages;
  return now;
}

}  // namespace

std::string print_saved_ksm(const SavedKsm& saved) {
  const KsmSettings& settings = saved.settings;
  return json{{"boot", saved.boot},
              {"run", static_cast<int>(settings.run)},
              {"pages_to_scan", settings.pages_to_scan},
              {"sleep_ms", settings.sleep_ms},
              {"use_zero_pages", settings.use_zero_pages},
              {"smart_scan", settings.smart_scan},
              {"max_page_sharing", settings.max_page_sharing},
              {"advisor", static_cast<int>(settings.advisor)}}
      .dump();
}

Result<SavedKsm> parse_saved_ksm(const std::string& text) {
  const json parsed = json::parse(text, nullptr, false);
  const auto number = [&parsed](const char* key, std::uint32_t most) -> Result<std::uint32_t> {
    const auto found = parsed.find(key);
    if (found == parsed.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > most)
      return fail(EPROTO, std::string("saved KSM settings: ") + key + " is no number up to " +
                              std::to_string(most));
    return found->get<std::uint32_t>();
  };
  const auto flag = [&parsed](const char* key) -> Result<bool> {
    const auto found = parsed.find(key);
    if (found == parsed.end() || !found->is_boolean())
      return fail(EPROTO, std::string("saved KSM settings: ") + key + " is neither true nor false");
    return found->get<bool>();
  };
  if (!parsed.is_object()) return fail(EPROTO, "saved KSM settings: no JSON object");
  SavedKsm saved;
  KsmSettings& settings = saved.settings;
  const auto boot = parsed.find("boot");
  if (boot == parsed.end() || !boot->is_string())
    return fail(EPROTO, "saved KSM settings: boot is no text");
  saved.boot = boot->get<std::string>();
  PANAL_ASSIGN(const std::uint32_t run, number("run", 2));
  settings.run = static_cast<KsmRun>(run);
  PANAL_ASSIGN(settings.pages_to_scan, number("pages_to_scan", UINT32_MAX));
  PANAL_ASSIGN(settings.sleep_ms, number("sleep_ms", UINT32_MAX));
  PANAL_ASSIGN(settings.use_zero_pages, flag("use_zero_pages"));
  PANAL_ASSIGN(settings.smart_scan, flag("smart_scan"));
  PANAL_ASSIGN(settings.max_page_sharing, number("max_page_sharing", UINT32_MAX));
  PANAL_ASSIGN(const std::uint32_t advisor, number("advisor", 1));
  settings.advisor = static_cast<KsmAdvisor>(advisor);
  return saved;
}

Result<void> KsmKeeper::recover() {
  UniqueFd fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return {};
    return fail_errno("open", file_);
  }
  std::string text(4096, '\0');
  const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return fail_errno("read", file_);
  text.resize(static_cast<std::size_t>(size));
  const auto parsed = parse_saved_ksm(text);
  if (!parsed)
    return fail(EPROTO,
                file_ + ": " + parsed.error().context + "; look at KSM's settings, then remove it");
  if (parsed->boot == boot_id()) {
    former_ = parsed->settings;
    return {};
  }
  if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink", file_);
  return {};
}

std::string KsmKeeper::boot_id() const {
  auto text = tree_.proc.read("sys/kernel/random/boot_id").value_or(std::string());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<void> KsmKeeper::save(const KsmSettings& settings) const {
  const std::string fresh = file_ + ".new";
  const std::string text = print_saved_ksm({boot_id(), settings});
  {
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("open", fresh);
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd.get()) != 0)
      return fail_errno("write", fresh);
  }
  if (::rename(fresh.c_str(), file_.c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

Result<void> KsmKeeper::apply(const KsmDecision& decision, bool use_zero_pages) {
  if (taken_over_) return {};
  if (!decision.run && !former_) return {};  // never turned on by us: not ours to turn off
  PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
  if (!former_) {
    PANAL_TRY(save(now));
    former_ = now;
  }
  if (set_ && now.run != set_->run) {
    taken_over_ = true;
    former_.reset();
    (void)::unlink(file_.c_str());
    return fail(EBUSY, "somebody else turned KSM on or off: it is left to them");
  }
  KsmSettings wanted = now;
  wanted.advisor = KsmAdvisor::kNone;  // it would set the rate itself
  wanted.run = decision.run ? KsmRun::kRunning : KsmRun::kStopped;
  wanted.pages_to_scan = decision.pages_to_scan;
  wanted.sleep_ms = decision.sleep_ms;
  wanted.use_zero_pages = use_zero_pages;
  if (now != wanted) PANAL_TRY(kernel::write_ksm_settings(tree_, wanted));
  set_ = wanted;
  return {};
}

bool KsmKeeper::given_back(MonotonicNs now_ns) {
  if (!taken_over_ || (theirs_ && now_ns - looked_ns_ < kLookEvery)) return false;
  looked_ns_ = now_ns;
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
  KsmSettings former = *former_;
  // It stood, unmerging or not, and shall stand: what is merged stays so.
  if (former.run == KsmRun::kUnmerging) former.run = KsmRun::kStopped;
  PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
  PANAL_TRY(kernel::write_ksm_settings(tree_, with_knobs(now, former)));
  if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink", file_);
  former_.reset();
  set_.reset();
  return {};
}

}  // namespace panal::optimiser
