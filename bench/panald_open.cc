// panald without rules for its desktops' network: what panal-bench compares confinement with.
// Installed nowhere, and of no use outside of a lab.

#include <unistd.h>

#include <iostream>

#include "bench/confinement/open_firewall.h"
#include "runtime/node/panald.h"

int main(int argc, char** argv) {
  // What scripts/lab puts into a /run of its own; its variables anybody can set.
  if (::access("/run/panal-lab", F_OK) != 0) {
    std::cerr << "panald-open: it confines no desktop, and is for measurements in a lab alone\n";
    return 1;
  }
  return panal::node::panald_main(argc, argv, panal::bench::open_no_firewall);
}
