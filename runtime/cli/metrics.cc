#include "runtime/cli/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/base/unique_fd.h"

namespace panal::cli {
namespace {

constexpr std::chrono::seconds kPatience{10};

Result<void> write_all(int fd, const std::string& text, const std::string& name) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("write", name);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& file, const std::string& text) {
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : file.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  // Not *.prom, so that no collector reads it; O_EXCL follows no link that somebody has put there.
  const std::string fresh = folder + "." + name + "." + std::to_string(::getpid()) + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", fresh);
  UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("write", fresh);
  auto written = write_all(fd.get(), text, fresh);
  // The collector is somebody else, whatever the umask.
  if (written && ::fchmod(fd.get(), 0644) != 0) written = fail_errno("chmod", fresh);
  if (written && ::rename(fresh.c_str(), file.c_str()) != 0)
    written = fail_errno("rename to", file);
  if (!written) ::unlink(fresh.c_str());
  return written;
}

ExitCode metrics(Shell& shell, const MetricsOptions& options) {
  nlohmann::json request = {{"op", "metrics"}};
  if (options.json) request["format"] = "json";
  PANAL_CLI_ASSIGN(shell, const auto answer,
                   shell.backends.ask_node(shell.config, request, kPatience));
  const auto body = answer.find(options.json ? "families" : "text");
  if (body == answer.end() || (options.json ? !body->is_array() : !body->is_string()))
    return shell.refuse(ExitCode::kFailed,
                        "panald's answer has no metrics in it: is it of an older version?");
  if (options.json) {
    shell.print(*body);
  } else if (options.textfile.empty()) {
    shell.out << body->get<std::string>();
  } else {
    PANAL_CLI_TRY(shell, replace_file(options.textfile, body->get<std::string>()));
  }
  return ExitCode::kOk;
}

}  // namespace panal::cli
