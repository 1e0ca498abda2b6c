#include "engine/profile/saved.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

namespace panal::profile {
namespace {

constexpr std::uint32_t kFormat = 1;
constexpr const char* kFile = "applied.json";
constexpr const char* kAside = "applied.json.new";

template <typename Value, std::size_t kCount>
using Names = std::array<std::pair<const char*, Value>, kCount>;
constexpr Names<Saved::State, 3> kStates{{{"applying", Saved::State::kApplying},
                                          {"applied", Saved::State::kApplied},
                                          {"reverting", Saved::State::kReverting}}};
constexpr Names<Setting::Where, 3> kWheres{{{"proc", Setting::Where::kProc},
                                            {"sys", Setting::Where::kSys},
                                            {"step", Setting::Where::kStep}}};
constexpr Names<Setting::Rule, 4> kRules{{{"at_least", Setting::Rule::kAtLeast},
                                          {"exactly", Setting::Rule::kExactly},
                                          {"initial", Setting::Rule::kInitial},
                                          {"follows", Setting::Rule::kFollows}}};

template <typename Value, std::size_t kCount>
const char* name_of(const Names<Value, kCount>& names, Value value) {
  for (const auto& [name, known] : names)
    if (known == value) return name;
  return "";
}

template <typename Value, std::size_t kCount>
Value value_of(const Names<Value, kCount>& names, const std::string& text, bool& good) {
  for (const auto& [name, known] : names)
    if (text == name) return known;
  good = false;
  return names[0].second;
}

/// Fractions and numbers past the type would be cut to something else: they are no counts.
std::uint32_t count_of(const nlohmann::json& value, bool& good) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= UINT32_MAX)
    return value.get<std::uint32_t>();
  good = false;
  return 0;
}

/// Root writes these files where the record says: only where settings are.
bool is_setting_file(const Setting& setting) {
  if (("/" + setting.file + "/").find("/../") != std::string::npos) return false;
  switch (setting.where) {
    case Setting::Where::kProc: return setting.file.starts_with("sys/");
    case Setting::Where::kSys:
      return setting.file.starts_with("kernel/mm/") ||
             setting.file.starts_with("module/zswap/parameters/");
    case Setting::Where::kStep: return true;
  }
  return false;
}

Result<void> sync_directory(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail_errno("sync", directory);
  return {};
}

void reached(const Machine& machine, std::string_view what) {
  if (machine.checkpoint) machine.checkpoint(what);
}

}  // namespace

Result<MachineLock> MachineLock::take(const std::string& file) {
  const std::string directory = file.substr(0, file.rfind('/'));
  if (::mkdir(directory.c_str(), 01777) == 0) (void)::chmod(directory.c_str(), 01777);
  // The directory is everybody's: no link of theirs is followed.
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return fail_errno("open", file);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("lock", file);
    return fail(EBUSY, "machine-wide settings are in use: another program, a lab perhaps, holds " +
                           file + "; try again when it has ended (fuser " + file + " shows which)");
  }
  return MachineLock(std::move(fd));
}

std::string boot_id(const Machine& machine) {
  auto text = machine.tree.proc.read("sys/kernel/random/boot_id");
  return text ? text->substr(0, text->find('\n')) : std::string();
}

bool of_earlier_boot(const Saved& saved, const Machine& machine) {
  const std::string now = boot_id(machine);
  return !now.empty() && !saved.boot_id.empty() && now != saved.boot_id;
}

std::string print_saved(const Saved& saved) {
  auto settings = nlohmann::ordered_json::array();
  for (const Setting& setting : saved.settings)
    settings.push_back({{"name", setting.name},
                        {"where", name_of(kWheres, setting.where)},
                        {"file", setting.file},
                        {"rule", name_of(kRules, setting.rule)},
                        {"wanted", setting.wanted},
                        {"original", setting.original},
                        {"before", setting.before},
                        {"after", setting.after},
                        {"why", setting.why},
                        {"pid_namespace", setting.name_space}});
  const nlohmann::ordered_json document = {
      {"format", kFormat},        {"state", name_of(kStates, saved.state)},
      {"profile", saved.profile}, {"desktops", saved.desktops},
      {"boot_id", saved.boot_id}, {"settings", std::move(settings)}};
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<Saved> parse_saved(const std::string& text, const std::string& file) {
  try {
    const auto document = nlohmann::json::parse(text);
    bool good = true;
    if (count_of(document.at("format"), good) != kFormat)
      return fail(EPROTO, file + ": made by another version of Panal; revert with that one");
    Saved saved;
    saved.state = value_of(kStates, document.at("state").get<std::string>(), good);
    saved.profile = document.at("profile").get<std::string>();
    saved.desktops = count_of(document.at("desktops"), good);
    saved.boot_id = document.at("boot_id").get<std::string>();
    for (const auto& entry : document.at("settings")) {
      Setting setting;
      setting.name = entry.at("name").get<std::string>();
      setting.where = value_of(kWheres, entry.at("where").get<std::string>(), good);
      setting.file = entry.at("file").get<std::string>();
      setting.rule = value_of(kRules, entry.at("rule").get<std::string>(), good);
      setting.wanted = entry.at("wanted").get<std::string>();
      setting.original = entry.at("original").get<std::string>();
      setting.before = entry.at("before").get<std::string>();
      setting.after = entry.at("after").get<std::string>();
      setting.why = entry.at("why").get<std::string>();
      setting.name_space = entry.at("pid_namespace").get<std::string>();
      good = good && is_setting_file(setting);
      saved.settings.push_back(std::move(setting));
    }
    if (!good)
      return fail(EPROTO, file + ": damaged: an unknown word or a file that is no setting");
    return saved;
  } catch (const nlohmann::json::exception& problem) {
    return fail(EPROTO, file + ": damaged: " + problem.what());
  }
}

Result<std::optional<Saved>> read_saved(const Machine& machine) {
  const auto directory = Dir::open(machine.state_dir);
  if (!directory) {
    if (directory.error().is_gone()) return std::optional<Saved>();
    return tl::make_unexpected(directory.error());
  }
  const auto text = directory->read(kFile);
  if (!text) {
    if (text.error().is_gone()) return std::optional<Saved>();
    return tl::make_unexpected(text.error());
  }
  const std::string file = machine.state_dir + "/" + kFile;
  auto saved = parse_saved(*text, file);
  if (!saved)
    return fail(EPROTO, saved.error().context +
                            "; former values are not known: put the settings right by hand, then "
                            "remove that file");
  return std::optional<Saved>(std::move(*saved));
}

Result<void> write_saved(const Machine& machine, const Saved& saved) {
  if (::mkdir(machine.state_dir.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("make", machine.state_dir);
  const std::string aside = machine.state_dir + "/" + kAside;
  const std::string file = machine.state_dir + "/" + kFile;
  const std::string text = print_saved(saved);
  {
    const UniqueFd fd(
        ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return fail_errno("write", aside);
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t put = ::write(fd.get(), rest.data(), rest.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return fail_errno("write", aside);
      rest.remove_prefix(static_cast<std::size_t>(put));
    }
    if (::fsync(fd.get()) != 0) return fail_errno("sync", aside);
  }
  reached(machine, "rename record");
  if (::rename(aside.c_str(), file.c_str()) != 0) return fail_errno("rename to", file);
  return sync_directory(machine.state_dir);
}

Result<void> remove_saved(const Machine& machine) {
  reached(machine, "remove record");
  const std::string file = machine.state_dir + "/" + kFile;
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", file);
  return sync_directory(machine.state_dir);
}

}  // namespace panal::profile
