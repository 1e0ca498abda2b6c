#include "runtime/desktop/desktop.h"

namespace panal::desktop {

std::string StepError::reason() const { return step + " failed: " + cause.message(); }

}  // namespace panal::desktop
