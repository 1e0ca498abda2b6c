#pragma once

#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "netconfine/firewall/nft/rule.h"
#include "netconfine/netlink/socket.h"

namespace panal::netconfine {

/// Collects requests; the first that cannot be built stops it.
class NftScript {
 public:
  NftScript& add(Result<Message> message) {
    if (!status_) return *this;
    if (message) {
      messages_.push_back(std::move(*message));
    } else {
      status_ = tl::make_unexpected(std::move(message.error()));
    }
    return *this;
  }
  NftScript& add(const NftRule& rule) { return add(rule.build()); }
  [[nodiscard]] Result<std::vector<Message>> finish() {
    if (!status_) return tl::make_unexpected(std::move(status_.error()));
    return std::move(messages_);
  }

 private:
  std::vector<Message> messages_;
  Result<void> status_;
};

}  // namespace panal::netconfine
