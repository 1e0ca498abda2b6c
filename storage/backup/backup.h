#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/base/result.h"

/// Homes as one stream: a pax tarball in zstd, the same bytes for the same content (entries in byte
/// order of their names, ids by number, no time but those of the files).
///
///     panal-home            what it is: format, tenant, home
///     home/...              the files, with times, owners (canonical), modes, user.* attributes
///     and ACLs panal-sum             SHA-256 over all of home/..., the number of entries and bytes
///
/// The sum is of the content, not of the compressed bytes: another zstd makes other bytes of it. A
/// stream that was cut short has no panal-sum.
namespace panal::storage::backup {

struct Label {
  std::string tenant, home;
};

struct Report {
  std::string sum;            ///< 64 hexadecimal digits
  std::uint64_t entries = 0;  ///< below home/, itself included
  std::uint64_t bytes = 0;    ///< of regular files
  /// Sockets, FIFOs and devices, which mean nothing later: not in the stream.
  std::uint64_t left_out = 0;
  Label label;
};

struct Watch {
  std::function<void(std::uint64_t bytes)> progress;  ///< now and then; may be empty
  std::function<bool()> cancelled;                    ///< may be empty
};

/// Writes the tree whose root is the directory `tree` to `out`, both open descriptors of the
/// caller's. Errors: EAGAIN a file changed meanwhile, EOVERFLOW deeper than 512 directories,
/// ECANCELED, ENOSPC, EPIPE.
[[nodiscard]] Result<Report> write(int tree, const Label& label, int out, const Watch& watch);

struct Budget {
  std::uint64_t bytes = 0;    ///< of regular files; 0: no limit
  std::uint64_t entries = 0;  ///< 0: no limit
};

/// Reads a stream from `in` into the empty directory `tree`. Whatever the stream says, nothing
/// outside of it is touched: names that leave home/, names given twice, devices, hard links to what
/// is not there are refused. Only after a good sum it is a home. `tree` < 0: only checks.
/// Errors: EPROTO with a sentence for what is no backup, or a damaged or cut one; EFBIG past the
/// budget; ENOSPC, EDQUOT; ECANCELED.
[[nodiscard]] Result<Report> read(int in, int tree, const Budget& budget, const Watch& watch);

/// The text of panal-sum. Errors: EPROTO.
struct Sum {
  std::string sum;
  std::uint64_t entries = 0, bytes = 0;
};
[[nodiscard]] Result<Sum> parse_sum(std::string_view text);
[[nodiscard]] std::string print_sum(const Sum& sum);
/// The text of panal-home. Errors: EPROTO.
[[nodiscard]] Result<Label> parse_label(std::string_view text);
[[nodiscard]] std::string print_label(const Label& label);
/// The name of an entry below home/ ("" for home itself). Errors: EPROTO for any other, and for
/// empty, "." and ".." between slashes.
[[nodiscard]] Result<std::string> parse_entry_name(std::string_view name);

}  // namespace panal::storage::backup
