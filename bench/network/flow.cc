#include "bench/network/flow.h"

#include <poll.h>

#include <array>
#include <cstring>

namespace panal::bench {
namespace {

/// What waits while nobody takes it: a minute of what a flow sends.
constexpr int kQueueBytes = 32 << 20;
constexpr int kFlowPatienceMs = 5000;

}  // namespace

Result<Flow> Flow::open(const std::string& name, const UniqueFd& from, const std::string& source,
                        const UniqueFd& to, const std::string& destination, std::uint16_t port,
                        bool allowed) {
  Flow flow;
  flow.name_ = name;
  flow.allowed_ = allowed;
  PANAL_ASSIGN(const auto local, socket_address(source, 0));
  PANAL_ASSIGN(const auto remote, socket_address(destination, port));
  PANAL_ASSIGN(flow.mouth_, udp_socket(from, local, kQueueBytes));
  // By its own address, so that answers have the right source.
  PANAL_ASSIGN(flow.ear_, udp_socket(to, remote, kQueueBytes));
  if (::connect(flow.mouth_.get(), remote.get(), remote.length) != 0)
    return fail_errno("connect to", destination);
  return flow;
}

Result<Flow> Flow::replies(const std::string& name) {
  PANAL_TRY(send());
  pollfd ready{ear_.get(), POLLIN, 0};
  if (::poll(&ready, 1, kFlowPatienceMs) != 1) return fail(EIO, name_ + ": nothing arrives");
  std::uint64_t number = 0;
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (::recvfrom(ear_.get(), &number, sizeof number, 0, reinterpret_cast<sockaddr*>(&peer),
                 &length) != sizeof number)
    return fail_errno("receive", name_);
  seen_.resize(number + 1);
  seen_[number] = true;
  ++arrived_;
  if (::connect(ear_.get(), reinterpret_cast<const sockaddr*>(&peer), length) != 0)
    return fail_errno("connect", name);
  Flow back;
  back.name_ = name;
  PANAL_ASSIGN(back.mouth_, ear_.duplicate());
  PANAL_ASSIGN(back.ear_, mouth_.duplicate());
  return back;
}

Result<void> Flow::send() {
  const std::uint64_t number = sent_;
  if (::send(mouth_.get(), &number, sizeof number, 0) == sizeof number) {
    ++sent_;
    return {};
  }
  // What an earlier packet met: a host that answers "no such port". The number is still to come.
  if (errno == ECONNREFUSED) return {};
  return fail_errno("send", name_);
}

Result<void> Flow::take() {
  std::uint64_t number = 0;
  for (;;) {
    const auto length = ::recv(ear_.get(), &number, sizeof number, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == ECONNREFUSED)) return {};
    if (length < 0) return fail_errno("receive", name_);
    if (length != sizeof number) return fail(EPROTO, name_ + ": a packet that is none of ours");
    if (number >= seen_.size()) seen_.resize(number + 1 + seen_.size() / 2);
    if (!seen_[number]) ++arrived_;
    seen_[number] = true;
  }
}

}  // namespace panal::bench
