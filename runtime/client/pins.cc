#include "runtime/client/pins.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/base/unique_fd.h"

namespace panal::client {

std::string Pins::default_file() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config == '/')
    return std::string(config) + "/panal/known_servers";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.config/panal/known_servers";
}

Result<PinVerdict> Pins::check(const std::string& server, const std::string& fingerprint) const {
  std::ifstream in(file_);
  if (!in) {
    if (errno == ENOENT) return PinVerdict::kNew;
    return fail_errno("read", file_);
  }
  std::string line;
  auto verdict = PinVerdict::kNew;
  for (int number = 1; std::getline(in, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.size() - space - 1 != 64 ||
        line.find_first_not_of("0123456789abcdef", space + 1) != std::string::npos)
      return fail(EPROTO, file_ + ":" + std::to_string(number) +
                              ": not a line \"host:port sha256\"; mend or delete it");
    if (line.compare(0, space, server) != 0) continue;
    if (line.compare(space + 1, std::string::npos, fingerprint) == 0) return PinVerdict::kKnown;
    verdict = PinVerdict::kChanged;
  }
  return verdict;
}

Result<void> Pins::add(const std::string& server, const std::string& fingerprint) const {
  const auto directory = std::filesystem::path(file_).parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(directory, error))
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  const UniqueFd fd(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("write", file_);
  const std::string line = server + " " + fingerprint + "\n";
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return fail_errno("write", file_);
  return {};
}

}  // namespace panal::client
