#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "storage/repo/repository.h"
#include "storage/repo/work.h"
#include "storage/transfer/budget.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/keys.h"
#include "storage/transfer/source.h"

namespace panal::storage {

/// The archive's list, checked against `trust_file`, which then holds what was seen: the serial,
/// and the new key where the publisher has changed it. `now_unix_s`: for the list's end. Errors:
/// those of accept_list(), read_trust() and the source; ENOENT where it is no archive.
[[nodiscard]] Result<ImageList> fetch_list(Source& source, const std::string& trust_file,
                                           std::int64_t now_unix_s);
/// The same by the key that the operator says: see accept_list_by_key(). Only a list that was
/// believed changes the file, so that a mistyped key takes nothing away; and only if `keep`.
[[nodiscard]] Result<ImageList> fetch_list_by_key(Source& source, const std::string& trust_file,
                                                  const PublicKey& key, bool keep,
                                                  std::int64_t now_unix_s);

struct PullReport {
  std::uint64_t objects = 0;       ///< that were missing and came
  std::uint64_t sent_bytes = 0;    ///< as they came, compressed
  std::uint64_t stored_bytes = 0;  ///< on disk here
};

/// Brings a version of a list that fetch_list() gave into a repository: only what is missing
/// travels, every object is checked against the commit, the commit against the list, and the
/// version gets its name last. Of a pull that fails what came is kept for the next try; gc() takes
/// it away. Nothing is checked out.
/// Errors: EBADMSG for an object that is not what it should be, EFBIG past the budget, ETIMEDOUT,
/// ECANCELED, ENOENT for an object that the archive lacks, ENOSPC, EEXIST.
[[nodiscard]] Result<PullReport> pull_version(Repository& repository, Source& source,
                                              const ListedVersion& version,
                                              const PullBudget& budget, const Work& work = {});

/// For Repository::repair(): brings objects from an archive. The source outlives it.
[[nodiscard]] Repository::Fetch fetch_from(Source& source, const PullBudget& budget);

}  // namespace panal::storage
