#include "tests/system/netconfine/qos/street.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "netconfine/netlink/enter.h"
#include "tests/support/patience.h"

namespace panal::netconfine::testing {
namespace {

void must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

}  // namespace

Street::Street()
    : panal_(new_network_namespace()), pool_(*AddressPool::parse("10.77.0.0/16", "fd77:70::/64")) {
  must(run_inside(panal_, [&]() -> Result<void> {
    PANAL_TRY(prepare_panal_namespace(true));
    PANAL_ASSIGN(auto veths, RoutedVeths::open());
    veths_ = std::make_unique<RoutedVeths>(std::move(veths));
    return {};
  }));
  if (shell_inside(panal_,
                   "echo 1 > /proc/sys/net/ipv4/ip_forward && "
                   "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding") != 0) {
    throw std::runtime_error("forward");
  }
}

void Street::add(DesktopId id) {
  desktops_[id] = new_network_namespace();
  must(run_inside(desktops_[id], prepare_desktop_namespace));
  must(veths_->add(addresses(id), desktops_[id]));
}

void Street::bring_up(DesktopId id) {
  must(run_inside(desktops_[id], [&] { return configure_desktop_end(addresses(id)); }));
  must(veths_->bring_up(addresses(id)));
  await_link(panal_, addresses(id).link, desktops_[id]);
}

std::unique_ptr<Qos> Street::open_qos(const LineLimits& line) const {
  std::unique_ptr<Qos> qos;
  must(run_inside(panal_, [&]() -> Result<void> {
    PANAL_ASSIGN(qos, Qos::open(line));
    return {};
  }));
  return qos;
}

std::string Street::tc(const std::string& words) const {
  return output_inside(panal_, "tc " + words + " 2>&1");
}

void blast(const UniqueFd& from, const std::string& address, std::uint16_t port, int count,
           std::size_t bytes) {
  must(run_inside(from, [&]() -> Result<void> {
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    const bool is6 = inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1;
    if (!is6 && inet_pton(AF_INET, address.c_str(), &four.sin_addr) != 1) {
      return fail(EINVAL, address);
    }
    const UniqueFd fd(socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto* to =
        is6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
    const socklen_t length = is6 ? sizeof(six) : sizeof(four);
    const std::vector<char> data(bytes, 'x');
    for (int i = 0; i < count; ++i) {
      if (sendto(fd.get(), data.data(), data.size(), 0, to, length) < 0 && errno != ENOBUFS &&
          errno != ECONNREFUSED) {
        return fail_errno("blast", address);
      }
    }
    return {};
  }));
}

ShapeUse use_of(Qos& qos, const std::string& link, Direction direction) {
  const auto uses = qos.use();
  if (!uses) throw std::runtime_error(uses.error().message());
  for (const auto& use : *uses) {
    if (use.link == link && use.direction == direction) return use;
  }
  return {};
}

int hear(UdpEar& ear, int count) {
  int heard = 0;
  for (int i = 0; i < 1000 * patience() && heard < count; ++i) {
    heard += ear.heard();
    if (heard < count) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return heard;
}

int frames_of(const UniqueFd& tap, std::size_t bytes, int count) {
  int came = 0;
  std::array<std::uint8_t, 2048> frame{};
  for (int i = 0; i < 1000 * patience() && came < count;) {
    const auto n = read(tap.get(), frame.data(), frame.size());
    if (n == static_cast<ssize_t>(bytes)) ++came;
    if (n >= 0) continue;
    ++i;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return came;
}

void drain(Qos& qos) {
  for (int i = 0; i < 3000 * patience(); ++i) {
    const auto uses = qos.use();
    if (!uses) throw std::runtime_error(uses.error().message());
    bool waits = false;
    for (const auto& use : *uses) waits = waits || use.waiting_bytes != 0;
    if (!waits) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("the queues did not drain");
}

}  // namespace panal::netconfine::testing
