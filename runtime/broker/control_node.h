#pragma once

#include <chrono>

#include "runtime/broker/node.h"
#include "runtime/loop/loop.h"

namespace panal::broker {

/// panald of this machine over its control socket (runtime/control/control.h), one connection an
/// attach. `silence`: no message for so long means it hangs.
[[nodiscard]] std::unique_ptr<NodePort> make_control_node(loop::Loop& loop, std::string socket_path,
                                                          std::chrono::milliseconds silence);

}  // namespace panal::broker
