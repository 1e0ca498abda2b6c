#include "runtime/cli/node_state.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>

#include "engine/base/log.h"
#include "runtime/cli/supervisor/pid_file.h"
#include "runtime/cli/supervisor/services.h"

namespace panal::cli {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// Numeric addresses only: config checked them.
Address to_address(const std::string& text, std::uint16_t port) {
  Address out;
  sockaddr_in six_or_four{};
  if (inet_pton(AF_INET, text.c_str(), &six_or_four.sin_addr) == 1) {
    six_or_four.sin_family = AF_INET;
    six_or_four.sin_port = htons(port);
    std::memcpy(&out.storage, &six_or_four, sizeof six_or_four);
    out.size = sizeof six_or_four;
    return out;
  }
  sockaddr_in6 six{};
  inet_pton(AF_INET6, text.c_str(), &six.sin6_addr);
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  std::memcpy(&out.storage, &six, sizeof six);
  out.size = sizeof six;
  return out;
}

bool any_address(const std::string& text) { return text == "0.0.0.0" || text == "::"; }

}  // namespace

std::optional<Pidfd> service_process(const config::Config& config, const std::string& name) {
  auto process = supervisor::open_recorded(supervisor::pid_file(config, name));
  if (!process) return std::nullopt;
  return std::move(*process);
}

std::string service_trouble(const config::Config& config, const std::string& name) {
  std::ifstream file(supervisor::directory(config) + "/" + name + ".trouble");
  std::string line;
  std::getline(file, line);
  return printable(line, 4000);
}

Result<void> broker_accepts(const config::Config& config) {
  std::string host = config.listen_address;
  if (any_address(host)) host = host == "::" ? "::1" : "127.0.0.1";
  const Address address = to_address(host, config.port);
  const UniqueFd fd(
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("make a socket");
  const std::string where = host + " port " + std::to_string(config.port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0) {
    return {};
  }
  if (errno != EINPROGRESS) return fail_errno("connect to", where);
  pollfd wait{fd.get(), POLLOUT, 0};
  if (poll(&wait, 1, 2000) <= 0) return fail(ETIMEDOUT, "connect to " + where);
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return fail_errno("connect");
  if (error != 0) return fail(error, "connect to " + where);
  return {};
}

Result<void> broker_address_is_free(const config::Config& config) {
  const Address address = to_address(config.listen_address, config.port);
  const UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("make a socket");
  // As the broker does: links of an earlier one that linger do not count.
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return fail_errno("set up a socket");
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    return fail_errno("listen on", config.listen_address + " port " + std::to_string(config.port));
  }
  return {};
}

std::string broker_address(const config::Config& config) {
  if (!any_address(config.listen_address)) return config.listen_address;
  // No packet is sent: connecting a datagram socket only asks the routing table (RFC 5737 address).
  const Address outside = to_address("192.0.2.1", 9);
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in self{};
  socklen_t size = sizeof self;
  if (!fd ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&outside.storage), outside.size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&self), &size) != 0) {
    return "127.0.0.1";
  }
  std::array<char, INET_ADDRSTRLEN> text{};
  if (inet_ntop(AF_INET, &self.sin_addr, text.data(), text.size()) == nullptr) return "127.0.0.1";
  return text.data();
}

Result<bool> end_process(const Pidfd& process, int signal, std::chrono::milliseconds grace) {
  const auto sent = process.send_signal(signal);
  if (!sent && sent.error().is_gone()) return false;
  PANAL_TRY(sent);
  PANAL_ASSIGN(const bool ended, process.wait_exit(grace));
  if (ended) return false;
  const auto killed = process.send_signal(SIGKILL);
  if (!killed && !killed.error().is_gone()) return tl::make_unexpected(killed.error());
  PANAL_TRY(process.wait_exit(std::chrono::seconds(10)));
  return true;
}

}  // namespace panal::cli
