#pragma once

namespace panal::node {

/// The program panald: options, checks, namespaces, then Node. Exit codes: 0 asked to end, 1
/// failed, 2 wrong usage.
[[nodiscard]] int panald_main(int argc, char** argv);

}  // namespace panal::node
