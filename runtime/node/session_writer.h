#pragma once

#include <map>

#include "engine/base/log.h"
#include "runtime/loop/loop.h"
#include "runtime/node/agent_hub.h"
#include "runtime/node/worker_pool.h"

namespace panal::node {

/// Writes what agents say of their sessions to the store: only each desktop's latest word, at most
/// one transaction's worth at a time, because a hostile agent can talk much. On the loop's thread.
class SessionWriter {
 public:
  SessionWriter(loop::Loop& loop, WorkerPool& clerk, LoggerPtr log)
      : loop_(loop), clerk_(clerk), log_(std::move(log)), timer_(loop) {}

  void note(DesktopId id, const AgentState& state);
  void forget(DesktopId id) { dirty_.erase(id); }

 private:
  void flush();

  loop::Loop& loop_;
  WorkerPool& clerk_;
  LoggerPtr log_;
  loop::Timer timer_;
  std::map<DesktopId, AgentState> dirty_;
  bool scheduled_ = false;
};

}  // namespace panal::node
