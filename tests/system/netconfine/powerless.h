#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>

namespace panal::netconfine::testing {

/// While it lives, the kernel refuses the calling thread (and threads that it starts) every change
/// of its networks: EPERM. Questions to rtnetlink are answered as before, nftables answers none.
class Powerless {
 public:
  Powerless() {
    if (::syscall(SYS_capget, &header_, before_) != 0) throw std::runtime_error("capget");
    __user_cap_data_struct now[2] = {before_[0], before_[1]};
    now[0].effective &= ~(1U << CAP_NET_ADMIN);
    if (::syscall(SYS_capset, &header_, now) != 0) throw std::runtime_error("capset");
  }
  ~Powerless() { (void)::syscall(SYS_capset, &header_, before_); }
  Powerless(const Powerless&) = delete;
  Powerless& operator=(const Powerless&) = delete;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2] = {};
};

}  // namespace panal::netconfine::testing
