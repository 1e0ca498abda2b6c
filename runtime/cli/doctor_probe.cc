#include "runtime/cli/doctor_probe.h"

#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/base/cleanup.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/mount.h"
#include "engine/base/pidfd.h"
#include "engine/base/user_namespace.h"

namespace panal::cli {
namespace {

constexpr int kChildMilliseconds = 20'000;

// What the child says: an errno value and a context, or a zero.
void report(int pipe, const Result<void>& result) {
  const int code = result ? 0 : result.error().code;
  std::string text(reinterpret_cast<const char*>(&code), sizeof code);
  if (!result) text += result.error().context.substr(0, 1000);
  (void)!::write(pipe, text.data(), text.size());  // the parent sees an empty report
}

Result<void> own_namespaces(int clone_flags) {
  if (::unshare(clone_flags) != 0) return fail_errno("unshare", "namespaces");
  if ((clone_flags & CLONE_NEWNS) != 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail_errno("make mounts private", "/");
  return {};
}

Check verdict(std::string name, const Result<void>& tried, const std::string& fine,
              std::string mend) {
  if (tried) return {std::move(name), Check::kOk, fine, {}};
  return {std::move(name), Check::kFailed, tried.error().message(), std::move(mend)};
}

Result<void> make_directories(const std::string& base, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (::mkdir((base + "/" + name).c_str(), 0755) != 0) return fail_errno("create", base);
  return {};
}

// An overlay over an idmapped view of a directory on `base`'s file system: what every desktop's
// root is. Its upper lies on a tmpfs that goes with the child.
Result<void> try_overlay(const std::string& base, bool idmapped) {
  const std::string scratch = base + "/scratch";
  PANAL_TRY(make_directories(base, {"lower", "scratch"}));
  if (::mount("tmpfs", scratch.c_str(), "tmpfs", 0, nullptr) != 0)
    return fail_errno("mount tmpfs", scratch);
  PANAL_TRY(make_directories(scratch, {"upper", "work", "root", "view"}));
  std::string lower = base + "/lower";
  if (idmapped) {
    PANAL_ASSIGN(const UserNamespace ids, UserNamespace::create(1'000'000, 65'536));
    PANAL_TRY(mount::bind_idmapped(lower, scratch + "/view", 0, ids.fd()));
    lower = scratch + "/view";
  }
  const std::string options =
      "lowerdir=" + lower + ",upperdir=" + scratch + "/upper,workdir=" + scratch + "/work";
  if (::mount("overlay", (scratch + "/root").c_str(), "overlay", 0, options.c_str()) != 0)
    return fail_errno("mount overlay", options);
  return {};
}

Result<void> try_nftables() {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return fail_errno("open", "netfilter netlink socket");
  struct {
    nlmsghdr header;
    nfgenmsg message;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_GETGEN;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  if (::send(socket.get(), &request, sizeof request, 0) < 0) return fail_errno("ask", "nftables");
  alignas(nlmsghdr) char answer[4096];
  const ssize_t got = ::recv(socket.get(), answer, sizeof answer, 0);
  if (got < 0) return fail_errno("ask", "nftables");
  if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return fail(EPROTO, "nftables: short answer");
  nlmsghdr header{};
  std::memcpy(&header, answer, sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR)
    return fail(ENOPROTOOPT, "this kernel does not answer for nftables");
  return {};
}

Result<void> try_veth() {
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork", "ip");
  if (child == 0) {
    const int null = ::open(kernel_paths::kDevNull, O_WRONLY | O_CLOEXEC);
    if (null >= 0) (void)::dup2(null, STDERR_FILENO);
    ::execlp("ip", "ip", "link", "add", "pnl1", "type", "veth", "peer", "name", "pnl2", nullptr);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return fail(ENOENT, "run ip (package iproute2)");
  if (status != 0) return fail(EOPNOTSUPP, "make a veth pair");
  return {};
}

Result<void> try_seccomp() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
    return fail_errno("ask for", "seccomp filters");
  return {};
}

}  // namespace

Result<void> try_in_child(int clone_flags, const std::function<Result<void>()>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make", "pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("fork", "a child to try things in");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    auto done = own_namespaces(clone_flags);
    if (done) done = work();
    report(write_end.get(), done);
    ::_exit(0);
  }
  write_end.reset();
  const Cleanup reap([&] {
    (void)::kill(child, SIGKILL);  // it has reported, or it hangs
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  });
  pollfd ready{read_end.get(), POLLIN, 0};
  if (::poll(&ready, 1, kChildMilliseconds) == 0) return fail(ETIME, "a try took over 20 s");
  char text[2048];
  const ssize_t got = ::read(read_end.get(), text, sizeof text);
  int code = 0;
  if (got < static_cast<ssize_t>(sizeof code)) return fail(EIO, "the child that tried it died");
  std::memcpy(&code, text, sizeof code);
  if (code == 0) return {};
  return fail(code, std::string(text + sizeof code, static_cast<std::size_t>(got) - sizeof code));
}

std::vector<Check> probe_kernel(const std::string& directory) {
  std::vector<Check> checks;
  const std::string kernel_mend = "use a kernel that has it (Debian's own, 6.1 or later, does)";
  checks.push_back(
      verdict("user namespaces",
              try_in_child(0,
                           []() -> Result<void> {
                             PANAL_TRY(UserNamespace::create(1'000'000, 65'536));
                             return {};
                           }),
              "work", "raise user.max_user_namespaces: sysctl -w user.max_user_namespaces=65536"));

  std::string base = directory + "/.panal-doctor.XXXXXX";
  if (::mkdtemp(base.data()) == nullptr) {
    checks.push_back({"overlayfs", Check::kFailed, fail_errno("create", base).value().message(),
                      "make " + directory + " writable for root"});
  } else {
    const Cleanup remove([&] {
      std::error_code ignored;  // empty directories of ours
      std::filesystem::remove_all(base, ignored);
    });
    for (const bool idmapped : {false, true}) {
      const std::string sub = base + (idmapped ? "/1" : "/0");
      (void)::mkdir(sub.c_str(), 0755);  // the try fails with its name
      checks.push_back(verdict(
          idmapped ? "idmapped mounts" : "overlayfs",
          try_in_child(CLONE_NEWNS, [&] { return try_overlay(sub, idmapped); }),
          idmapped ? "work below overlayfs on " + directory : "works on " + directory,
          idmapped ? "keep the state directory on ext4, xfs or btrfs, with Linux 5.19 or later"
                   : kernel_mend));
    }
  }
  checks.push_back(verdict("seccomp", try_seccomp(), "filters work", kernel_mend));
  checks.push_back(
      verdict("nftables", try_in_child(CLONE_NEWNET, try_nftables), "answers", kernel_mend));
  checks.push_back(verdict("veth", try_in_child(CLONE_NEWNET, try_veth), "pairs can be made",
                           "install iproute2, " + kernel_mend));
  const auto pidfd = Pidfd::open(::getpid());
  checks.push_back(verdict("pidfd", pidfd ? Result<void>{} : tl::make_unexpected(pidfd.error()),
                           "works", kernel_mend));
  return checks;
}

}  // namespace panal::cli
