#include "engine/profile/zram_step.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/small_text.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/text.h"
#include "engine/kernel/zram.h"
#include "engine/kernel/zram_writeback.h"
#include "engine/profile/swap_room.h"

namespace panal::profile {
namespace {

constexpr const char* kOff = "off";
constexpr const char* kHalf = "half set up";

std::string device_name(unsigned device) { return "zram" + std::to_string(device); }

std::string boot_id_of(const Tree& tree) {
  const auto text = tree.proc.read("sys/kernel/random/boot_id");
  return text ? text->substr(0, text->find('\n')) : std::string("unknown");
}

/// Numbers of the zram devices there are, as " 0 2 ".
Result<std::string> devices(const Tree& tree) {
  PANAL_ASSIGN(auto names, tree.sys.list("block"));
  std::sort(names.begin(), names.end());
  std::string list = " ";
  for (const std::string& name : names)
    if (name.starts_with("zram") && kernel::parse_number(std::string_view(name).substr(4)))
      list += name.substr(4) + " ";
  return list;
}

bool holds(const std::string& list, std::string_view number) {
  return list.find(fmt::format(" {} ", number)) != std::string::npos;
}

/// The swap on a zram device of that name; of any, where it is empty.
Result<std::optional<SwapDevice>> find_swap(const Tree& tree, const std::string& name) {
  PANAL_ASSIGN(const auto swaps, kernel::read_swaps(tree));
  for (const SwapDevice& swap : swaps) {
    const std::string last = swap.path.substr(swap.path.rfind('/') + 1);
    if (!swap.is_file && (name.empty() ? last.starts_with("zram") : last == name))
      return std::optional<SwapDevice>(swap);
  }
  return std::optional<SwapDevice>();
}

std::string chosen_word(const std::string& text) {
  return std::string(kernel::chosen_of(text).value_or(""));
}

/// What a device in use was set up with.
Result<kernel::ZramSwapSettings> settings_of(const Tree& tree, unsigned device, int priority) {
  PANAL_ASSIGN(const Dir dir, tree.sys.open_dir("block/" + device_name(device)));
  kernel::ZramSwapSettings settings;
  settings.priority = priority;
  PANAL_ASSIGN(settings.disk_bytes, kernel::read_number(dir, "disksize"));
  PANAL_ASSIGN(const std::string algorithms, dir.read("comp_algorithm"));
  settings.algorithm = chosen_word(algorithms);
  PANAL_ASSIGN(const std::string statistics, dir.read("mm_stat"));
  PANAL_ASSIGN(const auto numbers, kernel::parse_zram_mm_stat(statistics));
  settings.memory_limit_bytes = numbers.limit;
  PANAL_ASSIGN(settings.writeback, kernel::read_zram_backing(tree, dir));
  return settings;
}

}  // namespace

std::string print_zram_state(const kernel::ZramSwapSettings& settings) {
  return fmt::format("algorithm={} size={} limit={} priority={}{}{}", settings.algorithm,
                     settings.disk_bytes, settings.memory_limit_bytes, settings.priority,
                     settings.writeback.empty() ? "" : " writeback=", settings.writeback);
}

Result<kernel::ZramSwapSettings> parse_zram_state(const std::string& text) {
  kernel::ZramSwapSettings settings;
  unsigned seen = 0;
  for (const std::string_view word : kernel::split(text, ' ')) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return fail(EINVAL, "zram: no such state: " + text);
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    const auto number = kernel::parse_number(value);
    if (key == "algorithm") {
      settings.algorithm = value;
    } else if (key == "writeback") {
      if (value.empty()) return fail(EINVAL, "zram: no such state: " + text);
      settings.writeback = value;
      continue;  // may be absent
    } else if (!number) {
      return fail(EINVAL, "zram: no such state: " + text);
    } else if (key == "size") {
      settings.disk_bytes = *number;
    } else if (key == "limit") {
      settings.memory_limit_bytes = *number;
    } else if (key == "priority" && *number <= 32'767) {
      settings.priority = static_cast<int>(*number);
    } else {
      return fail(EINVAL, "zram: no such state: " + text);
    }
    ++seen;
  }
  if (seen != 4 || settings.algorithm.empty() || print_zram_state(settings) != text)
    return fail(EINVAL, "zram: no such state: " + text);
  return settings;
}

Result<std::optional<ZramStep::Note>> ZramStep::read_note() const {
  const std::size_t slash = note_file_.rfind('/');
  const auto directory = Dir::open(note_file_.substr(0, slash));
  const auto text = directory ? directory->read(note_file_.substr(slash + 1))
                              : tl::make_unexpected(directory.error());
  if (!text && text.error().is_gone()) return std::optional<Note>();
  if (!text) return tl::make_unexpected(text.error());
  const auto lines = kernel::lines_of(*text);
  if (lines.size() != 4)
    return fail(EPROTO, note_file_ +
                            ": damaged: take the zram device down by hand (swapon --show), "
                            "then remove that file");
  Note note{std::string(lines[0]), std::string(lines[1]), std::nullopt, std::string(lines[3])};
  if (const auto device = kernel::parse_number(lines[2]))
    note.device = static_cast<unsigned>(*device);
  if (note.boot_id != boot_id_of(tree_)) return std::optional<Note>();
  return std::optional<Note>(std::move(note));
}

