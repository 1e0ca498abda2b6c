#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "storage/transfer/keys.h"

namespace panal::storage {

/// The name of an archive's signed list, in the archive's directory. Signature and list are one
/// file, so that whoever reads it has both or neither, from any web server:
///
///     panal-images 1
///     rotation OLD_KEY NEW_KEY SIGNATURE_BY_OLD     (for each change of the key, oldest first)
///     signed KEY SIGNATURE
///
///     {the list, as image_list.h has it}
inline constexpr const char* kListName = "panal-images";

/// "Who trusts the old key may trust the new one", signed by the old one.
struct Rotation {
  PublicKey from;
  PublicKey to;
  Signature signature{};
};

/// A signed list, taken apart. Nothing in it is believed yet.
struct SealedList {
  std::vector<Rotation> rotations;
  PublicKey key;
  Signature signature{};
  std::string body;
};

/// The most changes of a key that are kept: a node that is further behind is told the new key.
inline constexpr std::size_t kMostRotations = 64;
/// Longest signed list: kMostListBytes and the lines above it.
inline constexpr std::size_t kMostSealedBytes = std::size_t{17} << 20U;

/// Errors: EIO.
[[nodiscard]] Result<Rotation> sign_rotation(const SecretKey& from, const PublicKey& to);
/// The file's text. Errors: EINVAL where the rotations do not end at the key; EIO.
[[nodiscard]] Result<std::string> seal(std::string_view body,
                                       const std::vector<Rotation>& rotations,
                                       const SecretKey& key);

/// Takes the text apart. Errors: EPROTO that names `where` and the line.
[[nodiscard]] Result<SealedList> parse_sealed(std::string_view text, const std::string& where);
/// Whether a list is to be believed by who trusts `trusted`: it is signed by that key, or by one
/// that it leads to. The body may be read then. Errors: EKEYREJECTED that says why and what to do.
[[nodiscard]] Result<void> check_sealed(const SealedList& sealed, const PublicKey& trusted,
                                        const std::string& where);

}  // namespace panal::storage
