#include "storage/unpack/python_cache.h"

#include <sys/stat.h>

#include "tests/unit/storage/unpack/scratch.h"

namespace panal::storage::unpack {
namespace {

namespace fs = std::filesystem;

/// Python 3.11's, of a source of 5 bytes made at 0x01020304.
std::string compiled(unsigned magic = 3495, unsigned flags = 0) {
  std::string bytes("\0\0\r\n\0\0\0\0\4\3\2\1\5\0\0\0code", 20);
  bytes[0] = static_cast<char>(magic & 0xffU);
  bytes[1] = static_cast<char>(magic >> 8U);
  bytes[4] = static_cast<char>(flags);
  return bytes;
}

bool fresh(const std::string& bytes, std::int64_t modified = 0x01020304, std::int64_t size = 5) {
  return is_fresh_cache({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()},
                        modified, size);
}

TEST(PythonCache, FitsItsSource) {
  EXPECT_TRUE(fresh(compiled()));
  EXPECT_TRUE(fresh(compiled(3394)));
  EXPECT_TRUE(fresh(compiled(), 0x1'0102'0304)) << "32 bits of the time are kept";
  EXPECT_FALSE(fresh(compiled(), 0x01020305));
  EXPECT_FALSE(fresh(compiled(), 0));
  EXPECT_FALSE(fresh(compiled(), 0x01020304, 6));
  EXPECT_FALSE(fresh(compiled(3379))) << "Python 3.6 has no flags";
  EXPECT_FALSE(fresh(compiled(62211))) << "Python 2.7";
  EXPECT_FALSE(fresh(compiled(3495, 1))) << "has a hash already";
  EXPECT_FALSE(fresh(compiled(3495, 3)));
  EXPECT_FALSE(fresh(compiled().substr(0, 15)));
  EXPECT_FALSE(fresh(""));
  std::string text = compiled();
  text[2] = '\n';
  EXPECT_FALSE(fresh(text));
}

class PythonCacheTest : public ScratchTest {
 protected:
  void put(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(dir_ + "/" + path).parent_path());
    std::ofstream(dir_ + "/" + path, std::ios::binary) << text;
    const timespec times[2] = {{0x01020304, 0}, {0x01020304, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ + "/" + path).c_str(), times, 0), 0);
  }
};

TEST_F(PythonCacheTest, OnlyFreshOnesArePinned) {
  put("lib/good.py", "pass\n");
  put("lib/__pycache__/good.cpython-311.pyc", compiled());
  put("lib/__pycache__/good.cpython-311.opt-1.pyc", compiled());
  put("lib/__pycache__/gone.cpython-311.pyc", compiled());
  put("lib/stale.py", "changed since\n");
  put("lib/__pycache__/stale.cpython-311.pyc", compiled());
  put("lib/good.pyc", compiled());
  put("lib/__pycache__/good.txt", compiled());
  put("lib/__pycache__/short.pyc", "x");
  put("lib/short.py", "pass\n");
  // A source or a compiled file that is a link is let alone.
  put("lib/real.py", "pass\n");
  fs::create_symlink("real.py", dir_ + "/lib/linked.py");
  put("lib/__pycache__/linked.cpython-311.pyc", compiled());
  put("lib/other.py", "pass\n");
  put("outside.pyc", compiled());
  fs::create_symlink("../../outside.pyc", dir_ + "/lib/__pycache__/other.cpython-311.pyc");

  const auto pinned = pin_python_caches(dir_);
  ASSERT_TRUE(pinned) << pinned.error().message();
  EXPECT_EQ(*pinned, 2U);
  EXPECT_EQ(read_file(dir_ + "/lib/__pycache__/good.cpython-311.pyc"), compiled(3495, 1));
  EXPECT_EQ(read_file(dir_ + "/lib/__pycache__/good.cpython-311.opt-1.pyc"), compiled(3495, 1));
  for (const char* path : {"lib/__pycache__/gone.cpython-311.pyc", "lib/good.pyc", "outside.pyc",
                           "lib/__pycache__/stale.cpython-311.pyc", "lib/__pycache__/good.txt",
                           "lib/__pycache__/linked.cpython-311.pyc"})
    EXPECT_EQ(read_file(dir_ + "/" + path), compiled()) << path;
  EXPECT_EQ(*pin_python_caches(dir_), 0U) << "once";
}

}  // namespace
}  // namespace panal::storage::unpack
