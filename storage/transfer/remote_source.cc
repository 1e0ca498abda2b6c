#include "storage/transfer/remote_source.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <vector>

#include "engine/base/child_process.h"
#include "engine/base/kernel_paths.h"
#include "engine/base/log.h"
#include "engine/base/subid.h"
#include "storage/transfer/fetch_messages.h"

namespace panal::storage {
namespace {

constexpr int kTickMs = 250;
constexpr int kHelperSocket = 3;

/// A file without a name: `write` goes to the helper; `read` has an offset of its own, which the
/// helper cannot move.
struct NamelessFile {
  UniqueFd write;
  UniqueFd read;
};

/// It never has a name where the file system can do that: a puller that is killed leaves nothing.
Result<NamelessFile> make_nameless(const std::string& directory) {
  NamelessFile file;
  file.write = UniqueFd(::open(directory.c_str(), O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (file.write) {
    const std::string same =
        std::string(kernel_paths::kProcSelfFd) + "/" + std::to_string(file.write.get());
    file.read = UniqueFd(::open(same.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.read) return fail_errno("open a file in", directory);
    return file;
  }
  std::string path = directory + "/fetch.XXXXXX";
  file.write = UniqueFd(::mkostemp(path.data(), O_CLOEXEC));
  if (!file.write) return fail_errno("make a file in", directory);
  file.read = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const int code = errno;
  (void)::unlink(path.c_str());
  if (!file.read) return fail(code, "open " + path);
  return file;
}

/// What the helper is started with; the caller's proxies are its as well.
ChildCommand helper_command(const std::string& program, int socket) {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
    if (const char* value = std::getenv(name); value != nullptr)
      environment.push_back(std::string(name) + "=" + value);
  ChildCommand command{.program = program};
  command.environment = std::move(environment);
  command.descriptors = {{STDIN_FILENO, ChildDescriptor::kNull}, {kHelperSocket, socket}};
  command.usual_signals = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
  // A Ctrl-C on the terminal is for who waits for the pull, and it ends the helper.
  command.own_group = true;
  return command;
}

class RemoteSource final : public Source {
 public:
  RemoteSource(const RemoteArchive& archive, FetchHelper helper, const PullBudget& budget,
               const std::atomic<bool>* cancelled)
      : where_(shown_url(archive.url)),
        helper_(std::move(helper)),
        guard_(budget),
        cancelled_(cancelled) {}
  RemoteSource(const RemoteSource&) = delete;
  RemoteSource& operator=(const RemoteSource&) = delete;
  ~RemoteSource() override { end(); }

  Result<void> start(const RemoteArchive& archive) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
      return fail_errno("make a pair of sockets");
    socket_ = UniqueFd(ends[0]);
    const UniqueFd theirs(ends[1]);
    PANAL_ASSIGN(process_, ChildProcess::start(helper_command(helper_.program, theirs.get())));
    FetchSetup setup;
    setup.url = archive.url;
    setup.uid = helper_.uid;
    setup.gid = helper_.gid;
    setup.most_file_bytes = guard_.budget().object_bytes;
    setup.ca_file = archive.ca_file;
    setup.pinned_key = archive.pinned_key;
    setup.authorization = archive.authorization;
    return tell(print_setup(setup), -1);
  }

  Result<void> want(const std::string& path, std::uint64_t most_bytes) override {
    if (!is_archive_path(path)) return fail(EINVAL, "\"" + path + "\" is no file of an archive");
    if (!process_.valid()) return fail(ECHILD, where_ + ": nothing more comes from here");
    if (flying_.size() >= kMostInFlight)
      return fail(EINVAL, where_ + ": too much is asked for at once");
    PANAL_ASSIGN(NamelessFile file, make_nameless(helper_.scratch));
    const std::uint64_t most = std::min(most_bytes, guard_.budget().object_bytes);
    const std::uint64_t id = next_id_++;
    if (auto sent = tell(print_request({id, path, most}), file.write.get()); !sent)
      return ended_by(sent.error());
    flying_.emplace(id, Flying{path, std::move(file.read), most});
    return {};
  }

  Result<FetchedFile> next() override {
    if (flying_.empty()) return fail(EINVAL, where_ + ": nothing was asked for");
    if (!process_.valid()) return fail(ECHILD, where_ + ": nothing more comes from here");
    auto came = wait();
    if (!came && came.error().code != ENOENT) end();
    return came;
  }

  [[nodiscard]] const std::string& where() const override { return where_; }

 private:
  struct Flying {
    std::string path;
    UniqueFd file;
    std::uint64_t most_bytes = 0;
  };

  /// A helper that has ended is no error yet: why it did is what next() reads.
  Result<void> tell(const std::string& text, int file) const {
    auto sent = send_message(socket_.get(), text, file);
    if (sent) return sent;
    const int code = sent.error().code;
    if (code == EPIPE || code == ECONNRESET || code == ENOTCONN) return {};
    return sent;
  }

  static std::uint64_t size_of(const UniqueFd& file) {
    struct stat info{};
    return ::fstat(file.get(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }

  /// What is checked now must be what is read later. The kernel gives a lease for reading only
  /// where nobody has the file open for writing, and without a name nobody can open it again.
  /// Kernel: fcntl(2), F_SETLEASE. A file system without leases is no reason to refuse.
  static Result<void> check_not_written(const UniqueFd& file) {
    if (::fcntl(file.get(), F_SETLEASE, F_RDLCK) == 0) {
      (void)::fcntl(file.get(), F_SETLEASE, F_UNLCK);
    } else if (errno == EAGAIN) {
      return fail(EPROTO, "panal-fetch keeps a file open that it has brought");
    }
    return {};
  }

  Result<FetchedFile> wait() {
    for (;;) {
      if (cancelled_ != nullptr && cancelled_->load())
        return fail(ECANCELED, "the pull was cancelled");
      const auto before = std::chrono::steady_clock::now();
      pollfd waiting{socket_.get(), POLLIN, 0};
      const int ready = ::poll(&waiting, 1, kTickMs);
      if (ready < 0 && errno != EINTR) return fail_errno("wait for panal-fetch");
      const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - before);
      std::uint64_t bytes = done_bytes_;
      for (const auto& [id, flying] : flying_) bytes += size_of(flying.file);
      if (auto within = guard_.look(waited, bytes, done_); !within)
        return prefixed(where_, within.error());
      if (ready > 0) return answered();
    }
  }

  Result<FetchedFile> answered() {
    PANAL_ASSIGN(const FetchMessage message, receive_message(socket_.get(), true));
    if (message.text.empty())
      return fail(ECHILD, where_ + ": panal-fetch ended in the middle of the pull");
    const auto answer = parse_answer(message.text);
    if (!answer) return prefixed(where_ + ": panal-fetch", answer.error());
    if (answer->id == 0) return fail(EIO, where_ + ": panal-fetch: " + answer->words);
    const auto found = flying_.find(answer->id);
    if (found == flying_.end())
      return fail(EPROTO, where_ + ": panal-fetch brings what nobody asked for");
    Flying flying = std::move(found->second);
    flying_.erase(found);
    const std::string what = where_ + ": " + flying.path;
    if (answer->outcome == FetchOutcome::kAbsent) return fail(ENOENT, what + " is not there");
    if (answer->outcome == FetchOutcome::kFailed) return fail(EIO, what + ": " + answer->words);
    if (auto whole = check_not_written(flying.file); !whole) return prefixed(what, whole.error());
    const std::uint64_t bytes = size_of(flying.file);
    if (answer->outcome == FetchOutcome::kTooLarge || bytes > flying.most_bytes)
      return fail(EFBIG, what + " is longer than the " + std::to_string(flying.most_bytes) +
                             " bytes that may come");
    done_bytes_ += bytes;
    ++done_;
    return FetchedFile{std::move(flying.path), std::move(flying.file), bytes};
  }

  Failure ended_by(Error error) {
    end();
    return prefixed(where_, std::move(error));
  }

  void end() {
    process_.kill();
    socket_.reset();
  }

  std::string where_;
  FetchHelper helper_;
  PullGuard guard_;
  const std::atomic<bool>* cancelled_;
  ChildProcess process_;
  UniqueFd socket_;
  std::map<std::uint64_t, Flying> flying_;
  std::uint64_t next_id_ = 1;
  std::uint64_t done_ = 0;
  std::uint64_t done_bytes_ = 0;
};

}  // namespace

std::string shown_url(const std::string& url) {
  const auto begin = url.find("://");
  if (begin == std::string::npos) return printable(url, 400);
  const auto host = begin + 3;
  const auto at = url.substr(0, url.find_first_of("/?#", host)).rfind('@');
  std::string shown =
      at == std::string::npos || at < host ? url : url.substr(0, host) + url.substr(at + 1);
  while (shown.size() > host && shown.back() == '/') shown.pop_back();
  return printable(shown, 400);
}

Result<void> check_url(const std::string& url) {
  const bool scheme = url.starts_with("https://") || url.starts_with("http://");
  const auto host = scheme ? url.find("://") + 3 : 0;
  if (!scheme || url.size() <= host || url[host] == '/' || url.size() > 2000)
    return fail(EINVAL, "\"" + shown_url(url) +
                            "\" is no archive's address: https://HOST/PATH, http://HOST/PATH or "
                            "a directory of this machine");
  for (const char c : url)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
        c == '?' || c == '#')
      return fail(EINVAL,
                  "\"" + shown_url(url) + "\": an archive's address has no spaces, '?' or '#'");
  return {};
}

Result<std::unique_ptr<Source>> start_remote_source(const RemoteArchive& archive,
                                                    const FetchHelper& helper,
                                                    const PullBudget& budget,
                                                    const std::atomic<bool>* cancelled) {
  PANAL_TRY(check_url(archive.url));
  if (::geteuid() == 0 && (helper.uid == 0 || helper.gid == 0))
    return fail(EINVAL, "fetch from the network as root");
  auto source = std::make_unique<RemoteSource>(archive, helper, budget, cancelled);
  PANAL_TRY(source->start(archive));
  return std::unique_ptr<Source>(std::move(source));
}

Result<FetchHelper> usual_fetch_helper(const std::string& program_dir, const std::string& scratch) {
  FetchHelper helper;
  helper.program = program_dir + "/panal-fetch";
  helper.scratch = scratch;
  if (::geteuid() != 0) return helper;
  PANAL_ASSIGN(const SubidLine ids, ensure_subid_lines());
  if (ids.count == 0) return fail(ENOSPC, "root has no ids in /etc/subuid; a pull needs one");
  helper.uid = ids.first + ids.count - 1;
  helper.gid = helper.uid;
  return helper;
}

Result<std::unique_ptr<Source>> open_source(const RemoteArchive& archive, const FetchHelper& helper,
                                            const PullBudget& budget,
                                            const std::atomic<bool>* cancelled) {
  constexpr std::string_view kFile = "file://";
  if (archive.url.starts_with(std::string(kFile) + "/"))
    return open_local_source(archive.url.substr(kFile.size()));
  if (archive.url.find("://") == std::string::npos) return open_local_source(archive.url);
  return start_remote_source(archive, helper, budget, cancelled);
}

}  // namespace panal::storage
