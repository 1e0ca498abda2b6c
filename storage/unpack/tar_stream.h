#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "storage/unpack/budget.h"
#include "storage/unpack/digest.h"
#include "storage/unpack/entry_rules.h"

namespace panal::storage::unpack {

/// A tarball (plain, gzip, zstd or xz; compressed once at most) read entry by entry from a
/// descriptor, forward only. Two libarchive readers in a row: one decompresses, so that what comes
/// out can be counted and hashed, the other reads tar and nothing else.
class TarStream {
 public:
  struct Options {
    int fd = -1;                  ///< not owned
    std::string hash = "sha256";  ///< of the bytes as they come
    std::string content_hash;     ///< of the bytes decompressed; empty: none
    /// Told now and then how many bytes of the input were read.
    std::function<void(std::uint64_t)> progress;
  };

  /// Errors: EPROTO for what is no tarball, EFBIG past the budget.
  [[nodiscard]] static Result<std::unique_ptr<TarStream>> open(const Options& options,
                                                               Budget& budget);
  ~TarStream();
  TarStream(const TarStream&) = delete;
  TarStream& operator=(const TarStream&) = delete;

  /// The next entry; none at the end. Errors: EPROTO, damaged; EFBIG.
  [[nodiscard]] Result<std::optional<TarEntry>> next();

  struct Block {
    const char* bytes = nullptr;  ///< valid until the next call
    std::size_t size = 0;
    std::uint64_t offset = 0;  ///< in the file; between blocks are holes
  };
  /// The next piece of the current file; none at its end.
  [[nodiscard]] Result<std::optional<Block>> block();

  struct Digests {
    Digest input;
    std::optional<Digest> content;
  };
  /// Reads the input to its very end and says what it was. Nothing may be read afterwards.
  [[nodiscard]] Result<Digests> finish();

  struct State;  ///< of tar_stream.cc, whose callbacks name it

 private:
  explicit TarStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace panal::storage::unpack
