#include "runtime/store/database.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <charconv>

#include "engine/base/log.h"

namespace panal::store {
namespace {

/// What the caller can do about it, by SQLSTATE (PostgreSQL manual, appendix A).
int errno_of(std::string_view state) {
  if (state.empty()) return ENOTCONN;  // libpq's own: the connection
  if (state == "42501") return EACCES;
  if (state == "23505") return EEXIST;
  if (state == "23503") return EBUSY;
  if (state == "42P01" || state == "42703" || state == "42883") return EPROTO;  // other schema
  if (state == "40001" || state == "40P01" || state == "53300" || state == "55P03") return EAGAIN;
  const std::string_view family = state.substr(0, 2);
  if (family == "08" || state == "57P01" || state == "57P02" || state == "57P03") return ENOTCONN;
  if (family == "22" || family == "23") return EINVAL;
  if (family == "28") return EACCES;
  return EIO;
}

/// libpq's texts end in newlines and may have several lines.
std::string one_line(const char* text) {
  std::string line(text == nullptr ? "" : text);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  for (char& c : line)
    if (c == '\n' || c == '\t') c = ' ';
  return printable(line);
}

}  // namespace

Rows::Rows(pg_result* result) : result_(result, [](pg_result* r) { PQclear(r); }) {}
int Rows::count() const { return PQntuples(result_.get()); }
bool Rows::is_null(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

std::int64_t Rows::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Rows::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::int64_t Rows::number(int row, int column) const {
  const std::string value = text(row, column);
  std::int64_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

std::uint64_t Rows::size(int row, int column) const {
  const std::int64_t value = number(row, column);
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

bool Rows::flag(int row, int column) const { return text(row, column) == "t"; }

void Database::Closer::operator()(pg_conn* connection) const { PQfinish(connection); }

Result<Database> Database::connect(const std::string& conninfo) {
  Database database(conninfo);
  database.interrupt_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!database.interrupt_) return fail_errno("make an eventfd");
  PANAL_TRY(database.reconnect());
  return database;
}

Result<void> Database::reconnect() {
  connection_.reset();
  in_transaction_ = false;
  // Ours come before dbname, so that what the operator's URL says wins.
  const char* const keywords[] = {"connect_timeout", "application_name", "client_encoding",
                                  "dbname", nullptr};
  const char* const values[] = {"10", "panal", "UTF8", conninfo_.c_str(), nullptr};
  connection_.reset(PQconnectdbParams(keywords, values, 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    const std::string said = one_line(PQerrorMessage(connection_.get()));
    connection_.reset();
    return fail(ENOTCONN, "connect to PostgreSQL (" + said + ")");
  }
  // Notices (e.g. "relation exists, skipping") would go to stderr unasked.
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  for (const std::string& channel : channels_) PANAL_TRY(listen_now(channel));
  return {};
}

bool Database::alive() {
  // Its last words may come before the end of the stream: read until there is nothing more.
  pollfd entry{PQsocket(connection_.get()), POLLIN, 0};
  do {
    if (PQconsumeInput(connection_.get()) != 1) return false;
    collect_notifications();
    if (PQstatus(connection_.get()) != CONNECTION_OK) return false;
  } while (::poll(&entry, 1, 0) > 0);
  return true;
}

Result<void> Database::ready() {
  if (connection_) {
    if (in_transaction_) return {};
    // Reads what is there without blocking: notices a server that went away while we were idle, so
    // that the statement is not sent into the void (where nobody could say whether it ran).
    if (alive()) return {};
  }
  PANAL_TRY(reconnect());
  // Notifications sent in the gap are lost: tell the listener to look for itself.
  if (!channels_.empty()) pending_.emplace_back();
  return {};
}

Failure Database::failure(std::string_view what, const pg_result* result) const {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const char* constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  int code = errno_of(state == nullptr ? "" : state);
  if (PQstatus(connection_.get()) != CONNECTION_OK) code = ENOTCONN;
  std::string context(what);
  context += ": ";
  context += one_line(message != nullptr ? message : PQerrorMessage(connection_.get()));
  if (constraint != nullptr) context += " [" + std::string(constraint) + "]";
  return fail(code, std::move(context));
}

Result<Rows> Database::run(std::string_view what, const char* sql,
                           const std::vector<Parameter>& parameters) {
  if (auto usable = ready(); !usable) return prefixed(what, std::move(usable.error()));
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const Parameter& value : parameters) {
    if (value && value->find('\0') != std::string::npos)
      return fail(EINVAL, std::string(what) + ": a text holds a NUL byte");
    values.push_back(value ? value->c_str() : nullptr);
  }
  pg_result* result = PQexecParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr,
                                   values.data(), nullptr, nullptr, 0);
  Rows rows(result);
  const ExecStatusType status = PQresultStatus(result);
  collect_notifications();
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return rows;
  return failure(what, result);
}

Result<void> Database::run_script(std::string_view what, const char* sql) {
  PANAL_TRY(ready());
  pg_result* result = PQexec(connection_.get(), sql);
  const Rows owner(result);
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return {};
  return failure(what, result);
}

Result<void> Database::listen_now(const std::string& channel) {
  char* quoted = PQescapeIdentifier(connection_.get(), channel.data(), channel.size());
  if (quoted == nullptr) return fail(EINVAL, "listen on channel " + printable(channel));
  const std::string statement = std::string("LISTEN ") + quoted;
  PQfreemem(quoted);
  pg_result* result = PQexec(connection_.get(), statement.c_str());
  const Rows owner(result);
  if (PQresultStatus(result) != PGRES_COMMAND_OK) return failure(statement, result);
  return {};
}

Result<void> Database::listen(const std::string& channel) {
  PANAL_TRY(ready());
  PANAL_TRY(listen_now(channel));
  channels_.push_back(channel);
  return {};
}

void Database::collect_notifications() {
  while (PGnotify* note = PQnotifies(connection_.get())) {
    pending_.emplace_back(note->extra);
    PQfreemem(note);
  }
}

Result<std::vector<std::string>> Database::wait_notifications(std::chrono::milliseconds timeout) {
  PANAL_TRY(ready());
  collect_notifications();
  if (pending_.empty()) {
    pollfd entries[] = {{PQsocket(connection_.get()), POLLIN, 0}, {interrupt_.get(), POLLIN, 0}};
    if (::poll(entries, 2, static_cast<int>(timeout.count())) < 0 && errno != EINTR)
      return fail_errno("poll", "the database's socket");
    eventfd_t interrupted = 0;
    (void)::eventfd_read(interrupt_.get(), &interrupted);  // EAGAIN: it was not
    PANAL_TRY(ready());
    collect_notifications();
  }
  return std::exchange(pending_, {});
}

void Database::interrupt() const {
  (void)::eventfd_write(interrupt_.get(), 1);  // can only fail when it is signalled already
}

Result<Database::Transaction> Database::begin() {
  PANAL_ASSIGN(auto begun, run("begin", "BEGIN"));
  in_transaction_ = true;
  return Transaction(*this);
}

Result<void> Database::Transaction::commit() {
  Database* database = std::exchange(database_, nullptr);
  auto done = database->run("commit", "COMMIT");
  database->in_transaction_ = false;
  if (!done) return tl::make_unexpected(std::move(done.error()));
  return {};
}

Database::Transaction::~Transaction() {
  if (database_ == nullptr) return;
  (void)database_->run("rollback", "ROLLBACK");  // a lost connection has rolled back by itself
  database_->in_transaction_ = false;
}

}  // namespace panal::store
