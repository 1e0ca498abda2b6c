#include "bench/network/lane.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include "netconfine/netlink/enter.h"

namespace panal::bench {
namespace {

constexpr std::size_t kPayloadBytes = 64;
/// For a machine that is asleep; what is sent has as a rule arrived before anybody looks.
constexpr int kPatienceMs = 5000;

double nanoseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace

Result<SocketAddress> socket_address(const std::string& text, std::uint16_t port) {
  SocketAddress out;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::memcpy(&out.storage, &four, sizeof four);
    out.length = sizeof four;
    return out;
  }
  if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) != 1)
    return fail(EINVAL, "\"" + text + "\" is no address");
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  std::memcpy(&out.storage, &six, sizeof six);
  out.length = sizeof six;
  return out;
}

Result<UniqueFd> udp_socket(const UniqueFd& network, const SocketAddress& local,
                            int receive_bytes) {
  UniqueFd fd;
  PANAL_TRY(netconfine::run_inside(network, [&]() -> Result<void> {
    fd = UniqueFd(::socket(local.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno("make a socket");
    const int one = 1;
    // Addresses that a route makes local can be had so only; a port of both families is two
    // sockets.
    (void)::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &one, sizeof one);
    if (local.storage.ss_family == AF_INET6)
      (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (receive_bytes != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes,
                                           sizeof receive_bytes) != 0)
      return fail_errno("give a socket a longer queue");
    if (::bind(fd.get(), local.get(), local.length) != 0) return fail_errno("bind a socket");
    return {};
  }));
  return fd;
}

Result<Lane> Lane::open(const LanePlan& plan) {
  Lane lane;
  lane.way_ = plan.way;
  lane.arrives_ = plan.arrives;
  for (const auto& text : plan.destinations) {
    PANAL_ASSIGN(const auto address, socket_address(text, plan.port));
    lane.destinations_.push_back(address.storage);
    lane.address_length_ = address.length;
  }
  PANAL_ASSIGN(const auto source, socket_address(plan.source, 0));
  PANAL_ASSIGN(lane.mouth_, udp_socket(plan.from, source));
  const bool v6 = source.storage.ss_family == AF_INET6;
  PANAL_ASSIGN(const auto anywhere, socket_address(v6 ? "::" : "0.0.0.0", plan.port));
  PANAL_ASSIGN(lane.ear_, udp_socket(plan.to, anywhere));
  return lane;
}

std::size_t Lane::drain() const {
  std::array<std::array<char, kPayloadBytes>, kBatch> bytes;
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {bytes[i].data(), bytes[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t all = 0;
  for (;;) {
    const int got = ::recvmmsg(ear_.get(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return all;
    all += static_cast<std::size_t>(got);
  }
}

Result<void> Lane::wait_for(std::size_t missing) const {
  while (missing > 0) {
    pollfd ready{ear_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMs) <= 0)
      return fail(EIO,
                  fmt::format("{}: {} packets have not arrived that are allowed", way_, missing));
    missing -= std::min(missing, drain());
  }
  return {};
}

Result<Batch> Lane::send() {
  std::array<char, kPayloadBytes> bytes{};
  iovec part{bytes.data(), bytes.size()};
  std::array<mmsghdr, kBatch> messages{};
  const auto count =
      opens_connections() ? std::min<std::size_t>(destinations_.size(), kBatch) : kBatch;
  for (std::size_t i = 0; i < count; ++i) {
    auto& header = messages[i].msg_hdr;
    header.msg_name = &destinations_[i % destinations_.size()];
    header.msg_namelen = address_length_;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
  }
  const double wall = nanoseconds(CLOCK_MONOTONIC), cpu = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  const int sent = ::sendmmsg(mouth_.get(), messages.data(), static_cast<unsigned>(count), 0);
  const int code = errno;
  const double cpu_after = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  const double wall_after = nanoseconds(CLOCK_MONOTONIC);
  if (sent != static_cast<int>(count))
    return fail(sent < 0 ? code : EIO,
                fmt::format("{}: send {} packets, {} were taken", way_, count, sent));
  Batch batch;
  batch.wall_ns = (wall_after - wall) / static_cast<double>(count);
  batch.cpu_ns = (cpu_after - cpu) / static_cast<double>(count);
  const std::size_t there = drain();
  if (!arrives_) {
    if (there > 0)
      return fail(EIO, fmt::format("{}: {} packets came through that are forbidden", way_, there));
    return batch;
  }
  batch.at_once = there >= count;
  if (!batch.at_once) PANAL_TRY(wait_for(count - there));
  return batch;
}

OnOneCore::OnOneCore() {
  ::sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before_)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  ::sched_setaffinity(0, sizeof one, &one);
}

OnOneCore::~OnOneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace panal::bench
