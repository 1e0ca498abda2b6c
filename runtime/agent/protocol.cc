#include "runtime/agent/protocol.h"

#include <array>
#include <charconv>

namespace panal::agent {
namespace {

constexpr std::size_t kNameBytes = 32;
// Fields are small objects: without a bound a frame of "a= a= a=" would cost twenty times its size.
constexpr std::size_t kMostFields = 256;

struct StateName {
  SessionState state;
  std::string_view name;
};
constexpr std::array kStateNames = {
    StateName{SessionState::kNone, "none"},
    StateName{SessionState::kStarting, "starting"},
    StateName{SessionState::kListening, "listening"},
    StateName{SessionState::kConnected, "connected"},
    StateName{SessionState::kSuspending, "suspending"},
    StateName{SessionState::kSuspended, "suspended"},
    StateName{SessionState::kResuming, "resuming"},
    StateName{SessionState::kEnded, "ended"},
};

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameBytes) return false;
  for (const char c : text) {
    if ((c < 'a' || c > 'z') && c != '_') return false;
  }
  return true;
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~/:@,+").find(c) != std::string_view::npos;
}

void append_encoded(std::string& out, std::string_view value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const char c : value) {
    if (is_plain(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 0xfU]);
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decoded(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (is_plain(value[i])) {
      out.push_back(value[i]);
      continue;
    }
    if (value[i] != '%') return fail(EPROTO, "decode agent frame: bare byte in a value");
    if (value.size() - i < 3) return fail(EPROTO, "decode agent frame: cut escape in a value");
    const int high = hex_digit(value[i + 1]);
    const int low = hex_digit(value[i + 2]);
    if (high < 0 || low < 0) return fail(EPROTO, "decode agent frame: bad escape in a value");
    // A NUL would end the text early in every C interface the value goes to.
    if (high == 0 && low == 0) return fail(EPROTO, "decode agent frame: NUL in a value");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

}  // namespace

std::string_view to_string(SessionState state) {
  for (const auto& entry : kStateNames) {
    if (entry.state == state) return entry.name;
  }
  return "none";
}

Result<SessionState> parse_session_state(std::string_view text) {
  for (const auto& entry : kStateNames) {
    if (entry.name == text) return entry.state;
  }
  return fail(EPROTO, "parse session state: no such state");
}

std::string_view Frame::get(std::string_view key) const {
  for (const auto& [name, value] : fields) {
    if (name == key) return value;
  }
  return {};
}

std::vector<std::string> Frame::all(std::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : fields) {
    if (name == key) values.push_back(value);
  }
  return values;
}

Result<std::uint64_t> Frame::number(std::string_view key, std::uint64_t most) const {
  const std::string_view text = get(key);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > most) {
    return fail(EPROTO, "agent frame " + verb + ": " + std::string(key) +
                            " must be a number of at most " + std::to_string(most));
  }
  return value;
}

Result<std::string> encode(const Frame& frame) {
  if (!is_name(frame.verb)) return fail(EINVAL, "encode agent frame: bad verb");
  if (frame.fields.size() > kMostFields) return fail(EMSGSIZE, "encode agent frame: fields");
  std::string out = frame.verb;
  for (const auto& [key, value] : frame.fields) {
    if (!is_name(key)) return fail(EINVAL, "encode agent frame " + frame.verb + ": bad key");
    if (value.find('\0') != std::string::npos) {
      return fail(EINVAL, "encode agent frame " + frame.verb + ": NUL in " + key);
    }
    out.append(" ").append(key).append("=");
    append_encoded(out, value);
    if (out.size() > kFrameBytes) return fail(EMSGSIZE, "encode agent frame " + frame.verb);
  }
  return out;
}

Result<Frame> decode(std::string_view bytes) {
  if (bytes.size() > kFrameBytes) return fail(EPROTO, "decode agent frame: too long");
  const std::size_t verb_end = bytes.find(' ');
  const std::string_view verb = bytes.substr(0, verb_end);
  if (!is_name(verb)) return fail(EPROTO, "decode agent frame: bad verb");
  Frame frame{std::string(verb)};
  std::size_t at = verb_end;
  while (at != std::string_view::npos) {
    const std::size_t next = bytes.find(' ', at + 1);
    const std::string_view field =
        bytes.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) {
      return fail(EPROTO, "decode agent frame " + frame.verb + ": field without =");
    }
    if (!is_name(field.substr(0, equals))) {
      return fail(EPROTO, "decode agent frame " + frame.verb + ": bad key");
    }
    if (frame.fields.size() == kMostFields) {
      return fail(EPROTO, "decode agent frame " + frame.verb + ": too many fields");
    }
    PANAL_ASSIGN(std::string value, decoded(field.substr(equals + 1)));
    frame.add(std::string(field.substr(0, equals)), std::move(value));
    at = next;
  }
  return frame;
}

}  // namespace panal::agent
