#include "engine/profile/setting.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "engine/kernel/small_text.h"

namespace panal::profile {
namespace {

constexpr std::size_t kMostText = 4096;

const Dir& root_of(const Machine& machine, const Setting& setting) {
  return setting.where == Setting::Where::kSys ? machine.tree.sys : machine.tree.proc;
}

Failure no_steps(const Setting& setting) {
  return fail(ENOENT, setting.name + ": this program cannot do it");
}

}  // namespace

Result<std::string> read_setting(const Machine& machine, const Setting& setting) {
  if (setting.where == Setting::Where::kStep) {
    if (machine.steps == nullptr) return no_steps(setting);
    return machine.steps->state(setting.file);
  }
  PANAL_ASSIGN(std::string text, root_of(machine, setting).read(setting.file, kMostText));
  text.resize(std::min(text.find('\n'), text.size()));
  if (const auto chosen = kernel::chosen_of(text)) return std::string(*chosen);
  return text;
}

Result<void> write_setting(const Machine& machine, const Setting& setting,
                           const std::string& value) {
  if (setting.where == Setting::Where::kStep) {
    if (machine.steps == nullptr) return no_steps(setting);
    return machine.steps->bring(setting.file, value);
  }
  const Dir& root = root_of(machine, setting);
  {
    // O_TRUNC means nothing to the kernel's files; to files that stand in for them, it does.
    PANAL_ASSIGN(const UniqueFd fd, root.open_file(setting.file, O_WRONLY | O_TRUNC));
    if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
      return fail_errno("write", root.path() + "/" + setting.file);
  }
  PANAL_ASSIGN(const std::string now, read_setting(machine, setting));
  if (now != value)
    return fail(EIO, root.path() + "/" + setting.file + " says " + now + " after " + value +
                         " was written");
  return {};
}

std::string obstacle_of(const Machine& machine, const Setting& setting) {
  if (!machine.privileged || setting.where == Setting::Where::kStep) return {};
  const Dir& root = root_of(machine, setting);
  if (::faccessat(root.fd(), setting.file.c_str(), W_OK, AT_EACCESS) == 0) return {};
  return std::generic_category().message(errno);
}

std::string pid_namespace(const Machine& machine) {
  struct stat info{};
  if (::fstatat(machine.tree.proc.fd(), "self/ns/pid", &info, 0) != 0) return {};
  return std::to_string(info.st_ino);
}

}  // namespace panal::profile
