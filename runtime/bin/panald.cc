#include "runtime/node/panald.h"

int main(int argc, char** argv) { return panal::node::panald_main(argc, argv); }
