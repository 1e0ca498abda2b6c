#include "runtime/agent/picture.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace panal::agent {
namespace {

using std::chrono::milliseconds;

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    here = UniqueFd(ends[0]);
    there = UniqueFd(ends[1]);
  }
  UniqueFd here, there;
};

Picture picture(std::uint32_t width, std::uint32_t height) {
  return {.width = width, .height = height, .pixels = std::string(width * height * 4, 'x')};
}

TEST(Picture, ComesWholeThroughASmallBuffer) {
  const Pair pair;
  std::thread sender([&] { EXPECT_TRUE(send_picture(pair.there.get(), picture(640, 480))); });
  const auto got = receive_picture(pair.here.get(), {640, 480}, milliseconds(10000));
  sender.join();
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->width, 640U);
  EXPECT_EQ(got->pixels, picture(640, 480).pixels);
}

TEST(Picture, OfAnotherSizeIsRefusedBeforeItIsRead) {
  for (const auto& [width, height] :
       {std::pair{4U, 4U}, std::pair{0U, 0U}, std::pair{0xffffffffU, 0xffffffffU}}) {
    const Pair pair;
    Picture lie = picture(1, 1);
    lie.width = width;
    lie.height = height;
    ASSERT_TRUE(send_picture(pair.there.get(), lie));
    const auto got = receive_picture(pair.here.get(), {8, 4}, milliseconds(10000));
    EXPECT_EQ(got.error().code, EPROTO) << width;
  }
}

TEST(Picture, ThatIsCutOrNeverComesIsAnError) {
  Pair pair;
  EXPECT_EQ(receive_picture(pair.here.get(), {8, 4}, milliseconds(0)).error().code, ETIMEDOUT);
  Picture cut = picture(8, 4);
  cut.pixels.resize(100);
  ASSERT_TRUE(send_picture(pair.there.get(), cut));
  pair.there.reset();
  EXPECT_EQ(receive_picture(pair.here.get(), {8, 4}, milliseconds(10000)).error().code, ECONNRESET);
  EXPECT_FALSE(send_picture(pair.here.get(), picture(8, 4))) << "nobody is there";
}

}  // namespace
}  // namespace panal::agent
