#include "runtime/optimiser/ksm_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

namespace panal::optimiser {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{20};
/// Who looks whether somebody governs has the lock for a moment.
constexpr std::chrono::milliseconds kLookers{100};

std::string held_file(const std::string& record_file) { return record_file + ".held"; }

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

std::string ksm_record_file(const std::string& machine_state_dir) {
  return machine_state_dir + "/ksm.former";
}

std::optional<bool> ksm_is_governed(const std::string& record_file) {
  const UniqueFd fd(::open(held_file(record_file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return errno == ENOENT ? std::optional<bool>(false) : std::nullopt;
  return ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<void> KsmRecord::hold() {
  if (held_) return {};
  const std::string directory = file_.substr(0, file_.rfind('/'));
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("make directory", directory);
  const std::string held = held_file(file_);
  // Root's alone: who may open it could keep every governor from its work.
  UniqueFd fd(::open(held.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("open", held);
  const auto until = Clock::now() + kLookers;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock", held);
    if (Clock::now() >= until)
      return fail(EBUSY, "the panald of another node governs this machine's KSM");
    std::this_thread::sleep_for(kPause);
  }
  held_ = std::move(fd);
  return {};
}

void KsmRecord::let_go() {
  // Not by the closing alone: a child that was just forked has the descriptor as well.
  if (held_) (void)::flock(held_.get(), LOCK_UN);
  held_.reset();
}

Result<std::optional<SavedKsm>> KsmRecord::read() const {
  const UniqueFd fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) {
    if (errno == ENOENT) return std::optional<SavedKsm>();
    return fail_errno("open", file_);
  }
  std::string text(4096, '\0');
  const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return fail_errno("read", file_);
  text.resize(static_cast<std::size_t>(size));
  auto parsed = parse_saved_ksm(text);
  if (!parsed)
    return fail(EPROTO,
                file_ + ": " + parsed.error().context + "; look at KSM's settings, then remove it");
  return std::optional<SavedKsm>(std::move(*parsed));
}

Result<void> KsmRecord::write(const KsmSettings& settings) const {
  const std::string fresh = file_ + ".new";
  const std::string text = print_saved_ksm({boot_id(), settings});
  {
    const UniqueFd fd(
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return fail_errno("open", fresh);
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd.get()) != 0)
      return fail_errno("write", fresh);
  }
  if (::rename(fresh.c_str(), file_.c_str()) != 0) return fail_errno("rename", fresh);
  return {};
}

Result<void> KsmRecord::remove() const {
  if (::unlink(file_.c_str()) != 0 && errno != ENOENT) return fail_errno("unlink", file_);
  return {};
}

Result<std::optional<profile::MachineLock>> KsmRecord::lock_machine(
    std::chrono::milliseconds patience) const {
  if (lock_file_.empty()) return std::optional<profile::MachineLock>();
  const auto until = Clock::now() + patience;
  for (;;) {
    auto lock = profile::MachineLock::take(lock_file_);
    if (lock) return std::optional<profile::MachineLock>(std::move(*lock));
    if (lock.error().code != EBUSY || Clock::now() >= until)
      return tl::make_unexpected(std::move(lock.error()));
    std::this_thread::sleep_for(kPause);
  }
}

std::string KsmRecord::boot_id() const {
  auto text = tree_.proc.read("sys/kernel/random/boot_id").value_or(std::string());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace panal::optimiser
