#include "runtime/cli/long_work.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace panal::cli {
namespace {

std::atomic<bool> interrupted{false};

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

struct LongWork::Handlers {
  struct sigaction interrupt{};
  struct sigaction terminate{};
};

LongWork::LongWork(const Shell& shell)
    : former_(std::make_unique<Handlers>()), bar_(shell.out, shell.tty, terminal_columns()) {
  interrupted = false;
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = true; };
  sigaction(SIGINT, &action, &former_->interrupt);
  sigaction(SIGTERM, &action, &former_->terminate);
}

LongWork::~LongWork() {
  sigaction(SIGINT, &former_->interrupt, nullptr);
  sigaction(SIGTERM, &former_->terminate, nullptr);
}

storage::Work LongWork::work() {
  storage::Work work;
  work.progress = [this](double part, const std::string& what) { bar_.update(part, what); };
  work.cancelled = &interrupted;
  return work;
}

const std::atomic<bool>* LongWork::cancelled() const { return &interrupted; }

}  // namespace panal::cli
