#include "tests/system/netconfine/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "netconfine/netlink/enter.h"

namespace panal::netconfine::testing {
namespace {

void must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

void must(bool good, const char* what) {
  if (!good) must(fail_errno(what));
}

UniqueFd open_namespace(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  must(fd.valid(), path.c_str());
  return fd;
}

}  // namespace

UniqueFd new_network_namespace() {
  UniqueFd fd;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) == 0) fd = open_namespace("/proc/thread-self/ns/net");
  }).join();
  must(fd.valid(), "new network namespace");
  return fd;
}

FakeDesktop::FakeDesktop() {
  int ready[2], mapped[2];
  must(pipe2(ready, O_CLOEXEC) == 0 && pipe2(mapped, O_CLOEXEC) == 0, "pipe");
  pid_ = fork();
  must(pid_ >= 0, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1 || read(mapped[0], &byte, 1) != 1) _exit(1);
    for (;;) pause();
  }
  UniqueFd fds[] = {UniqueFd(ready[0]), UniqueFd(ready[1]), UniqueFd(mapped[0]),
                    UniqueFd(mapped[1])};
  char byte = 'n';
  must(read(ready[0], &byte, 1) == 1 && byte == 'y', "unshare user and network namespaces");
  const std::string proc = "/proc/" + std::to_string(pid_);
  std::ofstream(proc + "/uid_map") << "0 1000000 65536\n";
  std::ofstream(proc + "/gid_map") << "0 1000000 65536\n";
  must(write(mapped[1], "y", 1) == 1, "write");
}

FakeDesktop::FakeDesktop(FakeDesktop&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

UniqueFd FakeDesktop::network() const {
  return open_namespace("/proc/" + std::to_string(pid_) + "/ns/net");
}

void FakeDesktop::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int shell_inside(const UniqueFd& network_namespace, const std::string& command) {
  int status = -1;
  must(run_inside(network_namespace, [&]() -> Result<void> {
    status = std::system(command.c_str());
    return {};
  }));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void await_link(const UniqueFd& network_namespace, const std::string& link) {
  for (int i = 0; i < 2000; ++i) {
    if (shell_inside(network_namespace, "ip -br link show dev " + link + " | grep -q ' UP '") == 0)
      return;
    usleep(5'000);
  }
  ADD_FAILURE() << "link " << link << " does not come up";
}

void await_link(const UniqueFd& panal, const std::string& link, const UniqueFd& desktop) {
  await_link(panal, link);
  await_link(desktop, "eth0");
}

std::string output_inside(const UniqueFd& network_namespace, const std::string& command) {
  std::string output;
  must(run_inside(network_namespace, [&]() -> Result<void> {
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return fail_errno("popen", command);
    std::array<char, 4096> part{};
    for (std::size_t n; (n = fread(part.data(), 1, part.size(), pipe)) > 0;) {
      output.append(part.data(), n);
    }
    pclose(pipe);
    return {};
  }));
  return output;
}

bool say(const UniqueFd& network_namespace, const std::string& address, std::uint16_t port) {
  bool sent = false;
  must(run_inside(network_namespace, [&]() -> Result<void> {
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    const bool is6 = inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1;
    if (!is6 && inet_pton(AF_INET, address.c_str(), &four.sin_addr) != 1)
      return fail(EINVAL, address);
    const UniqueFd fd(socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sent = fd && sendto(fd.get(), "hello", 5, 0,
                        is6 ? reinterpret_cast<const sockaddr*>(&six)
                            : reinterpret_cast<const sockaddr*>(&four),
                        is6 ? sizeof(six) : sizeof(four)) == 5;
    return {};
  }));
  return sent;
}

Tap::Tap(const UniqueFd& network_namespace, const std::string& link) {
  must(run_inside(network_namespace, [&]() -> Result<void> {
    fd_ = UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    index_ = static_cast<int>(if_nametoindex(link.c_str()));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index_;
    if (!fd_ || index_ == 0 ||
        bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return fail_errno("tap", link);
    }
    return {};
  }));
}

void Tap::send(const std::vector<std::uint8_t>& frame) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = index_;
  const auto sent = sendto(fd_.get(), frame.data(), frame.size(), 0,
                           reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  must(sent == static_cast<ssize_t>(frame.size()), "send a frame");
}

std::vector<std::string> Tap::received() {
  std::vector<std::string> frames;
  std::array<std::uint8_t, 2048> frame{};
  for (;;) {
    sockaddr_ll from{};
    socklen_t length = sizeof(from);
    const auto n = recvfrom(fd_.get(), frame.data(), frame.size(), 0,
                            reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 0) return frames;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    std::string hex;
    for (ssize_t i = 0; i < n; ++i) {
      char byte[3];
      snprintf(byte, sizeof(byte), "%02x", frame[static_cast<std::size_t>(i)]);
      hex += byte;
    }
    frames.push_back(std::move(hex));
  }
}

UdpEar::UdpEar(const UniqueFd& network_namespace, int family, std::uint16_t port) {
  must(run_inside(network_namespace, [&]() -> Result<void> {
    fd_ = UniqueFd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int one = 1;
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    if (family == AF_INET6) setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    const auto* address = family == AF_INET6 ? reinterpret_cast<const sockaddr*>(&six)
                                             : reinterpret_cast<const sockaddr*>(&four);
    const socklen_t length = family == AF_INET6 ? sizeof(six) : sizeof(four);
    if (!fd_ || bind(fd_.get(), address, length) != 0) return fail_errno("bind UDP");
    return {};
  }));
}

int UdpEar::heard() {
  int count = 0;
  std::array<char, 2048> bytes{};
  while (recv(fd_.get(), bytes.data(), bytes.size(), 0) >= 0) ++count;
  return count;
}

}  // namespace panal::netconfine::testing
