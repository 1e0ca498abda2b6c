#include "runtime/cli/password_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "engine/base/cleanup.h"
#include "engine/base/unique_fd.h"
#include "runtime/broker/auth/password.h"

namespace panal::cli {
namespace {

/// One line from `fd`, read to its newline and not past it where it is a terminal.
Result<std::string> read_line(int fd, const std::string& name) {
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read a password from", name);
    if (got == 0 || c == '\n') break;
    if (line.size() == auth::kPasswordBytes) {
      return fail(EINVAL, fmt::format("the first line of {} is longer than {} bytes; a password "
                                      "cannot be",
                                      name, auth::kPasswordBytes));
    }
    line += c;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty())
    return fail(EINVAL, fmt::format("{} begins with an empty line; a password "
                                    "cannot be empty",
                                    name));
  return line;
}

}  // namespace

Result<std::string> read_password_file(const std::string& file) {
  if (file == "-") return read_line(STDIN_FILENO, "standard input");
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return fail_errno("read a password from", file);
  return read_line(fd.get(), file);
}

Result<std::string> ask_password(std::ostream& prompt, const std::string& login) {
  termios before{};
  if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) != 0) {
    return fail(EINVAL,
                "there is no terminal to ask for a password; give --password-file or --generate");
  }
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) return fail_errno("switch echo off");
  const Cleanup restore([&before] { tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); });
  prompt << fmt::format("New password of {}: ", login) << std::flush;
  auto first = read_line(STDIN_FILENO, "the terminal");
  prompt << "\n";
  if (!first) return first;
  prompt << "Once more: " << std::flush;
  auto second = read_line(STDIN_FILENO, "the terminal");
  prompt << "\n";
  if (!second) return second;
  if (*first != *second) return fail(EINVAL, "the two passwords differ; nothing was changed");
  return first;
}

Result<std::string> generate_password() {
  // 32 characters, none that is mistaken for another: 5 bits each.
  static constexpr std::string_view kAlphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  static_assert(kAlphabet.size() == 32);
  PANAL_ASSIGN(const std::string random, auth::random_bytes(16));
  std::string out;
  for (std::size_t i = 0; i < random.size(); ++i) {
    if (i != 0 && i % 4 == 0) out += '-';
    out += kAlphabet[static_cast<unsigned char>(random[i]) % kAlphabet.size()];
  }
  return out;
}

}  // namespace panal::cli
