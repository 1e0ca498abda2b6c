#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/unique_fd.h"

/// What a puller and its helper `panal-fetch` say to each other, one JSON object a message, over a
/// SOCK_SEQPACKET socket. The helper is in touch with the network: what it says is checked as if a
/// stranger said it.
namespace panal::storage {

/// The first message: where to fetch from, and as whom. It carries the archive's password, which
/// must be in no argv.
struct FetchSetup {
  std::string url;                    ///< http:// or https://, of the archive's directory
  std::uint32_t uid = 0;              ///< to become; 0: stay (refused for root)
  std::uint32_t gid = 0;              ///< the same
  std::uint64_t most_file_bytes = 0;  ///< no file may be longer, whatever was asked for
  std::string ca_file;                ///< certificates to believe instead of the system's; or empty
  std::string pinned_key;             ///< "sha256//BASE64" of the server's key; or empty
  std::string authorization;          ///< value of the Authorization header; or empty
};

/// Fetches a file; the descriptor to write it into comes along.
struct FetchRequest {
  std::uint64_t id = 0;
  std::string path;  ///< is_archive_path()
  std::uint64_t most_bytes = 0;
};

enum class FetchOutcome { kDone, kAbsent, kTooLarge, kFailed };

struct FetchAnswer {
  std::uint64_t id = 0;  ///< 0: about the helper itself, which ends
  FetchOutcome outcome = FetchOutcome::kFailed;
  std::string words;  ///< why; printable, at most 400 bytes
};

/// Longest message.
inline constexpr std::size_t kMostFetchMessage = 16384;

[[nodiscard]] std::string print_setup(const FetchSetup& setup);
[[nodiscard]] std::string print_request(const FetchRequest& request);
[[nodiscard]] std::string print_answer(const FetchAnswer& answer);
/// Errors: EPROTO with what is wrong.
[[nodiscard]] Result<FetchSetup> parse_setup(std::string_view text);
[[nodiscard]] Result<FetchRequest> parse_request(std::string_view text);
[[nodiscard]] Result<FetchAnswer> parse_answer(std::string_view text);

struct FetchMessage {
  std::string text;  ///< empty: the other side has ended
  UniqueFd file;     ///< where one came along
};

/// Sends a message, with a descriptor where `file` is not below zero. Never waits.
/// Errors: EAGAIN when the other side does not read; EPIPE, ECONNRESET or ENOTCONN when it has
/// ended.
[[nodiscard]] Result<void> send_message(int socket, const std::string& text, int file = -1);
/// The next message; waits where there is none, if `wait`.
/// Errors: EAGAIN; EPROTO for one that is too long or brings more than one descriptor.
[[nodiscard]] Result<FetchMessage> receive_message(int socket, bool wait);

}  // namespace panal::storage
