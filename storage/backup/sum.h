#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "engine/base/result.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace panal::storage::backup {

/// What of a file is kept, besides its bytes.
struct Kept {
  std::string name;  ///< below home/; "" for home itself
  char type = 'f';   ///< 'd'irectory, 'f'ile, symbolic 'l'ink, 'h'ard link to a file before it
  mode_t mode = 0;   ///< permissions
  std::uint32_t uid = 0, gid = 0;
  std::int64_t mtime_s = 0;
  std::int64_t mtime_ns = 0;
  std::uint64_t size = 0;  ///< of a regular file's bytes, else 0
  std::string target;      ///< of a symbolic link; of a hard link the name below home/
  std::map<std::string, std::string> attributes;
};

/// Extended attributes that mean something to another home: a user's own, and ACLs.
[[nodiscard]] bool keeps_attribute(const std::string& name);

/// SHA-256 over entries in their order: what makes two homes the same, and nothing else.
class Summer {
 public:
  /// Errors: ENOMEM.
  [[nodiscard]] static Result<Summer> start();
  void entry(const Kept& kept);
  void bytes(const void* data, std::size_t size);
  /// 64 hexadecimal digits; once.
  [[nodiscard]] Result<std::string> finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  explicit Summer(std::unique_ptr<evp_md_ctx_st, Free> context) : context_(std::move(context)) {}

  std::unique_ptr<evp_md_ctx_st, Free> context_;
  bool failed_ = false;
};

}  // namespace panal::storage::backup
