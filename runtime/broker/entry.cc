#include "runtime/broker/entry.h"

#include "runtime/broker/fd_stream.h"
#include "runtime/broker/greeting.h"
#include "runtime/broker/tunnel.h"

namespace panal::broker {
namespace {

/// The session's row: its beginning may still be on the way to the database when it ends.
class SessionRow : public std::enable_shared_from_this<SessionRow> {
 public:
  SessionRow(Directory& directory, LoggerPtr log) : directory_(directory), log_(std::move(log)) {}

  void begin(const Admission& admission) {
    directory_.call<std::int64_t>(
        [id = admission.desktop.id, address = admission.address, client = admission.client](
            store::Store& store) { return store.begin_session(id, address, client); },
        [self = shared_from_this()](const Result<std::int64_t>& row) {
          if (!row) {
            self->log_->warning("session_row_lost", {{"reason", row.error().message()}});
            return;
          }
          self->row_ = *row;
          if (self->end_) self->write_end();
        });
  }

  void end(const TunnelEnd& end) {
    end_ = end;
    if (row_) write_end();
  }

 private:
  void write_end() {
    directory_.call<void>(
        [row = *row_, end = *end_](store::Store& store) {
          return store.end_session(row, end.bytes_up, end.bytes_down, end.reason);
        },
        [log = log_](const Result<void>& result) {
          if (!result) log->warning("session_row_lost", {{"reason", result.error().message()}});
        });
  }

  Directory& directory_;
  LoggerPtr log_;
  std::optional<std::int64_t> row_;
  std::optional<TunnelEnd> end_;
};

class Entry final : public Connection, public std::enable_shared_from_this<Entry> {
 public:
  Entry(Services& services, std::unique_ptr<Stream> client, std::unique_ptr<NodeCall> node,
        Admission admission, std::string bytes)
      : services_(services),
        client_(std::move(client)),
        node_(std::move(node)),
        admission_(std::move(admission)),
        bytes_(std::move(bytes)),
        timer_(services.loop) {}

  void start() {
    services_.registry.add(shared_from_this());
    timer_.start(services_.timing.greeting,
                 [self = shared_from_this()] { self->reject("no greeting in time"); });
    services_.loop.post([self = shared_from_this()] { self->judge(); });
  }

  void close() override { reject("the broker stops"); }

 private:
  void judge() {
    if (over_ || opening_) return;
    Greeting greeting;
    switch (parse_greeting(bytes_, greeting)) {
      case GreetingState::kMore: return read();
      case GreetingState::kBad: return reject("the first bytes are not an NX greeting");
      case GreetingState::kDone: break;
    }
    auto admitted = admit_greeting(bytes_, greeting, admission_.attached.cookie);
    if (!admitted) return reject("wrong cookie");
    bytes_ = *admitted + bytes_.substr(greeting.bytes);
    opening_ = true;
    timer_.start(services_.timing.attach,
                 [self = shared_from_this()] { self->reject("the node did not answer"); });
    node_->open([self = shared_from_this()](Answer<UniqueFd> answer) {
      if (self->over_) return;
      if (!answer) return self->reject(answer.error().sentence);
      self->run(std::move(*answer));
    });
  }

  void read() {
    while (!over_) {
      const std::size_t room = kGreetingBytes - std::min(kGreetingBytes, bytes_.size());
      const IoResult result =
          client_->read(services_.scratch.data(), std::min(room, services_.scratch.size()));
      if (result.state == IoState::kDone) {
        bytes_.append(services_.scratch.data(), result.bytes);
        return judge();
      }
      if (result.state != IoState::kWantRead && result.state != IoState::kWantWrite) {
        return reject("the client left before its greeting");
      }
      client_->wait(result.state, [self = shared_from_this()] { self->judge_more(); });
      return;
    }
  }

  void judge_more() {
    if (!over_ && !opening_) read();
  }

  void run(UniqueFd fd) {
    over_ = true;
    const auto self = shared_from_this();
    timer_.cancel();
    services_.registry.remove(self);
    auto row = std::make_shared<SessionRow>(services_.directory, services_.log);
    row->begin(admission_);
    services_.log->info("session_begins", {{"user", admission_.user},
                                           {"desktop", std::to_string(admission_.desktop.id)},
                                           {"address", admission_.address}});
    // Only the numbers are kept while the tunnel lives: it may live for days.
    start_tunnel(services_, std::move(client_), make_fd_stream(services_.loop, std::move(fd)),
                 std::move(bytes_),
                 std::make_shared<Flow>(Flow{admission_.desktop.id, admission_.attached.attach, 0}),
                 [row, log = services_.log, id = admission_.desktop.id](const TunnelEnd& end) {
                   row->end(end);
                   log->info("session_ends", {{"desktop", std::to_string(id)},
                                              {"bytes_up", std::to_string(end.bytes_up)},
                                              {"bytes_down", std::to_string(end.bytes_down)},
                                              {"reason", end.reason}});
                 });
    node_.reset();
  }

  void reject(const std::string& reason) {
    if (over_) return;
    over_ = true;
    const auto self = shared_from_this();
    timer_.cancel();
    client_->close();
    node_.reset();
    services_.registry.remove(self);
    services_.log->warning("session_refused", {{"user", admission_.user},
                                               {"desktop", std::to_string(admission_.desktop.id)},
                                               {"address", admission_.address},
                                               {"reason", reason}});
    services_.directory.audit(admission_.user, "connect.refused", admission_.desktop.name, reason);
  }

  Services& services_;
  std::unique_ptr<Stream> client_;
  std::unique_ptr<NodeCall> node_;
  Admission admission_;
  std::string bytes_;
  loop::Timer timer_;
  bool opening_ = false;
  bool over_ = false;
};

}  // namespace

void enter(Services& services, std::unique_ptr<Stream> client, std::unique_ptr<NodeCall> node,
           Admission admission, std::string bytes) {
  std::make_shared<Entry>(services, std::move(client), std::move(node), std::move(admission),
                          std::move(bytes))
      ->start();
}

}  // namespace panal::broker
