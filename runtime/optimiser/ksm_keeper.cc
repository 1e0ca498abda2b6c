#include "runtime/optimiser/ksm_keeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"
#include "engine/kernel/ksm.h"

namespace panal::optimiser {

using nlohmann::json;

std::string print_ksm_settings(const KsmSettings& settings) {
  return json{{"run", static_cast<int>(settings.run)},
              {"pages_to_scan", settings.pages_to_scan},
              {"sleep_ms", settings.sleep_ms},
              {"use_zero_pages", settings.use_zero_pages},
              {"smart_scan", settings.smart_scan},
              {"max_page_sharing", settings.max_page_sharing},
              {"advisor", static_cast<int>(settings.advisor)}}
      .dump();
}

Result<KsmSettings> parse_ksm_settings(const std::string& text) {
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
  KsmSettings settings;
  PANAL_ASSIGN(const std::uint32_t run, number("run", 2));
  settings.run = static_cast<KsmRun>(run);
  PANAL_ASSIGN(settings.pages_to_scan, number("pages_to_scan", UINT32_MAX));
  PANAL_ASSIGN(settings.sleep_ms, number("sleep_ms", UINT32_MAX));
  PANAL_ASSIGN(settings.use_zero_pages, flag("use_zero_pages"));
  PANAL_ASSIGN(settings.smart_scan, flag("smart_scan"));
  PANAL_ASSIGN(settings.max_page_sharing, number("max_page_sharing", UINT32_MAX));
  PANAL_ASSIGN(const std::uint32_t advisor, number("advisor", 1));
  settings.advisor = static_cast<KsmAdvisor>(advisor);
  return settings;
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
  auto parsed = parse_ksm_settings(text);
  if (!parsed) return fail(EPROTO, file_ + ": " + parsed.error().context);
  former_ = *parsed;
  return {};
}

Result<void> KsmKeeper::save(const KsmSettings& settings) const {
  const std::string fresh = file_ + ".new";
  const std::string text = print_ksm_settings(settings);
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
  if (!decision.run && !former_) return {};  // never turned on by us: not ours to turn off
  if (!former_) {
    PANAL_ASSIGN(const KsmSettings now, kernel::read_ksm_settings(tree_));
    PANAL_TRY(save(now));
    former_ = now;
  }
  KsmSettings wanted = *former_;
  wanted.advisor = KsmAdvisor::kNone;  // it would set the rate itself
  wanted.run = decision.run ? KsmRun::kRunning : KsmRun::kStopped;
  wanted.pages_to_scan = decision.pages_to_scan;
  wanted.sleep_ms = decision.sleep_ms;
  wanted.use_zero_pages = use_zero_pages;
  if (set_ && *set_ == wanted) return {};
  PANAL_TRY(kernel::write_ksm_settings(tree_, wanted));
  set_ = wanted;
  return {};
}

Result<void> KsmKeeper::restore() {
  if (!former_) return {};
  PANAL_TRY(kernel::write_ksm_settings(tree_, *former_));
  if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink", file_);
  former_.reset();
  set_.reset();
  return {};
}

}  // namespace panal::optimiser
