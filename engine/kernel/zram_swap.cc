#include "engine/kernel/zram_swap.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/kernel/cgroup_stat.h"
#include "engine/kernel/swaps.h"
#include "engine/kernel/text.h"
#include "engine/kernel/zram_writeback.h"

namespace panal::kernel {
namespace {

std::string zram_name(unsigned device) { return "zram" + std::to_string(device); }
std::string zram_node(unsigned device) {
  return std::string(kernel_paths::kDev) + "/" + zram_name(device);
}
Result<Dir> open_zram(const Tree& tree, unsigned device) {
  return tree.sys.open_dir("block/" + zram_name(device));
}

/// Tried for so long: each change of the device's size makes udev open it for a moment, and the
/// kernel resets and removes none that is open.
constexpr std::chrono::milliseconds kPatience{3000};
constexpr std::chrono::milliseconds kPause{20};

Result<void> while_busy(const std::function<Result<void>()>& change) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto done = change();
    if (done || done.error().code != EBUSY || std::chrono::steady_clock::now() >= until)
      return done;
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> reset_zram(const Dir& dir) {
  // Older kernels let a device that has no size yet keep its place to write back to.
  const auto place = dir.read("backing_dev");
  if (place && !place->starts_with("none"))
    if (const auto used = read_number(dir, "initstate"); used && *used == 0)
      (void)dir.write("disksize", "1048576");
  PANAL_TRY(while_busy([&dir] { return dir.write("reset", "1"); }));
  // The limit stays as it was; kernels that cannot write back have none.
  if (dir.exists("writeback_limit_enable")) (void)dir.write("writeback_limit_enable", "0");
  return {};
}

}  // namespace

Result<unsigned> find_free_zram(const Tree& tree) {
  PANAL_ASSIGN(auto names, tree.sys.list("block"));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name.rfind("zram", 0) != 0) continue;
    const auto number = parse_number(std::string_view(name).substr(4));
    const auto dir = tree.sys.open_dir("block/" + name);
    if (!number || !dir) continue;
    const auto used = read_number(*dir, "initstate");
    if (used && *used == 0) return static_cast<unsigned>(*number);
  }
  auto made = tree.sys.read("class/zram-control/hot_add");
  if (!made && made.error().code == ENOENT) return fail(ENODEV, "find zram: this kernel has none");
  if (!made) return tl::make_unexpected(std::move(made.error()));
  const auto words = words_of(*made);
  const auto number = words.size() == 1 ? parse_number(words[0]) : std::nullopt;
  if (!number) return fail(EPROTO, "zram hot_add: not one number");
  return static_cast<unsigned>(*number);
}

Result<void> set_up_zram(const Tree& tree, unsigned device, const ZramSwapSettings& settings) {
  PANAL_ASSIGN(const Dir dir, open_zram(tree, device));
  const std::string node = zram_node(device);
  PANAL_ASSIGN(const std::uint64_t used, read_number(dir, "initstate"));
  if (used != 0) return fail(EBUSY, "set up " + node + ": it is in use");
  if (settings.disk_bytes == 0) return fail(EINVAL, "set up " + node + ": no size");
  Cleanup undo([&] { (void)reset_zram(dir); });  // what failed first is reported
  if (!settings.algorithm.empty()) PANAL_TRY(dir.write("comp_algorithm", settings.algorithm));
  if (!settings.writeback.empty()) {
    PANAL_TRY(set_zram_backing(dir, settings.writeback));
    // Nobody writes before somebody has said how much.
    PANAL_TRY(dir.write("writeback_limit", "0"));
    PANAL_TRY(dir.write("writeback_limit_enable", "1"));
  }
  PANAL_TRY(dir.write("disksize", std::to_string(settings.disk_bytes)));
  PANAL_TRY(dir.write("mem_limit", std::to_string(settings.memory_limit_bytes)));
  undo.release();
  return {};
}

Result<void> start_zram_swap(const Tree& tree, unsigned device, const ZramSwapSettings& settings) {
  PANAL_TRY(set_up_zram(tree, device, settings));
  PANAL_ASSIGN(const Dir dir, open_zram(tree, device));
  Cleanup undo([&] { (void)reset_zram(dir); });  // what failed first is reported
  const std::string node = zram_node(device);
  PANAL_TRY(make_swap(node, settings.disk_bytes));
  PANAL_TRY(swap_on(node, settings.priority));
  undo.release();
  return {};
}

Result<void> stop_zram_swap(const Tree& tree, unsigned device) {
  const std::string node = zram_node(device);
  auto off = swap_off(node);
  if (!off && off.error().code != EINVAL && !off.error().is_gone()) return off;
  const auto dir = open_zram(tree, device);
  if (!dir && dir.error().is_gone()) return {};
  if (!dir) return tl::make_unexpected(dir.error());
  return reset_zram(*dir);
}

Result<void> remove_zram(const Tree& tree, unsigned device) {
  return while_busy(
      [&] { return tree.sys.write("class/zram-control/hot_remove", std::to_string(device)); });
}

Result<void> compact_zram(const Tree& tree, unsigned device) {
  PANAL_ASSIGN(const Dir dir, open_zram(tree, device));
  return dir.write("compact", "1");
}

}  // namespace panal::kernel
