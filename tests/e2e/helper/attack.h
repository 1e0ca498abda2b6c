#pragma once

#include <string>
#include <vector>

// Parts of the attack program: see attack.cc.

void pause_ms(long ms);
std::string read_file(const std::string& path, std::size_t most = 65536);
/// Prints "NAME VALUE".
void say(const char* name, long value);
/// What was taken is kept until the test has looked.
void hold();

// attack_take.cc: what runs out
int take_ptys();
int take_inotify();
int take_watches();
int take_fds();
int take_processes();
int take_maps();
int probe();
int eat(long mib);
int bomb(int seconds);
int dirty(const char* file, long mib, int seconds);

// attack_look.cc: what is to be seen and called
int search(const std::string& file);
int sockets(const std::vector<std::string>& names);
int calls();
