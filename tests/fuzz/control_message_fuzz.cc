// Datagrams on panald's socket: taken over, a broker may send anything. One is received at a time,
// whole, and gives a JSON object or an error. A report of what flows holds only what it may.
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "engine/base/unique_fd.h"
#include "runtime/control/message.h"
#include "runtime/node/flow_report.h"

namespace {

void read_flows(const nlohmann::json& request) {
  using panal::node::FlowReport;
  const auto report = panal::node::parse_flow_report(request);
  if (!report) {
    if (report.error().code != EPROTO) std::abort();
    return;
  }
  if (report->over.count() < 1 || report->over > FlowReport::kLongest ||
      report->sessions.size() > FlowReport::kMostSessions)
    std::abort();
  for (const auto& one : report->sessions)
    if (one.desktop < 1 || one.attach < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto pair = [] {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    return std::pair(panal::UniqueFd(fds[0]), panal::UniqueFd(fds[1]));
  }();
  if (size == 0) return -1;  // nothing: the peer has gone
  if (::send(pair.first.get(), data, size, MSG_DONTWAIT) < 0) return -1;
  const auto message = panal::control::receive_message(pair.second.get());
  if (message && (!message->body.is_object() || message->descriptor)) std::abort();
  if (!message && message.error().code != EPROTO) std::abort();
  if (message) read_flows(message->body);
  char rest = 0;
  if (::recv(pair.second.get(), &rest, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN) std::abort();
  return 0;
}
