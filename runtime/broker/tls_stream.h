#pragma once

#include <memory>
#include <string>

#include "engine/base/result.h"
#include "runtime/broker/stream.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

/// The server side of TLS 1.2 and 1.3 with one certificate. Streams keep it alive, so a new one
/// (new certificate) can replace it while connections go on.
class TlsContext {
 public:
  /// From PEM text: certificate chain and private key. Errors: EPROTO when either does not parse or
  /// they do not belong together.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>> create(const std::string& certificate,
                                                                  const std::string& key);
  virtual ~TlsContext() = default;
  /// Takes a connected TCP socket; the handshake happens inside the first reads.
  [[nodiscard]] virtual Result<std::unique_ptr<Stream>> accept(loop::Loop& loop, UniqueFd fd) = 0;
};

}  // namespace panal::broker
