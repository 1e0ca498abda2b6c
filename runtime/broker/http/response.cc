#include "runtime/broker/http/response.h"

#include "engine/base/log.h"

namespace panal::http {
namespace {

void status_line(std::string& out, int status) {
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ");
  out.append(reason_phrase(status)).append("\r\n");
}

void header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 414: return "URI Too Long";
    case 422: return "Unprocessable Entity";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
  }
}

Response text(int status, std::string sentence) {
  Response response;
  response.status = status;
  response.body = std::move(sentence) + "\r\n";
  return response;
}

std::string to_bytes(const Response& response, bool head_only) {
  const std::string body =
      response.body.empty() ? std::string(reason_phrase(response.status)) + "\r\n" : response.body;
  std::string out;
  status_line(out, response.status);
  header(out, "Content-Type", response.content_type);
  header(out, "Content-Length", std::to_string(body.size()));
  for (const auto& [name, value] : response.headers) header(out, name, value);
  if (response.close) header(out, "Connection", "close");
  out.append("\r\n");
  if (!head_only) out.append(body);
  return out;
}

std::string file_head(std::uint64_t bytes, bool close) {
  std::string out;
  status_line(out, 200);
  header(out, "Content-Type", "application/octet-stream");
  header(out, "Content-Length", std::to_string(bytes));
  if (close) header(out, "Connection", "close");
  return out.append("\r\n");
}

std::string progress_bytes(std::string_view info) {
  std::string out;
  status_line(out, 102);
  header(out, "X-QVD-VM-Info", printable(info, 512));
  return out.append("\r\n");
}

std::string switching_bytes(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string out;
  status_line(out, 101);
  for (const auto& [name, value] : headers) header(out, name, value);
  return out.append("\r\n");
}

}  // namespace panal::http
