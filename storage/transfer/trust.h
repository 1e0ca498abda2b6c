#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/transfer/image_list.h"
#include "storage/transfer/keys.h"

namespace panal::storage {

/// What a puller believes of one archive, kept in a file: the publisher's key, told by the operator
/// at first, and which list was seen last.
struct Trust {
  PublicKey key;
  std::uint64_t serial = 0;  ///< of the newest list that was seen; 0: none yet
  std::string list_digest;   ///< SHA-256 of that list, 64 hex digits; empty: none yet
};

/// JSON, and back. Errors: EPROTO that names `file`.
[[nodiscard]] std::string print_trust(const Trust& trust);
[[nodiscard]] Result<Trust> parse_trust(std::string_view text, const std::string& file);
/// Errors: ENOENT with what to do; EPROTO.
[[nodiscard]] Result<Trust> read_trust(const std::string& file);
/// In place by one rename, 0600. Errors: those of replace_file().
[[nodiscard]] Result<void> write_trust(const std::string& file, const Trust& trust);

struct AcceptedList {
  ImageList list;
  Trust trust;  ///< to be kept from now on: the key may have changed, the serial has grown
};

/// The list in a signed list's text, if it is to be believed: signed by the trusted key or one that
/// follows it, not expired at `now_unix_s`, and no older than what was seen.
/// Errors: EPROTO, EKEYREJECTED (signature), EKEYEXPIRED, ESTALE (an older list, or two different
/// ones with the same serial: somebody plays old ones back).
[[nodiscard]] Result<AcceptedList> accept_list(std::string_view text, const std::string& where,
                                               const Trust& trust, std::int64_t now_unix_s);
/// The same where the operator says the publisher's key; `former` is what was believed before. What
/// was seen counts on for the same publisher: for the same key, and for one that the former key
/// leads to. Another publisher's lists begin anew, whatever their serial.
[[nodiscard]] Result<AcceptedList> accept_list_by_key(std::string_view text,
                                                      const std::string& where,
                                                      const PublicKey& key,
                                                      const std::optional<Trust>& former,
                                                      std::int64_t now_unix_s);

}  // namespace panal::storage
