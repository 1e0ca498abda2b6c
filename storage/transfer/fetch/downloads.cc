#include "storage/transfer/fetch/downloads.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace panal::storage::fetch {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kRedirects = 3;
constexpr long kConnections = 8;

}  // namespace

struct Downloads::Transfer {
  struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  std::unique_ptr<CURL, FreeEasy> easy{curl_easy_init()};
  std::uint64_t id = 0;
  std::uint64_t most_bytes = 0;
  std::uint64_t written = 0;
  bool too_large = false;
  int write_error = 0;
  UniqueFd file;
  std::array<char, CURL_ERROR_SIZE> words{};

  /// libcurl's write callback: what it returns other than `count` ends the transfer.
  static std::size_t take(char* bytes, std::size_t, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (count > transfer.most_bytes - transfer.written) {
      transfer.too_large = true;
      return 0;
    }
    for (std::size_t done = 0; done < count;) {
      const ssize_t written = ::write(transfer.file.get(), bytes + done, count - done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        transfer.write_error = errno;
        return 0;
      }
      done += static_cast<std::size_t>(written);
    }
    transfer.written += count;
    return count;
  }

  [[nodiscard]] FetchAnswer answer(CURLcode code) const {
    FetchAnswer answer;
    answer.id = id;
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status == 200) {
      answer.outcome = FetchOutcome::kDone;
    } else if (status == 404 || status == 410) {
      answer.outcome = FetchOutcome::kAbsent;
    } else if (too_large || code == CURLE_FILESIZE_EXCEEDED || write_error == EFBIG) {
      answer.outcome = FetchOutcome::kTooLarge;
    } else if (write_error != 0) {
      answer.words = Error{write_error, "write what came"}.message();
    } else if (code == CURLE_OK) {
      answer.words = "the server answered with status " + std::to_string(status);
    } else {
      answer.words = words[0] != '\0' ? words.data() : curl_easy_strerror(code);
    }
    return answer;
  }
};

Downloads::Downloads(FetchSetup setup) : setup_(std::move(setup)), multi_(curl_multi_init()) {}

Downloads::Downloads(Downloads&& other) noexcept = default;

Downloads::~Downloads() {
  for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_.get(), easy);
}

Result<Downloads> Downloads::create(FetchSetup setup) {
  Downloads downloads(std::move(setup));
  if (!downloads.multi_) return fail(ENOMEM, "set up libcurl");
  curl_multi_setopt(downloads.multi_.get(), CURLMOPT_MAX_HOST_CONNECTIONS, kConnections);
  curl_multi_setopt(downloads.multi_.get(), CURLMOPT_MAXCONNECTS, kConnections);
  PANAL_TRY(downloads.make_headers());
  return downloads;
}

Result<void> Downloads::make_headers() {
  fresh_headers_.reset(curl_slist_append(nullptr, "Cache-Control: no-cache"));
  if (!fresh_headers_) return fail(ENOMEM, "set up libcurl");
  if (setup_.authorization.empty()) return {};
  const std::string line = "Authorization: " + setup_.authorization;
  headers_.reset(curl_slist_append(nullptr, line.c_str()));
  // It returns the list's beginning, which is the one there is already.
  if (!headers_ || curl_slist_append(fresh_headers_.get(), line.c_str()) == nullptr)
    return fail(ENOMEM, "set up libcurl");
  return {};
}

Result<void> Downloads::set_up(Transfer& transfer, const FetchRequest& request) const {
  CURL* easy = transfer.easy.get();
  CURLcode code = CURLE_OK;
  const auto set = [&code, easy](CURLoption option, auto value) {
    if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value);
  };
  std::string url = setup_.url;
  while (!url.empty() && url.back() == '/') url.pop_back();
  url += "/" + request.path;
  const char* protocols = url.starts_with("https://") ? "https" : "http,https";
  set(CURLOPT_ERRORBUFFER, transfer.words.data());
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, protocols);
  set(CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kRedirects);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_USERAGENT, "panal");
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request.most_bytes));
  set(CURLOPT_WRITEFUNCTION, &Transfer::take);
  set(CURLOPT_WRITEDATA, &transfer);
  // Objects never change: a proxy may keep them.
  const auto& headers = request.path.starts_with("objects/") ? headers_ : fresh_headers_;
  if (headers) set(CURLOPT_HTTPHEADER, headers.get());
  if (!setup_.ca_file.empty()) set(CURLOPT_CAINFO, setup_.ca_file.c_str());
  if (!setup_.pinned_key.empty()) {
    set(CURLOPT_PINNEDPUBLICKEY, setup_.pinned_key.c_str());
    // The key itself is known: who signed its certificate, for which name, says nothing more.
    if (setup_.ca_file.empty()) {
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
  }
  if (code != CURLE_OK) return fail(EINVAL, curl_easy_strerror(code));
  return {};
}

Result<void> Downloads::begin(const FetchRequest& request, UniqueFd file) {
  auto transfer = std::make_unique<Transfer>();
  if (!transfer->easy) return fail(ENOMEM, "set up libcurl");
  transfer->id = request.id;
  transfer->most_bytes = std::min(request.most_bytes, setup_.most_file_bytes);
  transfer->file = std::move(file);
  PANAL_TRY(set_up(*transfer, request));
  CURL* easy = transfer->easy.get();
  if (curl_multi_add_handle(multi_.get(), easy) != CURLM_OK) return fail(ENOMEM, "set up libcurl");
  running_.emplace(easy, std::move(transfer));
  return {};
}

Result<std::vector<FetchAnswer>> Downloads::step() {
  int running = 0;
  if (const CURLMcode code = curl_multi_perform(multi_.get(), &running); code != CURLM_OK)
    return fail(EIO, curl_multi_strerror(code));
  std::vector<FetchAnswer> answers;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode result = message->data.result;  // before the message goes with its handle
    const auto found = running_.find(easy);
    if (found == running_.end()) continue;
    answers.push_back(found->second->answer(result));
    curl_multi_remove_handle(multi_.get(), easy);
    running_.erase(found);
  }
  return answers;
}

Result<void> Downloads::wait(int also) {
  curl_waitfd extra{};
  extra.fd = also;
  extra.events = CURL_WAIT_POLLIN;
  const CURLMcode code = curl_multi_poll(multi_.get(), &extra, 1, 1000, nullptr);
  if (code != CURLM_OK) return fail(EIO, curl_multi_strerror(code));
  return {};
}

}  // namespace panal::storage::fetch
