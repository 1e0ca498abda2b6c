#include "storage/transfer/fetch/fetch_program.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/transfer/fetch/downloads.h"

namespace panal::storage::fetch {
namespace {

Result<void> limit(__rlimit_resource resource, rlim_t most, const char* what) {
  const rlimit value{.rlim_cur = most, .rlim_max = most};
  if (::setrlimit(resource, &value) != 0) return fail_errno("limit", what);
  return {};
}

/// What a taken-over helper could use is what any user without a name has.
Result<void> give_up_rights(const FetchSetup& setup) {
  PANAL_TRY(limit(RLIMIT_CORE, 0, "core files"));
  PANAL_TRY(limit(RLIMIT_NOFILE, 256, "open files"));
  PANAL_TRY(limit(RLIMIT_FSIZE, setup.most_file_bytes, "file sizes"));
  // libcurl looks names up in threads, and a thread's heap would reserve 128 MiB of the limit.
  (void)::mallopt(M_ARENA_MAX, 1);
  PANAL_TRY(limit(RLIMIT_AS, rlim_t{1} << 30U, "memory"));
  // Past its limit a write fails, and says so, instead of ending the process.
  (void)::signal(SIGXFSZ, SIG_IGN);
  if (::chdir("/") != 0) return fail_errno("chdir", "/");
  if (::geteuid() == 0) {
    if (setup.uid == 0 || setup.gid == 0) return fail(EPERM, "panal-fetch does not run as root");
    PANAL_TRY(limit(RLIMIT_NPROC, 256, "processes"));
    if (::setgroups(0, nullptr) != 0 || ::setresgid(setup.gid, setup.gid, setup.gid) != 0 ||
        ::setresuid(setup.uid, setup.uid, setup.uid) != 0)
      return fail_errno("become the user that fetches");
  }
  // Another user has none in effect; inheritable ones stay until they are taken (capabilities(7)).
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return fail_errno("drop capabilities");
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
  return {};
}

/// Takes one request where one waits. False: the puller has ended.
Result<bool> take_request(int socket, Downloads& downloads) {
  auto message = receive_message(socket, false);
  if (!message && message.error().code == EAGAIN) return true;
  if (!message) return tl::make_unexpected(message.error());
  if (message->text.empty()) return false;
  PANAL_ASSIGN(const FetchRequest request, parse_request(message->text));
  if (!message->file) return fail(EPROTO, "request: no file came along");
  if (auto begun = downloads.begin(request, std::move(message->file)); !begun)
    PANAL_TRY(send_message(
        socket, print_answer({request.id, FetchOutcome::kFailed, begun.error().message()})));
  return true;
}

Result<void> serve(int socket) {
  PANAL_ASSIGN(const FetchMessage first, receive_message(socket, true));
  if (first.text.empty()) return {};
  PANAL_ASSIGN(FetchSetup setup, parse_setup(first.text));
  PANAL_TRY(give_up_rights(setup));
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return fail(ENOMEM, "set up libcurl");
  PANAL_ASSIGN(Downloads downloads, Downloads::create(std::move(setup)));
  for (;;) {
    PANAL_ASSIGN(const bool goes_on, take_request(socket, downloads));
    if (!goes_on) return {};
    PANAL_ASSIGN(const auto answers, downloads.step());
    for (const auto& answer : answers) PANAL_TRY(send_message(socket, print_answer(answer)));
    PANAL_TRY(downloads.wait(socket));
  }
}

}  // namespace

int run_fetch_program(int socket) {
  (void)::close_range(static_cast<unsigned>(socket) + 1, ~0U, 0);
  (void)::fcntl(socket, F_SETFD, FD_CLOEXEC);
  const auto served = serve(socket);
  if (served) return 0;
  (void)send_message(socket, print_answer({0, FetchOutcome::kFailed, served.error().message()}));
  return 1;
}

}  // namespace panal::storage::fetch