Result<void> ZramStep::write_note(const Note& note) const {
  const std::string aside = note_file_ + ".new";
  const std::string text =
      fmt::format("{}\n{}\n{}\n{}\n", note.boot_id, note.others,
                  note.device ? std::to_string(*note.device) : "none", note.algorithm);
  {
    // Not synced: what a power failure takes, a new boot does not need.
    const UniqueFd fd(
        ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      return fail_errno("write", aside);
  }
  if (::rename(aside.c_str(), note_file_.c_str()) != 0) return fail_errno("rename to", note_file_);
  return {};
}

Result<std::string> ZramStep::state(const std::string& /*name*/) {
  PANAL_ASSIGN(const auto note, read_note());
  if (note) {
    if (!note->device) return std::string(kHalf);
    PANAL_ASSIGN(const auto swap, find_swap(tree_, device_name(*note->device)));
    if (!swap) return std::string(kHalf);
    PANAL_ASSIGN(const auto settings, settings_of(tree_, *note->device, swap->priority));
    return print_zram_state(settings);
  }
  PANAL_ASSIGN(const auto others, find_swap(tree_, ""));
  if (others)
    return fail(ENOENT, "the machine swaps to " + others->path +
                            " already, which Panal did not set up: left as it is");
  PANAL_ASSIGN(const std::string there, devices(tree_));
  if (there == " " && !tree_.sys.exists("class/zram-control"))
    return fail(ENOENT, "this kernel has no zram, or its module is not loaded (modprobe zram)");
  return std::string(kOff);
}

Result<void> ZramStep::bring(const std::string& name, const std::string& wanted) {
  PANAL_ASSIGN(const std::string now, state(name));
  if (now == wanted) return {};
  if (wanted == kOff) return stop();
  PANAL_ASSIGN(const auto settings, parse_zram_state(wanted));
  if (now != kOff) PANAL_TRY(stop());
  const auto started = start(settings);
  if (started) return {};
  (void)stop();  // what failed first is reported
  return tl::make_unexpected(started.error());
}

Result<void> ZramStep::start(const kernel::ZramSwapSettings& settings) {
  Note note;
  note.boot_id = boot_id_of(tree_);
  PANAL_ASSIGN(note.others, devices(tree_));
  PANAL_TRY(write_note(note));
  PANAL_ASSIGN(note.device, kernel::find_free_zram(tree_));
  PANAL_ASSIGN(const std::string algorithms,
               tree_.sys.read("block/" + device_name(*note.device) + "/comp_algorithm"));
  note.algorithm = chosen_word(algorithms);
  PANAL_TRY(write_note(note));
  return kernel::start_zram_swap(tree_, *note.device, settings);
}

Result<void> ZramStep::stop() {
  PANAL_ASSIGN(const auto note, read_note());
  if (!note) return {};
  if (note->device) {
    const std::string name = device_name(*note->device);
    PANAL_ASSIGN(const auto swap, find_swap(tree_, name));
    if (swap) PANAL_TRY(check_room_for_swapped(tree_, *swap, swap->path));
    PANAL_TRY(kernel::stop_zram_swap(tree_, *note->device));
    // A reset keeps the algorithm where the device had no size yet.
    const std::string file = "block/" + name + "/comp_algorithm";
    const auto algorithms = tree_.sys.read(file);
    if (algorithms && !note->algorithm.empty() && chosen_word(*algorithms) != note->algorithm)
      PANAL_TRY(tree_.sys.write(file, note->algorithm));
  }
  // Devices that came after the note, and that nobody uses.
  PANAL_ASSIGN(const std::string there, devices(tree_));
  for (const std::string_view word : kernel::words_of(there)) {
    const auto number = kernel::parse_number(word);
    if (!number || holds(note->others, word)) continue;
    if (note->device && *note->device != *number) continue;
    const auto dir = tree_.sys.open_dir("block/" + device_name(static_cast<unsigned>(*number)));
    const auto used =
        dir ? kernel::read_number(*dir, "initstate") : tl::make_unexpected(dir.error());
    if (!used || *used != 0) continue;
    const auto removed = kernel::remove_zram(tree_, static_cast<unsigned>(*number));
    if (!removed && removed.error().code != EBUSY && !removed.error().is_gone())
      return tl::make_unexpected(removed.error());
  }
  if (::unlink(note_file_.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", note_file_);
  return {};
}

}  // namespace panal::profile
