// panal-bench: measures Panal on this machine, in a lab of its own.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "bench/cli/subcommands.h"

int main(int argc, char** argv) {
  namespace bench = panal::bench;
  CLI::App app{"Measures Panal on this machine, in a lab of its own"};
  app.footer("Exit codes of figure: 0 pass, 1 fail, 2 it could not be measured.");
  app.require_subcommand(1);
  std::vector<bench::Subcommand> subcommands;
  for (const auto add :
       {bench::add_density, bench::add_ksm, bench::add_reconnect, bench::add_effects,
        bench::add_figure, bench::add_hogs, bench::add_takers, bench::add_backends,
        bench::add_faults, bench::add_redteam, bench::add_network, bench::add_confinement,
        bench::add_versions, bench::add_report})
    subcommands.push_back(add(app));
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  for (const bench::Subcommand& one : subcommands)
    if (one.parser->parsed()) return one.run({argc, argv});
  return bench::kNotMeasured;
}
