#include "storage/import/feeder.h"

#include <signal.h>

#include "storage/import/tar_writer.h"

namespace panal::storage {

Feeder::Feeder(std::string directory, bool leave_out_sockets, UniqueFd pipe)
    : thread_([this, directory = std::move(directory), leave_out_sockets,
               pipe = std::move(pipe)]() mutable {
        // SIGPIPE is the writing thread's; the others are for those who wait for them.
        sigset_t all;
        ::sigfillset(&all);
        (void)::pthread_sigmask(SIG_BLOCK, &all, nullptr);
        TarWriting writing;
        writing.root = directory;
        writing.fd = pipe.get();
        writing.hard_links = true;
        writing.keep_times = true;
        writing.raw_names = true;
        writing.leave_out_sockets = leave_out_sockets;
        result_ = write_tar(writing);
        pipe.reset();  // the reader's end of file
      }) {}

Feeder::~Feeder() {
  if (thread_.joinable()) thread_.join();
}

Result<std::uint64_t> Feeder::join() {
  if (thread_.joinable()) thread_.join();
  return result_ ? *result_ : fail(EIO, "read the directory");
}

}  // namespace panal::storage
