#include "engine/kernel/sysctl.h"

#include "engine/kernel/text.h"

namespace panal::kernel {

Result<std::string> sysctl_path(const std::string& name) {
  std::string path = "sys";
  for (const std::string_view piece : split(name, '.')) {
    bool fine = !piece.empty();
    for (const char c : piece)
      fine = fine && (c == '-' || c == '_' || c == '/' || (c >= '0' && c <= '9') ||
                      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
    if (!fine || piece.front() == '/' || piece.back() == '/' ||
        piece.find("//") != std::string_view::npos)
      return fail(EINVAL, "sysctl \"" + name + "\": not a name like vm.swappiness");
    path += '/';
    for (const char c : piece) path += c == '/' ? '.' : c;
  }
  return path;
}

Result<std::string> read_sysctl(const Tree& tree, const std::string& name) {
  PANAL_ASSIGN(const std::string path, sysctl_path(name));
  PANAL_ASSIGN(const std::string text, tree.proc.read(path));
  std::string value;
  for (const std::string_view word : words_of(text)) {
    if (!value.empty()) value += ' ';
    value += word;
  }
  return value;
}

Result<void> write_sysctl(const Tree& tree, const std::string& name, const std::string& value) {
  PANAL_ASSIGN(const std::string path, sysctl_path(name));
  return tree.proc.write(path, value);
}

}  // namespace panal::kernel
