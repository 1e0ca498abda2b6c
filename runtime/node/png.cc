#include "runtime/node/png.h"

#include <png.h>

#include <cstring>
#include <vector>

namespace panal::node {

Result<std::string> png_of(const agent::Picture& picture) {
  const std::size_t count = std::size_t{picture.width} * picture.height;
  if (count == 0 || picture.pixels.size() != count * 4)
    return fail(EINVAL, "a picture whose pixels are not as many as its size says");
  std::vector<png_byte> colours(count * 3);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t pixel = 0;
    std::memcpy(&pixel, picture.pixels.data() + i * 4, sizeof(pixel));
    colours[i * 3] = static_cast<png_byte>(pixel >> 16U);
    colours[i * 3 + 1] = static_cast<png_byte>(pixel >> 8U);
    colours[i * 3 + 2] = static_cast<png_byte>(pixel);
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string out(size, '\0');
  if (png_image_write_to_memory(&image, out.data(), &size, 0, colours.data(), 0, nullptr) == 0)
    return fail(EIO, std::string("make a PNG: ") + static_cast<const char*>(image.message));
  out.resize(size);
  return out;
}

}  // namespace panal::node
