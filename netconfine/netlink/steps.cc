#include "netconfine/netlink/steps.h"

#include <algorithm>

namespace panal::netconfine {
namespace {

// All answers of one datagram wait in the socket's buffer of 4 MiB, some 800 bytes each.
constexpr std::size_t kStepsAtOnce = 512;

}  // namespace

Result<void> carry_out(NetlinkSocket& socket, std::vector<Step> steps) {
  for (std::size_t first = 0; first < steps.size(); first += kStepsAtOnce) {
    const std::size_t last = std::min(first + kStepsAtOnce, steps.size());
    std::vector<Message> messages;
    for (std::size_t i = first; i < last; ++i) messages.push_back(std::move(steps[i].message));
    PANAL_ASSIGN(auto refusals, socket.try_transact(std::move(messages)));
    for (auto& refusal : refusals) {
      const auto& fine = steps[first + refusal.index].fine;
      if (std::find(fine.begin(), fine.end(), refusal.error.code) == fine.end()) {
        return tl::make_unexpected(std::move(refusal.error));
      }
    }
  }
  return {};
}

}  // namespace panal::netconfine
