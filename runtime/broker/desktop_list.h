#pragma once

#include <string>
#include <vector>

#include "runtime/store/store.h"

namespace panal::broker {

/// QVD's word for a state: composing is "starting", failed is "stopped".
[[nodiscard]] std::string_view qvd_state(store::Observed observed);

/// The JSON body of list_of_vm; numbers are integers (QVD's C client unpacks them as int).
[[nodiscard]] std::string list_body(const std::vector<store::Desktop>& desktops);

}  // namespace panal::broker
