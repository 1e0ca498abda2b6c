#include "runtime/client/http.h"

#include <gtest/gtest.h>

namespace panal::client {
namespace {

TEST(ResponseHead, IsTakenOffTheFrontAndLeavesTheRest) {
  std::string buffer =
      "HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: abc\r\nx-panal-cookie:  00ff "
      "\r\n\r\nNX";
  const auto head = take_head(buffer);
  ASSERT_TRUE(head && *head);
  EXPECT_EQ((*head)->status, 101);
  EXPECT_EQ((*head)->reason, "Switching Protocols");
  EXPECT_EQ((*head)->header("X-Panal-Cookie"), "00ff");
  EXPECT_EQ((*head)->header("Other"), std::nullopt);
  EXPECT_EQ(buffer, "NX");
}

TEST(ResponseHead, WaitsForTheEmptyLine) {
  std::string buffer = "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: starting\r\n";
  const auto head = take_head(buffer);
  ASSERT_TRUE(head);
  EXPECT_FALSE(*head);
  std::string begin = "HT";
  EXPECT_TRUE(take_head(begin));
}

TEST(ResponseHead, MalformedIsAnErrorThatSaysSo) {
  for (const char* text :
       {"SSH-2.0-OpenSSH", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: no name\r\n\r\n"}) {
    std::string buffer = text;
    const auto head = take_head(buffer);
    ASSERT_FALSE(head) << text;
    EXPECT_EQ(head.error().code, EPROTO) << text;
  }
  std::string endless = "HTTP/1.1 200 OK\r\nX: " + std::string(kHeadBytes, 'x');
  EXPECT_EQ(take_head(endless).error().code, EMSGSIZE);
}

TEST(BodyLength, IsRequiredAndBounded) {
  const auto with = [](std::string value) {
    return ResponseHead{200, "OK", {{"content-length", std::move(value)}}};
  };
  EXPECT_EQ(body_length(with("12")), 12U);
  EXPECT_EQ(body_length(ResponseHead{}).error().code, EPROTO);
  for (const char* bad : {"", "-1", "+1", "1 2", "0x10", "99999999999999999999999"})
    EXPECT_EQ(body_length(with(bad)).error().code, EPROTO) << bad;
  EXPECT_EQ(body_length(with("4194305")).error().code, EMSGSIZE);
}

TEST(Encoding, Rfc4648AndRfc3986Vectors) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(url_encode("pc105/es ñ,="), "pc105%2Fes%20%C3%B1%2C%3D");
}

TEST(Request, IsAGetWithBasicAuthorization) {
  EXPECT_EQ(render_get("/qvd/list_of_vm", "h:1", "a", "b:c", {{"Upgrade", "QVD/1.0"}}),
            "GET /qvd/list_of_vm HTTP/1.1\r\nHost: h:1\r\nAuthorization: Basic YTpiOmM=\r\n"
            "User-Agent: panal-client/0.1 (Linux)\r\nUpgrade: QVD/1.0\r\n\r\n");
}

}  // namespace
}  // namespace panal::client
