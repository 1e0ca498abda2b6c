#pragma once

#include <chrono>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::control {

/// panald's local socket (config.node_socket()): SOCK_SEQPACKET, one JSON object a message,
/// descriptors by SCM_RIGHTS. Mode 0660 root:<broker's group>; who calls is known by SO_PEERCRED:
/// the broker's user may only `attach`, `open`, `flow` and `metrics`, root may all.
///
/// Requests ("op"), each answered by any number of {"progress": text} and one of
/// {"ok": true, ...} or {"error": sentence, "status": HTTP-like code}:
///   status                       node name, pid, version, desktops by state
///   stats desktop=ID from=ID cost
///                                {"desktops": [{"id", "memory_bytes", "cpu_ns", "processes",
///                                "session", "idle_ms", "class"}], "host": {...}}; as many desktops
///                                as fit, and "next" where there are more (ask_statistics());
///                                cost: with what they truly cost, as far as it was looked at
///   metrics format=json          {"text": what Prometheus reads}, or {"families": [...]}
///   attach desktop=ID geometry fullscreen keyboard link client takeover
///                                makes nxagent listen with a fresh cookie; answers
///                                {"ok": true, "attach": N, "cookie": "<32 hex>"}; one attach at a
///                                time per desktop: a later one takes over (status 409 refusals say
///                                so to the earlier)
///   open desktop=ID attach=N     answers {"ok": true} with the connected nx socket as its
///                                descriptor
///   flow over_ms=N sessions=[[ID, ATTACH, BYTES], ...]
///                                what went to the clients of these sessions in the last N ms (1 to
///                                3,600,000); at most 2,000 of them; others than those connected
///                                now are passed over
///   suspend desktop=ID           ends the link, keeps the programs
///   treat desktop=ID spared prefetch
///                                for measurements, until the desktop or panald ends: spared: no
///                                memory is taken from it; prefetch: what is fetched when its user
///                                returns ("recorded", "drawing", "nothing")
///   trial image version          starts a throw-away desktop of a version that is on this node and
///                                takes a picture of it; {"ok": true, "good", "kept", "record"}:
///                                record is the text of storage/image/trial_record.h, which with
///                                the picture is kept with the version. May take minutes
///   wake                         run the reconcile loop now
///   net_show policy=NAME desktop=ID
///                                the network policies in force; one of them; what a desktop has
///   net_explain from to traffic v6
///                                an end is {"desktop": ID} or {"address": text}; traffic "443/tcp"
///                                or "ping"; answers "allowed" and the "rule" that says so
///   net_test from to traffic v6  the same, and sends a packet: "sent", "proved"
///   net_apply dry_run actor      reads network.toml again; answers what is other
///   net_uplink                   what the way outside does to the host: "kind", "device", "lines"
inline constexpr std::size_t kMessageBytes = std::size_t{256} << 10U;

/// A blocking client of that socket, for the CLI and for workers' threads.
class Connection {
 public:
  /// Errors: ENOENT or ECONNREFUSED when panald does not run, EACCES.
  [[nodiscard]] static Result<Connection> connect(const std::string& socket_path);
  explicit Connection(UniqueFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] Result<void> send(const nlohmann::json& message) const;
  struct Message;  ///< defined in message.h (it holds the JSON value and a descriptor)
  /// Errors: ETIMEDOUT, ECONNRESET when panald went away, EPROTO.
  [[nodiscard]] Result<Message> receive(std::chrono::milliseconds timeout) const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

/// Sends one message, with `descriptor` attached unless it is -1.
[[nodiscard]] Result<void> send_message(int socket, const nlohmann::json& message,
                                        int descriptor = -1);
/// Receives one message that is already there (or blocks on a blocking socket).
/// Errors: EAGAIN, ECONNRESET at the peer's end, EMSGSIZE, EPROTO.
[[nodiscard]] Result<Connection::Message> receive_message(int socket);

}  // namespace panal::control
