#pragma once

#include <memory>

#include "engine/base/unique_fd.h"
#include "runtime/broker/services.h"
#include "runtime/broker/stream.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

/// The listener for scrapers: plain HTTP, GET /metrics and nothing else, one answer a connection,
/// a handful of connections at a time. panald counts; the broker only passes on what it says.
class MetricsDoor {
 public:
  /// `listener`: listening and non-blocking; workers may share it. `services` must outlive the
  /// connections, not only the door.
  MetricsDoor(Services& services, UniqueFd listener);

 private:
  void wait();
  void accept();

  Services& services_;
  loop::Descriptor listener_;
  loop::Timer pause_;
  std::shared_ptr<int> open_ = std::make_shared<int>(0);
};

/// One connection of it; `place` is let go at its end.
void serve_metrics(Services& services, std::unique_ptr<Stream> stream, std::shared_ptr<void> place);

}  // namespace panal::broker
