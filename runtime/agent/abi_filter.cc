#include "runtime/agent/abi_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace panal::agent {
namespace {

/// The last call of Linux 5.17; the same number on every architecture since 5.1.
constexpr unsigned kLastKnownCall = 450;  // set_mempolicy_home_node

#if defined(__x86_64__)
constexpr unsigned kNativeAbi = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kNativeAbi = AUDIT_ARCH_AARCH64;
#else
#error "the seccomp filter has no ABI for this architecture"
#endif

}  // namespace

Result<void> install_abi_filter() {
  constexpr auto kArch = static_cast<unsigned>(offsetof(seccomp_data, arch));
  constexpr auto kCall = static_cast<unsigned>(offsetof(seccomp_data, nr));
  std::array filter = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArch),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kNativeAbi, 0, 2),
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kCall),
      // x32 calls have bit 30 set, so they are past the last known one too.
      sock_filter BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kLastKnownCall, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    return fail_errno("install the seccomp ABI filter");
  return {};
}

}  // namespace panal::agent
