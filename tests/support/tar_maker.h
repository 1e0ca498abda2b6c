#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace panal::test {

/// Tarballs byte by byte, so that they can say what no packer writes.
class TarMaker {
 public:
  struct Entry {
    std::string name;
    char type =
        '0';  ///< '0' file, '1' hard link, '2' link, '3' '4' devices, '5' directory, '6' FIFO
    std::string data;
    unsigned mode = 0644;
    unsigned uid = 0;
    unsigned gid = 0;
    std::string target;
    std::uint64_t modified_s = 1'700'000'000;
    std::vector<std::pair<std::string, std::string>> pax;
  };

  TarMaker& add(const Entry& entry) {
    if (!entry.pax.empty()) {
      Entry records;
      records.name = "pax";
      records.type = 'x';
      for (const auto& [key, value] : entry.pax) records.data += pax_record(key, value);
      put(records);
    }
    put(entry);
    return *this;
  }
  TarMaker& directory(const std::string& name, unsigned mode = 0755) {
    Entry entry;
    entry.name = name + "/";
    entry.type = '5';
    entry.mode = mode;
    return add(entry);
  }
  TarMaker& file(const std::string& name, const std::string& data, unsigned mode = 0644) {
    Entry entry;
    entry.name = name;
    entry.data = data;
    entry.mode = mode;
    return add(entry);
  }
  TarMaker& link(const std::string& name, const std::string& target, char type = '2') {
    Entry entry;
    entry.name = name;
    entry.type = type;
    entry.target = target;
    entry.mode = 0777;
    return add(entry);
  }
  /// The least that an import takes for a root file system.
  TarMaker& root() {
    return directory("etc").directory("usr").directory("usr/bin").file("usr/bin/sh", "#!", 0755);
  }

  /// With its end, or without.
  [[nodiscard]] std::string text(bool ended = true) const {
    return ended ? bytes_ + std::string(1024, '\0') : bytes_;
  }

 private:
  static std::string pax_record(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return std::to_string(length) + rest;
  }

  static void copy(char* field, std::size_t size, const std::string& text) {
    std::memcpy(field, text.data(), text.size() < size ? text.size() : size);
  }
  /// `size` - 1 octal digits, zeros in front.
  static void octal(char* field, std::size_t size, std::uint64_t value) {
    for (std::size_t at = size - 1; at > 0; --at, value /= 8)
      field[at - 1] = static_cast<char>('0' + value % 8);
  }

  void put(const Entry& entry) {
    std::array<char, 512> block{};
    char* header = block.data();
    copy(header, 100, entry.name);
    octal(header + 100, 8, entry.mode);
    octal(header + 108, 8, entry.uid);
    octal(header + 116, 8, entry.gid);
    octal(header + 124, 12, entry.data.size());
    octal(header + 136, 12, entry.modified_s);
    std::memset(header + 148, ' ', 8);
    header[156] = entry.type;
    copy(header + 157, 100, entry.target);
    std::memcpy(header + 257, "ustar\00000", 8);
    octal(header + 329, 8, entry.type == '3' ? 1 : 0);
    octal(header + 337, 8, entry.type == '3' ? 3 : 0);
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    octal(header + 148, 7, sum);
    header[155] = ' ';
    bytes_.append(header, block.size());
    bytes_ += entry.data;
    bytes_.append((512 - entry.data.size() % 512) % 512, '\0');
  }

  std::string bytes_;
};

}  // namespace panal::test
