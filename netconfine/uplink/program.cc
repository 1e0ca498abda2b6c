#include "netconfine/uplink/program.h"

#include <fmt/format.h>

#include <utility>

#include "engine/base/run_child.h"
#include "engine/base/system_program.h"

namespace panal::netconfine {

bool has_program(const std::string& name) { return !system_program(name).empty(); }

std::string shown(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += ' ';
    text += word.find(' ') == std::string::npos ? word : '"' + word + '"';
  }
  return text;
}

Result<ProgramOutput> run_program(const std::vector<std::string>& words, const std::string& input,
                                  std::chrono::milliseconds limit) {
  const std::string path = system_program(words.front());
  if (path.empty()) return fail(ENOENT, "run " + words.front());
  ChildCommand command{.program = path, .argv = words};
  command.environment = std::vector<std::string>{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  // It can be stopped, whatever panald ignores.
  command.usual_signals = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
  auto done = run_child(std::move(command), {.input = input, .limit = limit});
  if (!done) return prefixed("run " + shown(words), std::move(done.error()));
  return ProgramOutput{done->end.code(), std::move(done->output), std::move(done->errors)};
}

Result<std::string> must_run(const std::vector<std::string>& words, const std::string& input) {
  PANAL_ASSIGN(auto output, run_program(words, input));
  if (output.status == 0) return std::move(output.out);
  const std::string& said = output.error.empty() ? output.out : output.error;
  return fail(EPROTO, fmt::format("{} ended with {}: {}", shown(words), output.status,
                                  said.substr(0, said.find('\n'))));
}

}  // namespace panal::netconfine
