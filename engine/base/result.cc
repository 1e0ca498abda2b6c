#include "engine/base/result.h"

namespace panal {

std::string Error::message() const {
  if (code == 0) return context;
  return context + ": " + std::generic_category().message(code);
}

Failure fail_errno(std::string_view operation, std::string_view object) {
  const int code = errno;
  std::string context(operation);
  if (!object.empty()) context.append(" ").append(object);
  return fail(code, std::move(context));
}

}  // namespace panal
