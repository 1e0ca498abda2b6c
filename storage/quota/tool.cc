#include "storage/quota/tool.h"

#include "engine/base/log.h"
#include "engine/base/run_child.h"
#include "engine/base/system_program.h"

namespace panal::storage {
namespace {

constexpr std::size_t kToolWords = 400;  ///< of its output, kept for the error

}  // namespace

Result<void> run_tool(const std::vector<std::string>& argv) {
  const std::string program = system_program(argv.at(0));
  if (program.empty()) return fail(ENOENT, "the program " + argv[0] + " is not installed");
  ChildCommand command{.program = program, .argv = argv};
  command.environment = std::vector<std::string>{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  PANAL_ASSIGN(
      const ChildOutput done,
      run_child(std::move(command),
                {.errors = ChildErrors::kWithOutput, .most_bytes = kToolWords, .keep_end = true}));
  if (done.end.well()) return {};
  return fail(EIO, program + " ended with " + std::to_string(done.end.code()) + ": " +
                       printable(done.output, kToolWords));
}

}  // namespace panal::storage
