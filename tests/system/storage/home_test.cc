#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "tests/system/storage/home_fixture.h"

namespace panal::storage {
namespace {

using ::testing::HasSubstr;

class HomeTest : public HomesTest {
 protected:
  HomeStore store() { return HomeStore(dir_ + "/homes"); }
};

int save(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  return fd < 0 ? errno : (::write(fd, "mine", 4) == 4 ? 0 : errno);
}

TEST_F(HomeTest, OutlivesDesktopsAndIdRanges) {
  HomeStore homes = store();
  const HomeSpec first = spec(1);
  const auto attached = homes.attach(first);
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(stat_of(first.mount_point).st_uid, first.ids.first + 1000);
  EXPECT_EQ(stat_of(first.mount_point).st_mode & 07777U, 0700U);
  ASSERT_EQ(inside(first.ids, 1000, [&] { return save(first.mount_point + "/letter"); }), 0);
  EXPECT_EQ(stat_of(dir_ + "/homes/acme/alice/letter").st_uid, 1000U) << "not canonical on disk";
  struct statvfs info{};
  ASSERT_EQ(::statvfs(first.mount_point.c_str(), &info), 0);
  EXPECT_TRUE((info.f_flag & ST_NOSUID) != 0 && (info.f_flag & ST_NODEV) != 0);
  ASSERT_TRUE(homes.detach(first));
  ASSERT_TRUE(homes.detach(first)) << "not attached is not an error";

  const HomeSpec second = spec(2);
  ASSERT_TRUE(homes.attach(second));
  EXPECT_EQ(read(second.mount_point + "/letter"), "mine");
  EXPECT_EQ(stat_of(second.mount_point + "/letter").st_uid, second.ids.first + 1000);
  ASSERT_TRUE(homes.detach(second));
}

TEST_F(HomeTest, HasOneWriter) {
  HomeStore homes = store();
  const HomeSpec holder = spec(3);
  const HomeSpec other = spec(4);
  ASSERT_TRUE(homes.attach(holder));
  const auto refused = homes.attach(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EBUSY);
  EXPECT_THAT(refused.error().context, HasSubstr("home alice is open in d3"));
  ASSERT_TRUE(homes.detach(other)) << "must not drop the holder's lock";
  EXPECT_FALSE(homes.attach(other));
  const auto removed = homes.remove("acme", "alice");
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, EBUSY);
  ASSERT_TRUE(homes.attach(spec(4, "bob"))) << "another home is free";
  ASSERT_TRUE(homes.detach(holder));
  const auto taken = homes.attach(other);
  ASSERT_FALSE(taken) << "d4's mount point holds bob's home";
  EXPECT_EQ(taken.error().code, EBUSY);
}

TEST_F(HomeTest, RecoverKeepsTheLocksOfTheLiving) {
  HomeStore homes = store();
  ASSERT_TRUE(homes.attach(spec(1, "alice")));
  ASSERT_TRUE(homes.attach(spec(2, "bob")));
  HomeStore next = store();
  ASSERT_TRUE(next.recover({"d2"}));
  EXPECT_TRUE(next.attach(spec(3, "alice")));
  EXPECT_FALSE(next.attach(spec(4, "bob")));
}

TEST_F(HomeTest, RefusesNamesThatLeaveTheirDirectory) {
  HomeStore homes = store();
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "../x", "a\nb", "x.lock"}) {
    HomeSpec bad = spec(1, name);
    const auto attached = homes.attach(bad);
    ASSERT_FALSE(attached) << name;
    EXPECT_EQ(attached.error().code, EINVAL) << name;
    bad = spec(1);
    bad.tenant = name;
    EXPECT_FALSE(homes.attach(bad)) << name;
    EXPECT_FALSE(homes.remove("acme", name)) << name;
  }
}

TEST_F(HomeTest, SaysWhichHomesATenantHas) {
  HomeStore homes = store();
  EXPECT_TRUE(homes.homes_of("acme")->empty()) << "no directory yet";
  ASSERT_TRUE(homes.attach(spec(1, "bob")));
  ASSERT_TRUE(homes.attach(spec(2, "alice")));
  const auto found = homes.homes_of("acme");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_THAT(*found, ::testing::ElementsAre("alice", "bob")) << "and none of their locks";
  ASSERT_TRUE(homes.detach(spec(1, "bob")));
  ASSERT_TRUE(homes.detach(spec(2, "alice")));
}

TEST_F(HomeTest, RemoveDeletesForGood) {
  HomeStore homes = store();
  const HomeSpec home = spec(1);
  ASSERT_TRUE(homes.attach(home));
  ASSERT_EQ(inside(home.ids, 1000, [&] { return save(home.mount_point + "/letter"); }), 0);
  ASSERT_TRUE(homes.detach(home));
  ASSERT_TRUE(homes.remove("acme", "alice"));
  EXPECT_EQ(homes.remove("acme", "alice").error().code, ENOENT);
  ASSERT_TRUE(homes.attach(home));
  EXPECT_TRUE(std::filesystem::is_empty(home.mount_point));
  ASSERT_TRUE(homes.detach(home));
}

}  // namespace
}  // namespace panal::storage
