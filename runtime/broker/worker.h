#pragma once

#include <string>

#include "engine/base/unique_fd.h"
#include "runtime/broker/archive_door.h"
#include "runtime/broker/certificate.h"
#include "runtime/config/config.h"

namespace panal::broker {

struct WorkerSetup {
  config::Config config;
  Certificate certificate;
  UniqueFd listener;  ///< shared by all workers, non-blocking
  /// SOCK_SEQPACKET to the parent: a message is a new certificate (encode_certificate()); its end
  /// means the parent is gone: the worker takes no new connections and ends with its last tunnel.
  UniqueFd parent;
  UniqueFd metrics;  ///< as `listener`, for scrapers; not valid: there is none
  PublishedArchive archive;
};

/// A worker's life; returns its exit code. Call it in a process without other threads.
[[nodiscard]] int run_worker(WorkerSetup setup);

/// Certificate and key as one message, and back. Errors: EPROTO.
[[nodiscard]] std::string encode_certificate(const Certificate& certificate);
[[nodiscard]] Result<Certificate> decode_certificate(std::string_view message);
inline constexpr std::size_t kCertificateMessageBytes = std::size_t{128} << 10U;

}  // namespace panal::broker
