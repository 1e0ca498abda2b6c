#include "runtime/cli/operator_name.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "runtime/cli/names.h"

namespace panal::cli {

std::string operator_name() {
  const char* const sudo_user = std::getenv("SUDO_USER");
  if (::geteuid() == 0 && sudo_user != nullptr && check_login(sudo_user)) return sudo_user;
  const passwd* const account = ::getpwuid(::getuid());
  if (account != nullptr && account->pw_name != nullptr) return account->pw_name;
  return "uid " + std::to_string(::getuid());
}

}  // namespace panal::cli
