#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// An rtnetlink request while it is made, for what libnl-route does not know. At most 1 KiB: the
/// longest of ours has some 300 bytes.
class Request {
 public:
  /// `what`: for error contexts, "add link pnl7". `fixed`: the header of its family (ifinfomsg,
  /// tcmsg).
  template <typename Fixed>
  Request(int type, int flags, const Fixed& fixed, std::string what) : what_(std::move(what)) {
    header_ = mnl_nlmsg_put_header(bytes_.data());
    header_->nlmsg_type = static_cast<std::uint16_t>(type);
    header_->nlmsg_flags = static_cast<std::uint16_t>(flags);
    this->fixed(fixed);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// A structure without an attribute around it, as a nested link begins with.
  template <typename Fixed>
  void fixed(const Fixed& value) {
    *static_cast<Fixed*>(mnl_nlmsg_put_extra_header(header_, sizeof(value))) = value;
  }
  void text(std::uint16_t type, const std::string& value) {
    mnl_attr_put_strz(header_, type, value.c_str());
  }
  void u16(std::uint16_t type, std::uint16_t value) { mnl_attr_put_u16(header_, type, value); }
  void u32(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void u64(std::uint16_t type, std::uint64_t value) { mnl_attr_put_u64(header_, type, value); }
  template <typename T>
  void value(std::uint16_t type, const T& value) {
    mnl_attr_put(header_, type, sizeof(value), &value);
  }
  /// Attributes put until end() are inside.
  nlattr* begin(std::uint16_t type) { return mnl_attr_nest_start(header_, type); }
  void end(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  [[nodiscard]] Message finish() { return Message(header_, std::move(what_)); }

 private:
  alignas(nlmsghdr) std::array<char, 1024> bytes_{};
  nlmsghdr* header_ = nullptr;
  std::string what_;
};

}  // namespace panal::netconfine
