#include "engine/kernel/zram_writeback.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/base/unique_fd.h"
#include "engine/kernel/loop_device.h"
#include "engine/kernel/text.h"

namespace panal::kernel {
namespace {

constexpr std::uint64_t kUnit = 4096;  // of bd_stat and writeback_limit, whatever the page size
constexpr std::uint64_t kLeastPlace = 1 << 20;
constexpr const char* kBacking = "backing_dev";

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

Result<std::uint64_t> size_of_block_device(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open", path);
  std::uint64_t bytes = 0;
  if (::ioctl(fd.get(), BLKGETSIZE64, &bytes) != 0) return fail_errno("ask the size of", path);
  return bytes;
}

}  // namespace

Result<ZramBacking> parse_zram_bd_stat(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() < 3) return fail(EPROTO, "bd_stat: fewer than three columns");
  std::uint64_t bytes[3] = {};
  for (std::size_t i = 0; i < std::size(bytes); ++i) {
    const auto number = parse_number(words[i]);
    if (!number || *number > UINT64_MAX / kUnit)
      return fail(EPROTO, "bd_stat: column " + std::to_string(i + 1) + " is no number");
    bytes[i] = *number * kUnit;
  }
  return ZramBacking{bytes[0], bytes[1], bytes[2]};
}

bool zram_writes_back(const Tree& tree) {
  const auto names = tree.sys.list("block");
  return names && std::any_of(names->begin(), names->end(), [&](const std::string& name) {
           return name.starts_with("zram") && tree.sys.exists("block/" + name + "/" + kBacking);
         });
}

Result<std::string> find_writeback_place(const std::string& path) {
  std::error_code trouble;
  std::string place = std::filesystem::canonical(path, trouble).string();
  if (trouble) return fail(trouble.value(), "find " + path);
  struct stat info{};
  if (::stat(place.c_str(), &info) != 0) return fail_errno("look at", place);
  std::uint64_t bytes = 0;
  if (S_ISBLK(info.st_mode)) {
    if (name_of(place).starts_with("zram") || name_of(place).starts_with("loop"))
      return fail(EINVAL, place + " is no disk: name the disk, or the file itself");
    PANAL_ASSIGN(bytes, size_of_block_device(place));
  } else if (S_ISREG(info.st_mode)) {
    if (info.st_uid != 0 || (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
      return fail(EPERM, place + " must be root's, mode 600: desktops' memory is written there");
    bytes = static_cast<std::uint64_t>(info.st_size);
  } else {
    return fail(EINVAL, place + " is neither a disk nor a file");
  }
  if (bytes < kLeastPlace) return fail(EINVAL, place + " has less than 1 MiB");
  return place;
}

Result<void> set_zram_backing(const Dir& device, const std::string& place) {
  struct stat info{};
  if (::stat(place.c_str(), &info) != 0) return fail_errno("look at", place);
  if (!S_ISREG(info.st_mode)) return device.write(kBacking, place);
  PANAL_ASSIGN(const LoopDevice loop, attach_loop(place));
  return device.write(kBacking, loop.node);  // which holds it from now on
}

Result<std::string> read_zram_backing(const Tree& tree, const Dir& device) {
  const auto text = device.read(kBacking);
  if (!text && text.error().code == ENOENT) return std::string();  // the kernel cannot
  if (!text) return tl::make_unexpected(text.error());
  std::string place(first_line(*text));
  if (place == "none") return std::string();
  if (!name_of(place).starts_with("loop")) return place;
  const std::string file = "block/" + std::string(name_of(place)) + "/loop/backing_file";
  PANAL_ASSIGN(const std::string behind, tree.sys.read(file));
  return std::string(first_line(behind));
}

Result<void> mark_zram_idle(const Dir& device) { return device.write("idle", "all"); }

Result<std::uint64_t> write_back_zram(const Dir& device, ZramWriteback what,
                                      std::uint64_t most_bytes) {
  const auto written = [&device]() -> Result<std::uint64_t> {
    PANAL_ASSIGN(const std::string text, device.read("bd_stat"));
    PANAL_ASSIGN(const ZramBacking backing, parse_zram_bd_stat(text));
    return backing.written;
  };
  PANAL_ASSIGN(const std::uint64_t before, written());
  PANAL_TRY(device.write("writeback_limit", std::to_string(most_bytes / kUnit)));
  PANAL_TRY(device.write("writeback_limit_enable", "1"));
  const auto done = device.write("writeback", what == ZramWriteback::kIdle ? "idle" : "huge");
  PANAL_ASSIGN(const std::uint64_t after, written());
  // EIO: the limit is reached.
  if (!done && done.error().code != EIO) return tl::make_unexpected(done.error());
  return after > before ? after - before : 0;
}

}  // namespace panal::kernel
