#include "runtime/warm/program.h"

int main(int argc, char** argv) { return panal::warm::warm_main(argc, argv); }
