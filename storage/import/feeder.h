#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::storage {

/// A thread that writes a directory as a tarball into a pipe, for whoever reads tarballs only.
class Feeder {
 public:
  Feeder(std::string directory, bool leave_out_sockets, UniqueFd pipe);
  /// The reader must have gone, or have read all.
  ~Feeder();
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  /// Waits for its end: how many sockets were left out. Errors: those of write_tar(); EPIPE where
  /// the reader went first.
  [[nodiscard]] Result<std::uint64_t> join();

 private:
  std::optional<Result<std::uint64_t>> result_;  ///< the thread's, until it is joined
  std::thread thread_;
};

}  // namespace panal::storage
