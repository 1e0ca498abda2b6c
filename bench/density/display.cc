#include "bench/density/display.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "bench/density/stored.h"

namespace panal::bench {
namespace {

/// A colour that no desktop has.
constexpr std::uint32_t kBareScreen = 0xfe01fd;

std::string random_hex() {
  unsigned char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return {};
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

}  // namespace

Result<std::unique_ptr<Display>> Display::start(int number, const std::string& directory,
                                                const std::function<Result<void>(pid_t)>& place) {
  auto out = std::unique_ptr<Display>(new Display());
  out->name_ = fmt::format(":{}", number);
  out->authority_ = fmt::format("{}/Xauthority-{}", directory, number);
  const std::string buffer = fmt::format("{}/screen-{}", directory, number);
  if (::mkdir(buffer.c_str(), 0700) != 0) return fail_errno("make directory", buffer);
  (void)::mkdir("/tmp/.X11-unix", 01777);
  (void)::chmod("/tmp/.X11-unix", 01777);
  // The cookie goes by a file, as everybody can read the words of a command.
  const std::string words = out->authority_ + ".words";
  PANAL_TRY(
      write_file(words, fmt::format("add {} MIT-MAGIC-COOKIE-1 {}\n", out->name_, random_hex())));
  PANAL_TRY(output_of({"xauth", "-q", "-f", out->authority_, "source", words}));
  (void)::unlink(words.c_str());
  // No GLX: nxagent makes a colour map for each visual, and with GLX there are 350 of 96 KiB each.
  PANAL_ASSIGN(
      out->server_,
      Child::start({"Xvfb", out->name_, "-screen", "0", fmt::format("{}x{}x24", kWidth, kHeight),
                    "-nolisten", "tcp", "-noreset", "-extension", "GLX", "-maxclients", "2048",
                    "-fbdir", buffer, "-auth", out->authority_},
                   {.output_file = directory + "/display.log", .place = place}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (true) {
    const std::string set = fmt::format("DISPLAY={} XAUTHORITY={} exec xsetroot -solid '#{:06x}'",
                                        out->name_, out->authority_, kBareScreen);
    const auto done = run_command({"sh", "-c", set});
    if (done && done->exit_code == 0) break;
    if (std::chrono::steady_clock::now() > deadline)
      return fail(ETIMEDOUT, "Xvfb " + out->name_ + " does not answer; see display.log");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  PANAL_ASSIGN(out->manager_,
               Child::start({"openbox"}, {.environment = out->environment(), .place = place}));
  const std::string file = buffer + "/Xvfb_screen0";
  const UniqueFd screen(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!screen) return fail_errno("open", file);
  struct stat info{};
  if (::fstat(screen.get(), &info) != 0) return fail_errno("stat", file);
  out->mapped_bytes_ = static_cast<std::size_t>(info.st_size);
  void* mapped = ::mmap(nullptr, out->mapped_bytes_, PROT_READ, MAP_SHARED, screen.get(), 0);
  if (mapped == MAP_FAILED) return fail_errno("map", file);
  // XWD: words in network order; header size, then (13th word) bytes a line, (20th) colours of
  // twelve bytes each between the header and the pixels.
  std::uint32_t words_of_header[25];
  std::memcpy(words_of_header, mapped, sizeof words_of_header);
  const std::size_t skip = ntohl(words_of_header[0]) + std::size_t{12} * ntohl(words_of_header[19]);
  out->line_bytes_ = ntohl(words_of_header[12]);
  out->pixels_ = static_cast<const unsigned char*>(mapped) + skip;
  if (skip + out->line_bytes_ * kHeight > out->mapped_bytes_ || out->line_bytes_ < kWidth * 4)
    return fail(EPROTO, file + " is no 24 bit screen of " + std::to_string(kWidth));
  return out;
}

Display::~Display() {
  manager_.end(std::chrono::seconds(3));
  server_.end(std::chrono::seconds(3));
}

std::map<std::string, std::string> Display::environment() const {
  return {{"DISPLAY", name_}, {"XAUTHORITY", authority_}};
}

double Display::painted() const {
  std::size_t good = 0;
  std::size_t all = 0;
  for (std::size_t y = kHeight / 4; y < kHeight * 3 / 4; y += 8) {
    for (std::size_t x = kWidth / 4; x < kWidth * 3 / 4; x += 8) {
      std::uint32_t pixel = 0;
      std::memcpy(&pixel, pixels_ + y * line_bytes_ + x * 4, sizeof pixel);
      pixel &= 0xffffffU;
      ++all;
      if (pixel != kBareScreen && pixel != 0) ++good;
    }
  }
  return static_cast<double>(good) / static_cast<double>(all);
}

std::uint64_t Display::checksum(int x, int y, int width, int height) const {
  // FNV-1a over words: a key's echo is many pixels, so any change shows.
  std::uint64_t sum = 14695981039346656037ULL;
  const int right = std::min(x + width, kWidth);
  const int bottom = std::min(y + height, kHeight);
  for (int row = std::max(0, y); row < bottom; ++row) {
    for (int column = std::max(0, x); column < right; ++column) {
      std::uint32_t pixel = 0;
      std::memcpy(&pixel,
                  pixels_ + static_cast<std::size_t>(row) * line_bytes_ +
                      static_cast<std::size_t>(column) * 4,
                  sizeof pixel);
      sum = (sum ^ pixel) * 1099511628211ULL;
    }
  }
  return sum;
}

}  // namespace panal::bench
