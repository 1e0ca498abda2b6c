#include "runtime/broker/connect_options.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace panal::broker {
namespace {

constexpr std::array<std::string_view, 6> kLinks = {"modem", "isdn", "adsl", "wan", "lan", "local"};
constexpr unsigned kLeastPixels = 64;
constexpr unsigned kMostPixels = 16384;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

tl::unexpected<Refusal> refuse(int status, std::string sentence) {
  return tl::make_unexpected(Refusal{status, std::move(sentence)});
}

bool is_pixels(std::string_view text) {
  unsigned value = 0;
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} && value >= kLeastPixels && value <= kMostPixels;
}

bool is_geometry(std::string_view text) {
  const auto x = text.find('x');
  return x != std::string_view::npos && is_pixels(text.substr(0, x)) &&
         is_pixels(text.substr(x + 1));
}

bool is_keyboard(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                  c == '/' || c == '-' || c == '+';
         });
}

/// A word of nxagent's list or a rate in bits per second such as 512k.
bool is_link(std::string_view text) {
  if (std::find(kLinks.begin(), kLinks.end(), text) != kLinks.end()) return true;
  if (text.ends_with('k') || text.ends_with('m') || text.ends_with('g')) text.remove_suffix(1);
  return !text.empty() && text.size() <= 9 && std::all_of(text.begin(), text.end(), is_digit);
}

/// nxagent only needs to know the family; Qt clients send the kernel's name ("winnt", "darwin").
std::string client_family(std::string_view os) {
  std::string lower(os);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower.starts_with("win")) return "windows";
  if (lower.starts_with("darwin") || lower.starts_with("mac")) return "macosx";
  return "linux";
}

}  // namespace

Answer<DesktopId> read_id(const http::Query& query) {
  const auto is_id = [](const auto& pair) { return pair.first == "id"; };
  const auto count = std::count_if(query.begin(), query.end(), is_id);
  if (count != 1) {
    return refuse(422, "The request needs one parameter id: the number of the desktop.");
  }
  const std::string& text = std::find_if(query.begin(), query.end(), is_id)->second;
  DesktopId id = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || id <= 0) {
    return refuse(422, "The parameter id is not the number of a desktop.");
  }
  return id;
}

Answer<AttachRequest> read_connect_query(const http::Query& query) {
  AttachRequest out;
  const auto id = read_id(query);
  if (!id) return tl::make_unexpected(id.error());
  out.desktop = *id;
  out.client = "linux";
  for (const auto& [key, value] : query) {
    if (key != "id" && !key.starts_with("qvd.client.") && !key.starts_with("custom.")) {
      return refuse(403, "Only the parameters id, qvd.client.* and custom.* are accepted.");
    }
    if (value.empty()) continue;  // QVD's clients send empty ones for "not set"
    if (key == "qvd.client.geometry") {
      if (!is_geometry(value)) {
        return refuse(422, "The parameter qvd.client.geometry is not WIDTHxHEIGHT in pixels.");
      }
      out.geometry = value;
    } else if (key == "qvd.client.keyboard") {
      if (!is_keyboard(value)) {
        return refuse(422, "The parameter qvd.client.keyboard is not a keyboard such as pc105/us.");
      }
      out.keyboard = value;
    } else if (key == "qvd.client.link") {
      if (!is_link(value)) {
        return refuse(422,
                      "The parameter qvd.client.link is not modem, isdn, adsl, wan, lan, local or "
                      "a rate such as 512k.");
      }
      out.link = value;
    } else if (key == "qvd.client.fullscreen") {
      out.fullscreen = value == "1" || value == "true" || value == "yes";
    } else if (key == "qvd.client.os") {
      out.client = client_family(value);
    }
  }
  return out;
}

}  // namespace panal::broker
