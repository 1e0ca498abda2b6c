#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>
#include <string>

#include "engine/base/result.h"
#include "storage/transfer/budget.h"
#include "storage/transfer/source.h"

namespace panal::storage {

/// An archive on a web server.
struct RemoteArchive {
  std::string url;            ///< of its directory: http://, https://
  std::string ca_file;        ///< PEM certificates to believe instead of the system's; or empty
  std::string pinned_key;     ///< "sha256//BASE64": the server must have this key; or empty
  std::string authorization;  ///< value of the Authorization header; or empty
};

/// Who fetches, and where files lie while they come.
struct FetchHelper {
  std::string program;  ///< path of panal-fetch
  std::string scratch;  ///< a directory with room; files there have no names
  uid_t uid = 0;        ///< whom a helper of root becomes: somebody who owns nothing
  gid_t gid = 0;
};

/// The helper as a node has it: panal-fetch in `program_dir`, which becomes the last of root's
/// subordinate ids where this process is root. Errors: those of ensure_subid_lines().
[[nodiscard]] Result<FetchHelper> usual_fetch_helper(const std::string& program_dir,
                                                     const std::string& scratch);

/// Starts a helper process that fetches, and watches it: it is killed when it passes the budget,
/// when nothing comes, when `cancelled` is set, and with the source. The caller's proxy variables
/// are honoured. Nothing is asked of the server yet.
/// Errors: EINVAL for a URL or a user that will not do; those of posix_spawn(3), mkstemp(3).
[[nodiscard]] Result<std::unique_ptr<Source>> start_remote_source(
    const RemoteArchive& archive, const FetchHelper& helper, const PullBudget& budget,
    const std::atomic<bool>* cancelled = nullptr);

/// start_remote_source() for http:// and https://, open_local_source() for a path or file:///PATH.
[[nodiscard]] Result<std::unique_ptr<Source>> open_source(
    const RemoteArchive& archive, const FetchHelper& helper, const PullBudget& budget,
    const std::atomic<bool>* cancelled = nullptr);

/// A URL without user and password, for messages and logs.
[[nodiscard]] std::string shown_url(const std::string& url);
/// Errors: EINVAL with what it should be.
[[nodiscard]] Result<void> check_url(const std::string& url);

}  // namespace panal::storage
