#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/desktop/groups.h"
#include "runtime/desktop/lxc/backend.h"
#include "runtime/desktop/lxc/fd_message.h"
#include "runtime/desktop/pidfd_info.h"
#include "runtime/desktop/places.h"
#include "runtime/desktop/saved_spec.h"

namespace panal::desktop {
namespace {

TEST(ContainerInit, IsPidOneOneNamespaceDownAndAlive) {
  const auto is_init = [](const std::string& name, const char* rest) {
    const auto process = kernel::parse_process_status("Name:\t" + name + "\nPPid:\t9\n" + rest);
    return process && is_container_init(*process);
  };
  EXPECT_TRUE(is_init("init", "State:\tS (sleeping)\nNSpid:\t4711\t1\n"));
  EXPECT_TRUE(is_init("init", "State:\tR (running)\nNSpid:\t2\t1"));
  for (const char* rest :
       {"", "State:\tS\nNSpid:\t1\n", "State:\tS\nNSpid:\t4711\t2\n",
        "State:\tS\nNSpid:\t4711\t9\t1\n", "State:\tZ (zombie)\nNSpid:\t4711\t1\n",
        "State:\tX (dead)\nNSpid:\t4711\t1\n", "NSpid:\t4711\t1\n",
        "State:\tS\nNSpid:\t4711\t11\n"})
    EXPECT_FALSE(is_init("init", rest)) << rest;
  // A name cannot have a line end in proc's status; this is what an escape would look like.
  EXPECT_FALSE(is_init("x\\nNSpid:\\t5\\t1", "State:\tS\nNSpid:\t4711\n"));
}

TEST(KernelName, IsReadBackStrictly) {
  EXPECT_EQ(parse_kernel_name("d7"), 7);
  EXPECT_EQ(parse_kernel_name("d9223372036854775807"), 9223372036854775807);
  for (const char* name : {"", "d", "7", "d07", "d0", "d-1", "d7x", "d7/..", "dd7", "D7", "d 7",
                           "d9223372036854775808", "lxc.pivot"})
    EXPECT_FALSE(parse_kernel_name(name)) << name;
}

TEST(SavedSpec, ComesBack) {
  DesktopSpec spec;
  spec.id = 7;
  spec.home = "al ice=\n%";
  spec.user.tenant = "acme";
  spec.user.uid = 1234;
  spec.user.gid = 5;
  spec.ids = IdRange{4000000000U, 65536};
  spec.persistent = true;
  spec.sharing.merge = true;
  spec.sharing.trust = "guests";
  spec.sharing.apart = {"firefox-esr", "x++"};
  spec.compose = "fuse-overlayfs";
  const auto text = print_saved(spec);
  ASSERT_TRUE(text);
  const auto back = parse_saved(*text);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->id, 7);
  EXPECT_EQ(back->home, spec.home);
  EXPECT_EQ(back->user.tenant, "acme");
  EXPECT_EQ(back->user.uid, 1234U);
  EXPECT_EQ(back->ids, spec.ids);
  EXPECT_TRUE(back->persistent);
  EXPECT_EQ(back->sharing, spec.sharing);
  EXPECT_EQ(back->compose, "fuse-overlayfs");
}

TEST(SavedSpec, MalformedTextIsRefused) {
  for (const char* text :
       {"", "desktop", "hello id=7", "desktop id=x", "desktop id=7 uid=1 gid=1 ids_first=-1",
        "desktop id=7 uid=1 gid=1 ids_first=1 ids_count=4294967296 persistent=0",
        "desktop id=7 uid=1 gid=1 ids_first=1 ids_count=1 persistent=2", "\xff\xfe"})
    EXPECT_FALSE(parse_saved(text)) << text;
}

TEST(LastLines, KeepsTheEndAndEscapes) {
  EXPECT_EQ(lxc::last_lines("", 3), "");
  EXPECT_EQ(lxc::last_lines("\n\n", 3), "");
  EXPECT_EQ(lxc::last_lines("a\nb\n\nc", 2), "b\nc\n");
  EXPECT_EQ(lxc::last_lines("a\r\nb\r\n", 9), "a\nb\n");
  EXPECT_EQ(lxc::last_lines("\x1b[31mred\n", 1), "\\x1b[31mred\n");
  EXPECT_LE(lxc::last_lines(std::string(100000, 'x'), 5).size(), 310U);
}

class Pair : public ::testing::Test {
 protected:
  Pair() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    a = UniqueFd(pair[0]);
    b = UniqueFd(pair[1]);
  }
  UniqueFd a;
  UniqueFd b;
};

TEST_F(Pair, ADescriptorPasses) {
  const auto self = Pidfd::open(::getpid());
  ASSERT_TRUE(self);
  ASSERT_TRUE(lxc::send_message(a, "started", self->fd()));
  auto message = lxc::receive_message(b, 1000);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text, "started");
  ASSERT_TRUE(message->fd);
  EXPECT_NE(::fcntl(message->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  const auto held = pidfd_with_pid(std::move(message->fd));
  ASSERT_TRUE(held) << held.error().message();
  EXPECT_EQ(held->pid(), ::getpid());
}

TEST_F(Pair, TextAloneAndTheEnd) {
  ASSERT_TRUE(lxc::send_message(a, "failed"));
  const auto message = lxc::receive_message(b, 1000);
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->fd);
  EXPECT_EQ(lxc::receive_message(b, 0).error().code, ETIMEDOUT);
  a.reset();
  const auto end = lxc::receive_message(b, 1000);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->text.empty());
  EXPECT_EQ(lxc::send_message(b, "x").error().code, EPIPE);
}

TEST_F(Pair, AMessageTooLongIsAnErrorAndNotHalfAMessage) {
  ASSERT_TRUE(lxc::send_message(a, std::string(9000, 'x')));
  EXPECT_EQ(lxc::receive_message(b, 1000).error().code, EMSGSIZE);
}

TEST(PidfdWithPid, RefusesWhatIsNone) {
  UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(pidfd_with_pid(std::move(file)).error().code, EINVAL);
}

}  // namespace
}  // namespace panal::desktop
