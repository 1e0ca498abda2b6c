#include "storage/transfer/signed_list.h"

#include <algorithm>
#include <optional>

#include "storage/transfer/hex.h"
#include "storage/transfer/image_list.h"

namespace panal::storage {
namespace {

constexpr std::string_view kSealHead = "panal-images 1";
constexpr std::size_t kKeyDigits = 64;
constexpr std::size_t kSignatureDigits = 128;

// What is signed begins with what it is, so that no signature can be shown as that of another kind.
std::string list_statement(std::string_view body) {
  std::string text = "panal image list 1\n";
  return text.append(body);
}

std::string rotation_statement(const PublicKey& from, const PublicKey& to) {
  return "panal key rotation 1\n" + print_key(from) + "\n" + print_key(to) + "\n";
}

/// The lines above the list, one after the other.
class Head {
 public:
  explicit Head(std::string_view text) : rest_(text) {}
  /// Without its end; nullopt where no line ends within what a line can be.
  std::optional<std::string_view> line() {
    const auto end = rest_.substr(0, 512).find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    ++number_;
    return line;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] unsigned number() const { return number_; }

 private:
  std::string_view rest_;
  unsigned number_ = 0;
};

bool take_word(std::string_view& line, std::string_view word) {
  if (!line.starts_with(word)) return false;
  line.remove_prefix(word.size());
  return true;
}

bool take_hex(std::string_view& line, std::size_t digits, std::span<unsigned char> bytes) {
  if (line.size() < digits + 1 || line.front() != ' ') return false;
  if (!from_hex(line.substr(1, digits), bytes)) return false;
  line.remove_prefix(digits + 1);
  return true;
}

std::optional<Rotation> rotation_from(std::string_view line) {
  Rotation rotation;
  if (take_hex(line, kKeyDigits, rotation.from.bytes) &&
      take_hex(line, kKeyDigits, rotation.to.bytes) &&
      take_hex(line, kSignatureDigits, rotation.signature) && line.empty())
    return rotation;
  return std::nullopt;
}

/// Each one begins with the key the one before ends with, and the last ends with `key`.
bool leads_to(const std::vector<Rotation>& rotations, const PublicKey& key) {
  for (std::size_t at = 1; at < rotations.size(); ++at)
    if (!(rotations[at - 1].to == rotations[at].from)) return false;
  return rotations.empty() || rotations.back().to == key;
}

}  // namespace

Result<Rotation> sign_rotation(const SecretKey& from, const PublicKey& to) {
  Rotation rotation;
  rotation.from = from.public_key();
  rotation.to = to;
  PANAL_ASSIGN(rotation.signature, from.sign(rotation_statement(rotation.from, to)));
  return rotation;
}

Result<std::string> seal(std::string_view body, const std::vector<Rotation>& rotations,
                         const SecretKey& key) {
  if (rotations.size() > kMostRotations || !leads_to(rotations, key.public_key()))
    return fail(EINVAL, "sign a list: its changes of key do not lead to the key that signs");
  PANAL_ASSIGN(const Signature signature, key.sign(list_statement(body)));
  std::string text(kSealHead);
  text += '\n';
  for (const auto& rotation : rotations)
    text += "rotation " + print_key(rotation.from) + " " + print_key(rotation.to) + " " +
            to_hex(rotation.signature) + "\n";
  text += "signed " + print_key(key.public_key()) + " " + to_hex(signature) + "\n\n";
  return text.append(body);
}

Result<SealedList> parse_sealed(std::string_view text, const std::string& where) {
  if (text.size() > kMostSealedBytes)
    return fail(EPROTO, where + ": the signed list is longer than " +
                            std::to_string(kMostSealedBytes >> 20U) + " MiB");
  Head head(text);
  SealedList sealed;
  const auto first = head.line();
  if (!first || *first != kSealHead)
    return fail(EPROTO, where + ": is no signed list of Panal (its first line would be \"" +
                            std::string(kSealHead) + "\")");
  const auto damaged = [&](const char* what) {
    return fail(EPROTO,
                where + ":" + std::to_string(head.number()) + ": damaged signed list: " + what);
  };
  for (;;) {
    auto line = head.line();
    if (!line) return damaged("it ends, or goes on without an end, after this line");
    if (take_word(*line, "rotation")) {
      const auto rotation = rotation_from(*line);
      if (!rotation) return damaged("rotation needs two keys and a signature");
      if (sealed.rotations.size() == kMostRotations) return damaged("too many changes of key");
      sealed.rotations.push_back(*rotation);
    } else if (take_word(*line, "signed")) {
      if (!take_hex(*line, kKeyDigits, sealed.key.bytes) ||
          !take_hex(*line, kSignatureDigits, sealed.signature) || !line->empty())
        return damaged("signed needs a key and a signature");
      break;
    } else {
      return damaged("neither \"rotation\" nor \"signed\"");
    }
  }
  const auto gap = head.line();
  if (!gap || !gap->empty()) return damaged("no empty line before the list");
  sealed.body = head.rest();
  return sealed;
}

Result<void> check_sealed(const SealedList& sealed, const PublicKey& trusted,
                          const std::string& where) {
  if (!leads_to(sealed.rotations, sealed.key))
    return fail(EKEYREJECTED, where + ": its changes of key do not lead to the key that signed");
  auto at = std::find_if(sealed.rotations.begin(), sealed.rotations.end(),
                         [&trusted](const Rotation& one) { return one.from == trusted; });
  if (!(sealed.key == trusted) && at == sealed.rotations.end())
    return fail(EKEYREJECTED, where + ": signed by the key " + print_key(sealed.key) + ", but " +
                                  print_key(trusted) +
                                  " is trusted and does not lead to it; ask the publisher");
  if (sealed.key == trusted) at = sealed.rotations.end();
  for (; at != sealed.rotations.end(); ++at)
    if (!is_signed_by(at->from, rotation_statement(at->from, at->to), at->signature))
      return fail(EKEYREJECTED, where + ": the change to the key " + print_key(at->to) +
                                    " is not signed by the one before");
  if (!is_signed_by(sealed.key, list_statement(sealed.body), sealed.signature))
    return fail(EKEYREJECTED, where + ": the signature is not that of this list");
  return {};
}

}  // namespace panal::storage
