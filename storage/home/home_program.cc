#include "storage/home/home_program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <csignal>

#include "storage/home/home_call.h"
#include "storage/home/home_store.h"

namespace panal::storage {
namespace {

void say(const std::string& line) {
  // The reader may have given us up; there is nobody else to tell.
  (void)!::write(STDOUT_FILENO, line.data(), line.size());
}

/// A look that a cache cannot answer: attributes are asked for anew, and the directory is opened.
Result<void> look_at(const std::string& path) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &info) != 0)
    return fail_errno("look at", path);
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) return fail_errno("look at the file system of", path);
  const int dir = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return fail_errno("open", path);
  (void)::close(dir);
  return {};
}

Result<void> run_call(const home_call::Call& call) {
  using home_call::Verb;
  HomeStore homes(call.homes_dir, call.rules);
  switch (call.verb) {
    case Verb::kAttach: return homes.attach(call.spec);
    case Verb::kDetach: return homes.detach(call.spec);
    case Verb::kRelease: return homes.release(call.spec);
    case Verb::kRecover: return homes.recover({call.words.begin(), call.words.end()});
    case Verb::kRemove: return homes.remove(call.spec.tenant, call.spec.home);
    case Verb::kProbe: break;
  }
  for (std::size_t i = 0; i < call.words.size(); ++i) {
    say(home_call::print_at(i));
    if (const auto seen = look_at(call.words[i]); !seen) say(home_call::print_bad(i, seen.error()));
  }
  return {};
}

}  // namespace

int run_home_program(const std::vector<std::string>& words) {
  (void)::signal(SIGPIPE, SIG_IGN);
  const auto call = home_call::parse_words(words);
  if (!call) {
    say(home_call::print_result(tl::make_unexpected(call.error())));
    return 2;
  }
  say(home_call::print_result(run_call(*call)));
  return 0;
}

}  // namespace panal::storage
