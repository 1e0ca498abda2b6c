#include "storage/transfer/fetch_messages.h"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "storage/transfer/source.h"

namespace panal::storage {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 4> kOutcomes = {"done", "absent", "too_large", "failed"};
constexpr std::size_t kMostWords = 400;

std::string dump(const json& message) {
  return message.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::uint64_t unsigned_number(const json& object, const char* key, std::uint64_t most) {
  const json& value = object.at(key);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
    throw json::other_error::create(
        500, std::string(key) + " is no number from 0 to " + std::to_string(most), &object);
  return value.get<std::uint64_t>();
}

/// Reads a message's keys with `read`, and gives the JSON library's complaints a Result.
template <typename T, typename Read>
Result<T> parse_message(std::string_view text, const char* what, Read read) {
  if (text.size() > kMostFetchMessage) return fail(EPROTO, std::string(what) + ": too long");
  try {
    const json message = json::parse(text);
    if (!message.is_object()) return fail(EPROTO, std::string(what) + ": is no object");
    return read(message);
  } catch (const json::exception& problem) {
    return fail(EPROTO, std::string(what) + ": " + printable(problem.what(), kMostWords));
  }
}

}  // namespace

std::string print_setup(const FetchSetup& setup) {
  return dump({{"url", setup.url},
               {"uid", setup.uid},
               {"gid", setup.gid},
               {"most_file_bytes", setup.most_file_bytes},
               {"ca_file", setup.ca_file},
               {"pinned_key", setup.pinned_key},
               {"authorization", setup.authorization}});
}

std::string print_request(const FetchRequest& request) {
  return dump({{"id", request.id}, {"path", request.path}, {"most_bytes", request.most_bytes}});
}

std::string print_answer(const FetchAnswer& answer) {
  return dump({{"id", answer.id},
               {"outcome", kOutcomes.at(static_cast<std::size_t>(answer.outcome))},
               {"words", printable(answer.words, kMostWords)}});
}

Result<FetchSetup> parse_setup(std::string_view text) {
  return parse_message<FetchSetup>(text, "setup", [](const json& message) -> Result<FetchSetup> {
    FetchSetup setup;
    setup.url = message.at("url").get<std::string>();
    setup.uid = static_cast<std::uint32_t>(unsigned_number(message, "uid", UINT32_MAX - 1));
    setup.gid = static_cast<std::uint32_t>(unsigned_number(message, "gid", UINT32_MAX - 1));
    setup.most_file_bytes = unsigned_number(message, "most_file_bytes", INT64_MAX);
    setup.ca_file = message.at("ca_file").get<std::string>();
    setup.pinned_key = message.at("pinned_key").get<std::string>();
    setup.authorization = message.at("authorization").get<std::string>();
    for (const std::string* one :
         {&setup.url, &setup.ca_file, &setup.pinned_key, &setup.authorization})
      for (const char c : *one)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
          return fail(EPROTO, "setup: a control character");
    return setup;
  });
}

Result<FetchRequest> parse_request(std::string_view text) {
  return parse_message<FetchRequest>(
      text, "request", [](const json& message) -> Result<FetchRequest> {
        FetchRequest request;
        request.id = unsigned_number(message, "id", INT64_MAX);
        request.path = message.at("path").get<std::string>();
        request.most_bytes = unsigned_number(message, "most_bytes", INT64_MAX);
        if (request.id == 0) return fail(EPROTO, "request: id 0");
        if (!is_archive_path(request.path))
          return fail(EPROTO,
                      "request: \"" + printable(request.path, 200) + "\" is no file of an archive");
        return request;
      });
}

Result<FetchAnswer> parse_answer(std::string_view text) {
  return parse_message<FetchAnswer>(text, "answer", [](const json& message) -> Result<FetchAnswer> {
    FetchAnswer answer;
    answer.id = unsigned_number(message, "id", INT64_MAX);
    answer.words = printable(message.at("words").get<std::string>(), kMostWords);
    const auto outcome = message.at("outcome").get<std::string>();
    for (std::size_t at = 0; at < kOutcomes.size(); ++at) {
      if (outcome != kOutcomes.at(at)) continue;
      answer.outcome = static_cast<FetchOutcome>(at);
      return answer;
    }
    return fail(EPROTO, "answer: \"" + printable(outcome, 40) + "\" is no outcome");
  });
}

Result<void> send_message(int socket, const std::string& text, int file) {
  iovec bytes{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (file >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &file, sizeof file);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    if (errno != EINTR) return fail_errno("send to the other side of panal-fetch");
  return {};
}

Result<FetchMessage> receive_message(int socket, bool wait) {
  FetchMessage received;
  received.text.resize(kMostFetchMessage);
  iovec bytes{received.text.data(), received.text.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  // Once ECONNRESET where the other side ended before it had read all; what it said comes after.
  while ((got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT))) < 0)
    if (errno != EINTR && errno != ECONNRESET)
      return fail_errno("read from the other side of panal-fetch");
  received.text.resize(static_cast<std::size_t>(got));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int file = -1;
    std::memcpy(&file, CMSG_DATA(header), sizeof file);
    received.file = UniqueFd(file);
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return fail(EPROTO, "a message of panal-fetch is too long");
  return received;
}

}  // namespace panal::storage
