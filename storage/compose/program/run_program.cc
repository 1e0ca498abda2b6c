#include "storage/compose/program/run_program.h"

#include <cstdlib>

#include "engine/base/run_child.h"
#include "engine/base/system_program.h"

namespace panal::storage {

bool has_program(const std::string& name) { return !system_program(name).empty(); }

Result<std::string> run_program(const std::vector<std::string>& argv,
                                std::chrono::milliseconds patience) {
  const std::string path = system_program(argv.at(0));
  if (path.empty()) return fail(ENOENT, "the program " + argv[0] + " is not installed");
  std::vector<std::string> variables = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"};
  // Whoever is in an IPC namespace of their own must tell LVM not to wait for udev: what they would
  // meet at is not seen from there.
  if (const char* set = std::getenv("DM_DISABLE_UDEV"); set != nullptr)
    variables.push_back(std::string("DM_DISABLE_UDEV=") + set);
  ChildCommand command{.program = path, .argv = argv};
  command.environment = std::move(variables);
  PANAL_ASSIGN(ChildOutput done, run_child(std::move(command), {.limit = patience}));
  if (done.end.well()) return std::move(done.output);
  constexpr std::size_t kTail = 400;
  std::string tail = done.errors.empty() ? done.output : done.errors;
  if (tail.size() > kTail) tail.erase(0, tail.size() - kTail);
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return fail(EIO, argv[0] + " failed: " + tail);
}

}  // namespace panal::storage
