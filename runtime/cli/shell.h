#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "runtime/cli/exit_codes.h"
#include "runtime/config/config.h"
#include "runtime/store/store.h"

namespace panal::netpolicy {
struct UplinkWords;
}

namespace panal::cli {

class ImageTransfer;
class LocalImages;

/// The machine that `panal tune` works on.
struct MachinePlaces {
  Tree tree;
  std::string state_dir;  ///< where former values of its settings are kept
  std::string lock_file;
  bool privileged = false;  ///< whether we may write there
  std::string refusal;      ///< why nobody may change it from here, a sentence; empty: one may
};

/// How commands reach the rest of Panal; tests have one that keeps its state in memory.
class Backends {
 public:
  virtual ~Backends() = default;
  /// The database as its administrator. Errors: ENOTCONN.
  [[nodiscard]] virtual Result<std::unique_ptr<store::Store>> store(const config::Config& c) = 0;
  /// One request to this node's panald; its {"progress"} answers go to `progress`.
  /// Errors: ENOENT or ECONNREFUSED when it does not run, ETIMEDOUT, EREMOTEIO with its sentence.
  [[nodiscard]] virtual Result<nlohmann::json> ask_node(
      const config::Config& c, const nlohmann::json& request, std::chrono::milliseconds timeout,
      const std::function<void(const std::string&)>& progress = {}) = 0;
  /// What the way outside would do to this host: netpolicy::describe_uplink().
  [[nodiscard]] virtual Result<netpolicy::UplinkWords> uplink(const config::Config& c) = 0;
  [[nodiscard]] virtual Result<MachinePlaces> machine() = 0;
  /// The versions on this node's disk, and the way between it and archives.
  [[nodiscard]] virtual Result<std::unique_ptr<LocalImages>> images(const config::Config& c) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<ImageTransfer>> transfer(
      const config::Config& c) = 0;
};

/// What every command works with: where its words go and what it may ask.
/// A command prints its result to `out` and says what went wrong on `err` in one sentence.
struct Shell {
  std::ostream& out;
  std::ostream& err;
  bool tty = false;         ///< out is a terminal: progress bars, refreshing tables
  std::string config_file;  ///< as given by --config; empty: the usual places
  config::Config config;
  Backends& backends;

  /// Says `sentence` on err and gives `code` back, for `return shell.refuse(...)`.
  ExitCode refuse(ExitCode code, const std::string& sentence) const;
  /// Says an error; its code decides the exit code.
  ExitCode told(const Error& error) const;
  /// Prints JSON, one value, with a newline. Strings that are no UTF-8 are mended.
  void print(const nlohmann::json& value) const;
};

/// What a command line means: run it once with a shell.
using Action = std::function<ExitCode(Shell&)>;

/// The error in words: refusals are whole sentences already, what the kernel said needs its own.
[[nodiscard]] std::string sentence_of(const Error& error);

/// The exit code that an errno value stands for.
[[nodiscard]] ExitCode exit_code_of(int error_code);

/// The real backends: libpq and panald's socket.
[[nodiscard]] std::unique_ptr<Backends> make_backends();

}  // namespace panal::cli

/// Declares or assigns the value of a Result, or says the error and returns its exit code.
#define PANAL_CLI_ASSIGN(shell, target, expr)                        \
  auto PANAL_CONCAT(panal_cli_, __LINE__) = (expr);                  \
  if (!PANAL_CONCAT(panal_cli_, __LINE__))                           \
    return (shell).told(PANAL_CONCAT(panal_cli_, __LINE__).error()); \
  target = std::move(*PANAL_CONCAT(panal_cli_, __LINE__))

#define PANAL_CLI_TRY(shell, expr)                         \
  do {                                                     \
    if (auto panal_cli_result = (expr); !panal_cli_result) \
      return (shell).told(panal_cli_result.error());       \
  } while (false)
