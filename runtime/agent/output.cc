#include "runtime/agent/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/agent/prepare.h"

namespace panal::agent {
namespace {

constexpr std::size_t kMostLineBytes = 4096;
constexpr std::size_t kMostLogBytes = 256 << 10;

}  // namespace

std::vector<std::string> LineCutter::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  for (;;) {
    const std::size_t end = bytes.find('\n');
    rest_.append(bytes.substr(0, end));
    if (rest_.size() > kMostLineBytes) rest_.resize(kMostLineBytes);
    if (end == std::string_view::npos) return lines;
    lines.push_back(std::move(rest_));
    rest_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void SessionLog::open(const User& user) {
  user_ = &user;
  const AsUser as_user(user);
  std::string directory = user.home;
  for (const char* part : {"/.local", "/share", "/panal"}) {
    directory += part;
    ::mkdir(directory.c_str(), 0700);
  }
  path_ = directory + "/session.log";
  file_.reset();
  rotate();
}

void SessionLog::rotate() {
  if (user_ == nullptr) return;
  const AsUser as_user(*user_);
  ::rename(path_.c_str(), (path_ + ".old").c_str());
  file_ =
      UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  bytes_ = 0;
}

void SessionLog::append(std::string_view bytes) {
  tail.append(bytes);
  if (!file_) return;
  if (bytes_ + bytes.size() > kMostLogBytes) rotate();
  if (!file_) return;
  // A full disk costs the session's log, not the session.
  const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
  if (written > 0) bytes_ += static_cast<std::size_t>(written);
}

Drained drain(int fd) {
  Drained out;
  char buffer[4096];
  while (out.bytes.size() < (64 << 10)) {
    const ssize_t count = ::read(fd, buffer, sizeof(buffer));
    if (count > 0) {
      out.bytes.append(buffer, static_cast<std::size_t>(count));
      continue;
    }
    out.end = count == 0;
    break;
  }
  return out;
}

}  // namespace panal::agent
