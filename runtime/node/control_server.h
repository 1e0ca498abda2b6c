#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "engine/base/log.h"
#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "runtime/loop/loop.h"

namespace panal::node {

/// Who asked, and the way back. Answers to a caller that has gone are dropped.
class Caller {
 public:
  virtual ~Caller() = default;
  [[nodiscard]] virtual uid_t uid() const = 0;
  virtual void progress(const std::string& text) = 0;
  /// Once. The caller may ask again after it.
  virtual void answer(const nlohmann::json& body, UniqueFd descriptor = UniqueFd()) = 0;
  /// {"error": sentence, "status": status}; once, like answer().
  virtual void refuse(int status, const std::string& sentence) = 0;
};
using CallerPtr = std::shared_ptr<Caller>;

/// panald's socket (runtime/control/control.h): accepts, checks who calls, and passes requests on,
/// one at a time for each connection. A message that is not a JSON object, or one that comes while
/// another is under way, ends the connection. On the loop's thread.
class ControlServer {
 public:
  using Handler = std::function<void(const CallerPtr&, const nlohmann::json& request)>;
  struct Options {
    std::string path;
    gid_t group = 0;          ///< may open the socket, with root
    std::set<uid_t> peers;    ///< whose connections are taken; root's always are
    std::size_t most = 1024;  ///< connections at a time
  };

  /// Errors: those of bind(2); EADDRINUSE never (an old socket is replaced: the caller holds the
  /// node's lock).
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> open(loop::Loop& loop,
                                                                   Options options, Handler handler,
                                                                   LoggerPtr log);
  ~ControlServer();

 private:
  class Peer;
  ControlServer(loop::Loop& loop, Options options, Handler handler, LoggerPtr log, UniqueFd socket);
  void accept_soon();
  void accept();

  loop::Loop& loop_;
  Options options_;
  Handler handler_;
  LoggerPtr log_;
  loop::Descriptor listener_;
  loop::Timer pause_;
  std::set<std::shared_ptr<Peer>> peers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace panal::node
