#pragma once

#include <nlohmann/json.hpp>

#include "runtime/control/control.h"

namespace panal::control {

struct Connection::Message {
  nlohmann::json body;
  UniqueFd descriptor;  ///< not valid when none came
};

}  // namespace panal::control
