// What is done so that images' pages are there before desktops are.
#include "runtime/metrics/book.h"
#include "runtime/metrics/warm_figures.h"

namespace panal::metrics {

void write_warm(Book& book, const WarmFigures& warm) {
  book.gauge("panal_warm_budget_bytes", "Image pages that may be held warm.")
      .add(static_cast<double>(warm.budget_bytes));
  book.gauge("panal_warm_hot_bytes", "Pages of the versions that are kept warm.")
      .add(static_cast<double>(warm.hot_bytes));
  book.counter("panal_warm_read_bytes_total", "Image pages that had to be read for it.")
      .add(static_cast<double>(warm.read_bytes));
  book.counter("panal_warm_runs_total", "Runs of panal-warm that ended well.")
      .add("act", kWarmActs, warm.runs);
  book.counter("panal_warm_failures_total", "Runs of panal-warm that did not; see the log.")
      .add("act", kWarmActs, warm.failures);
}

}  // namespace panal::metrics
