#pragma once

#include <curl/curl.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"
#include "storage/transfer/fetch_messages.h"

namespace panal::storage::fetch {

/// Fetches files over HTTP(S) with libcurl, several at once over few connections, each into an open
/// file and never past its size. Redirects (three at most) do not leave HTTPS once there; nothing
/// is decoded; no cookie, password file or other protocol is used.
class Downloads {
 public:
  /// Errors: ENOMEM.
  [[nodiscard]] static Result<Downloads> create(FetchSetup setup);

  Downloads(Downloads&& other) noexcept;
  Downloads& operator=(Downloads&& other) noexcept = delete;
  ~Downloads();

  /// Begins one. Errors: EINVAL for what libcurl does not take, ENOMEM.
  [[nodiscard]] Result<void> begin(const FetchRequest& request, UniqueFd file);
  /// Moves all on; returns those that ended.
  [[nodiscard]] Result<std::vector<FetchAnswer>> step();
  /// Waits until something can be moved on or `also` can be read; a second at most.
  [[nodiscard]] Result<void> wait(int also);

 private:
  struct Transfer;
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  explicit Downloads(FetchSetup setup);
  [[nodiscard]] Result<void> make_headers();
  [[nodiscard]] Result<void> set_up(Transfer& transfer, const FetchRequest& request) const;

  FetchSetup setup_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<curl_slist, FreeList> fresh_headers_;  ///< for what changes: not out of a cache
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::map<CURL*, std::unique_ptr<Transfer>> running_;
};

}  // namespace panal::storage::fetch
