#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace panal::testing_support {

/// A file system on another machine, as far as a home is concerned: an empty directory served by a
/// thread of this process, which can stop answering (a server that hangs) or go away (the kernel
/// then says ENOTCONN). Speaks the kernel's protocol itself.
class TinyFuse {
 public:
  /// `mount_namespace`: a file that stands for the one to mount it in; empty: the caller's.
  explicit TinyFuse(std::string path, std::string mount_namespace = {})
      : path_(std::move(path)), mount_namespace_(std::move(mount_namespace)) {
    device_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const std::string options =
        "fd=" + std::to_string(device_) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    error_ = device_ < 0 ? errno : there([&] {
      const int made =
          ::mount("tiny", path_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str());
      return made == 0 ? 0 : errno;
    });
    mounted_ = error_ == 0;
    if (mounted_) thread_ = std::thread([this] { serve(); });
  }
  TinyFuse(const TinyFuse&) = delete;
  TinyFuse& operator=(const TinyFuse&) = delete;
  ~TinyFuse() {
    go_away();
    if (mounted_) (void)there([this] { return ::umount2(path_.c_str(), MNT_DETACH); });
    if (wake_ >= 0) ::close(wake_);
  }

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] int error() const { return error_; }
  /// Requests are read, and never answered.
  void hang() { hangs_ = true; }
  /// Whoever waits gets ENOTCONN or ECONNABORTED, and so does who comes later.
  void go_away() {
    stop_ = true;
    if (wake_ >= 0) (void)::eventfd_write(wake_, 1);
    if (thread_.joinable()) thread_.join();
    if (device_ >= 0) ::close(device_);
    device_ = -1;
  }

 private:
  /// What `work` returned (0: well) in the namespace.
  int there(const std::function<int()>& work) const {
    if (mount_namespace_.empty()) return work();
    const pid_t child = ::fork();
    if (child < 0) return errno;
    if (child == 0) {
      const int names = ::open(mount_namespace_.c_str(), O_RDONLY | O_CLOEXEC);
      if (names < 0 || ::setns(names, CLONE_NEWNS) != 0) ::_exit(errno);
      ::_exit(work());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  }

  void serve() {
    std::vector<char> buffer(std::size_t{1} << 18U);
    while (!stop_) {
      pollfd entries[] = {{device_, POLLIN, 0}, {wake_, POLLIN, 0}};
      if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
      if (stop_ || (entries[0].revents & (POLLIN | POLLERR | POLLHUP)) == 0) continue;
      const ssize_t got = ::read(device_, buffer.data(), buffer.size());
      if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
      fuse_in_header in{};
      std::memcpy(&in, buffer.data(), sizeof in);
      if (!hangs_) answer(in, buffer.data() + sizeof in);
    }
  }

  template <typename Body>
  void reply(const fuse_in_header& in, const Body& body) {
    std::vector<char> out(sizeof(fuse_out_header) + sizeof body);
    fuse_out_header header{};
    header.len = static_cast<__u32>(out.size());
    header.unique = in.unique;
    std::memcpy(out.data(), &header, sizeof header);
    std::memcpy(out.data() + sizeof header, &body, sizeof body);
    (void)!::write(device_, out.data(), out.size());
  }
  void reply_error(const fuse_in_header& in, int error) {
    fuse_out_header header{};
    header.len = sizeof header;
    header.error = -error;
    header.unique = in.unique;
    (void)!::write(device_, &header, sizeof header);
  }

  void answer(const fuse_in_header& in, const char* body) {
    switch (in.opcode) {
      case FUSE_INIT: {
        fuse_init_in asked{};
        std::memcpy(&asked, body, 16);  // what every version has
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = std::min<__u32>(asked.minor, FUSE_KERNEL_MINOR_VERSION);
        out.max_readahead = asked.max_readahead;
        out.max_write = 65536;
        return reply(in, out);
      }
      case FUSE_GETATTR: {
        fuse_attr_out out{};
        out.attr.ino = 1;
        out.attr.mode = S_IFDIR | 0711;
        out.attr.nlink = 2;
        return reply(in, out);
      }
      case FUSE_STATFS: return reply(in, fuse_statfs_out{});
      case FUSE_OPENDIR: return reply(in, fuse_open_out{});
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
      case FUSE_RELEASEDIR:
      case FUSE_FLUSH: return reply_error(in, 0);
      case FUSE_LOOKUP: return reply_error(in, ENOENT);
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET: return;  // nobody waits for an answer
      default: return reply_error(in, ENOSYS);
    }
  }

  std::string path_, mount_namespace_;
  int device_ = -1;
  int wake_ = -1;
  bool mounted_ = false;
  int error_ = 0;
  std::atomic<bool> hangs_{false}, stop_{false};
  std::thread thread_;
};

}  // namespace panal::testing_support
