#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/base/child_process.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

namespace panal::client {

/// The one line nxproxy reads its options from. `cookie` may be empty (as QVD's clients do); it
/// stands in this file only, never in an argument. `,` and `=` in values are percent-encoded.
[[nodiscard]] std::string render_nx_options(const std::string& directory, const std::string& socket,
                                            const std::string& cookie, const std::string& link);

/// A directory of our own (0700) that goes with everything in it.
class PrivateDirectory {
 public:
  /// Below $XDG_RUNTIME_DIR, else $TMPDIR, else the system's. Errors: those of mkdtemp(3).
  [[nodiscard]] static Result<PrivateDirectory> make();
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  PrivateDirectory(PrivateDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// nxproxy, started for one session and connected to us by a private unix socket.
class NxProxy {
 public:
  struct Options {
    std::string program = "nxproxy";
    std::string cookie;  ///< empty: greet without one
    std::string link = "lan";
  };

  /// Starts it and waits until it has connected back.
  /// Errors: ENOENT without the program, ECHILD when it ended first (with its last lines),
  /// ETIMEDOUT.
  [[nodiscard]] static Result<NxProxy> start(const Options& options,
                                             std::chrono::milliseconds timeout);
  NxProxy(NxProxy&& other) noexcept = default;
  NxProxy& operator=(NxProxy&&) = delete;
  /// Ends it (TERM, then KILL) if it still runs.
  ~NxProxy();

  /// The stream to carry; stays open until close_stream().
  [[nodiscard]] int stream() const { return stream_.get(); }
  void close_stream() { stream_.reset(); }
  /// Waits for its end; nullopt when it still runs.
  [[nodiscard]] std::optional<ChildEnd> wait(std::chrono::milliseconds timeout);
  /// The last error in its log, else its last line; printable.
  [[nodiscard]] std::string last_words() const;
  /// Its log says that the other side went without NX's good-bye: nxagent died, it did not end.
  /// (nxproxy exits with 0 all the same.)
  [[nodiscard]] bool peer_broke() const;

 private:
  explicit NxProxy(PrivateDirectory directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Result<void> spawn(const Options& options);

  PrivateDirectory directory_;
  ChildProcess child_;
  UniqueFd stream_;
  std::optional<ChildEnd> end_;
};

}  // namespace panal::client
