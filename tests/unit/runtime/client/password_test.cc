#include "runtime/client/password.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/unique_fd.h"

namespace panal::client {
namespace {

Result<std::string> read_from(const std::string& text) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("pipe");
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  if (::write(to.get(), text.data(), text.size()) < 0) return fail_errno("write");
  to.reset();
  return read_password(from.get(), "a pipe");
}

TEST(Password, IsTheFirstLineWithoutItsEnd) {
  EXPECT_EQ(read_from("secret\nsecond\n"), "secret");
  EXPECT_EQ(read_from("secret"), "secret");
  EXPECT_EQ(read_from("secret\r\n"), "secret");
  EXPECT_EQ(read_from(" with spaces \n"), " with spaces ");
  EXPECT_EQ(read_from("g\xc3\xbc:n\n"), "g\xc3\xbc:n");
}

TEST(Password, NoneOrTooMuchIsAnErrorThatNamesTheSource) {
  for (const std::string& text :
       {std::string(), std::string("\nsecret\n"), std::string("\r\n"), std::string(1025, 'x')}) {
    const auto password = read_from(text);
    ASSERT_FALSE(password) << text.size();
    EXPECT_EQ(password.error().code, EINVAL);
    EXPECT_NE(password.error().message().find("a pipe"), std::string::npos);
  }
  const auto absent = read_password_file("/nonexistent/password");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ENOENT);
}

}  // namespace
}  // namespace panal::client
