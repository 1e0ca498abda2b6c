#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "runtime/cli/cli.h"

int main(int argc, char** argv) {
  const auto backends = panal::cli::make_backends();
  return panal::cli::run(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr,
                         isatty(STDOUT_FILENO) == 1, *backends);
}
