// panal-fetch: fetches an archive's files over HTTP(S) for a process that pulls images, which
// starts it with a socket as descriptor 3 (storage/transfer/remote_source.h).
#include "storage/transfer/fetch/fetch_program.h"

int main() {
  constexpr int kSocket = 3;
  return panal::storage::fetch::run_fetch_program(kSocket);
}
