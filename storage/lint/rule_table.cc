#include "storage/lint/rule_table.h"

#include <fnmatch.h>

#include <algorithm>
#include <string>

namespace panal::storage::lint {

namespace {

// What brings packages by itself. systemd's wants and cron's directories are what makes it run;
// units that nobody wants do not.
constexpr const char* kPackageManagers[] = {
    "/etc/systemd/system/*.wants/apt-daily*",
    "/etc/systemd/system/*.wants/unattended-upgrades*",
    "/etc/systemd/system/*.wants/packagekit*",
    "/etc/systemd/system/*.wants/dnf-*",
    "/etc/systemd/system/*.wants/snapd*",
    "/etc/systemd/system/*.wants/flatpak-*",
    "/etc/systemd/system/*.wants/update-notifier-*",
    "/etc/cron.daily/apt*",
    "/etc/cron.d/apt*",
    "/etc/cron.*/dnf*",
    "/etc/rc?.d/S??unattended-upgrades",
    "/etc/xdg/autostart/update-notifier.desktop",
    "/etc/xdg/autostart/org.gnome.Software.desktop",
    "/etc/xdg/autostart/gnome-software-service.desktop",
    "/etc/xdg/autostart/org.kde.discover.notifier.desktop",
    "/etc/xdg/autostart/pk-update-icon.desktop",
    "/etc/xdg/autostart/mintupdate*.desktop",
    "/etc/xdg/autostart/snap-userd-autostart.desktop",
};
/// The lists of Debian 12, main, updates and security, as `apt-get update` leaves them: 19 MiB
/// (seen 2026-11). What it makes of them, and packages, come on top.
constexpr std::uint64_t kPackageLists = std::uint64_t{19} << 20;

constexpr const char* kIndexers[] = {
    "/etc/systemd/system/*.wants/plocate-updatedb*",
    "/etc/systemd/system/*.wants/mlocate*",
    "/etc/systemd/system/*.wants/man-db*",
    "/etc/systemd/system/*.wants/logrotate*",
    "/etc/systemd/system/*.wants/dpkg-db-backup*",
    "/etc/cron.*/mlocate",
    "/etc/cron.*/plocate",
    "/etc/cron.*/locate",
    "/etc/cron.*/man-db",
    "/etc/cron.*/logrotate",
    "/etc/cron.*/dpkg",
    "/etc/cron.*/apport",
    "/etc/cron.*/popularity-contest",
    "/etc/cron.*/debsums",
};

constexpr const char* kPrelink[] = {"/etc/cron.*/prelink"};

constexpr const char* kImageLogs[] = {"/var/log/*"};

constexpr const char* kImageCaches[] = {
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
    "/var/lib/apt/lists/*_*",
    "/var/cache/dnf/*",
    "/var/cache/yum/*",
    "/var/cache/man/*",
    "/var/cache/debconf/*-old",
    "/var/lib/dpkg/*-old",
    "/var/backups/*",
    "/var/tmp/*",
    "/tmp/*",
    "/run/*",
    "/root/.cache/*",
    "/home/*/.cache/*",
};

constexpr PlaceRule kImagePlaces[] = {
    {{"package-manager-at-boot",
      "something updates packages by itself in every desktop: lists and packages are each "
      "desktop's own, and so is every library it replaces",
      "update by building the next version", LintScope::kImage, LintCost::kEach,
      LintRepair::kRemove},
     kPackageManagers,
     kPackageLists,
     false},
    {{"indexes-at-boot", "a timer or cron job writes indexes or rewrites files in every desktop",
      "run it when the image is built", LintScope::kImage, LintCost::kEach, LintRepair::kRemove},
     kIndexers,
     0,
     false},
    {{"prelink",
      "prelink rewrites every program and library in each desktop, which are then shared with "
      "nobody",
      "prelink nothing, or when the image is built", LintScope::kImage, LintCost::kEach,
      LintRepair::kRemove},
     kPrelink,
     0,
     false},
    {{"logs-in-image", "logs of the build: who appends to one copies it up whole",
      "remove them in the recipe", LintScope::kImage, LintCost::kEach, LintRepair::kRemove},
     kImageLogs},
    {{"caches-in-image", "leftovers of the build that no desktop needs",
      "remove them in the recipe", LintScope::kImage, LintCost::kOnce, LintRepair::kRemove},
     kImageCaches},
};

constexpr const char* kPackageState[] = {
    "/var/lib/dpkg/*",  "/var/lib/apt/*",     "/var/cache/apt/*",      "/var/cache/debconf/*",
    "/var/lib/rpm/*",   "/var/cache/dnf/*",   "/var/lib/PackageKit/*", "/var/cache/PackageKit/*",
    "/var/lib/snapd/*", "/var/lib/flatpak/*",
};

constexpr const char* kCachesAtStart[] = {
    "/var/cache/fontconfig/*", "/usr/share/mime/*cache", "*/icon-theme.cache", "/etc/ld.so.cache",
    "/var/cache/ldconfig/*",   "*/gschemas.compiled",    "*/loaders.cache",    "*/immodules.cache",
    "*/giomodule.cache",       "*/mimeinfo.cache",
};

constexpr const char* kDesktopLogs[] = {"/var/log/*"};

constexpr const char* kDesktopCaches[] = {"/var/cache/*", "/var/tmp/*",     "/tmp/*",
                                          "/run/*",       "/root/.cache/*", "/home/*/.cache/*"};

constexpr PlaceRule kDesktopPlaces[] = {
    {{"package-manager-ran",
      "packages were installed or updated in the desktop: what they brought is its own",
      "install them in the image; a desktop without a persistent root is as new at its next start",
      LintScope::kDesktop, LintCost::kEach, LintRepair::kNone},
     kPackageState},
    {{"cache-made-at-start", "a cache that programs share was made in the desktop",
      "make it when the image is built", LintScope::kDesktop, LintCost::kEach, LintRepair::kNone},
     kCachesAtStart},
    {{"logs-in-root", "logs are written to the desktop's disk",
      "say logs = \"memory\" or \"off\" in [guest] of the tuning profile", LintScope::kDesktop,
      LintCost::kEach, LintRepair::kNone},
     kDesktopLogs},
    {{"caches-in-root", "caches and temporary files are written to the desktop's disk",
      "say var_tmp = \"memory\" or cache = \"memory\" in [guest] of the tuning profile",
      LintScope::kDesktop, LintCost::kEach, LintRepair::kNone},
     kDesktopCaches},
};

constexpr CacheRule kCaches[] = {
    {"/usr/share/fonts/*.[to]tf", "/var/cache/fontconfig/*.cache-*", false},
    {"/usr/share/mime/packages/*.xml", "/usr/share/mime/mime.cache", false},
    {"/usr/share/glib-2.0/schemas/*.xml", "/usr/share/glib-2.0/schemas/gschemas.compiled", false},
    {"/usr/share/icons/*/index.theme", "@/icon-theme.cache", true},
    {"/usr/lib/*/gdk-pixbuf-2.0/2.10.0/loaders/*.so",
     "/usr/lib/*/gdk-pixbuf-2.0/2.10.0/loaders.cache", false},
    {"/usr/lib/*/gtk-3.0/3.0.0/immodules/*.so", "/usr/lib/*/gtk-3.0/3.0.0/immodules.cache", false},
    {"/usr/lib/*/gio/modules/*.so", "/usr/lib/*/gio/modules/giomodule.cache", false},
    {"/usr/lib/*.so.*", "/etc/ld.so.cache", false},
};

}  // namespace

const LintRule kEqualFiles{"equal-files",
                           "equal files that are not one: each is on disk and in memory by itself",
                           "link them when the image is built",
                           LintScope::kImage,
                           LintCost::kOnce,
                           LintRepair::kLink};
const LintRule kStaleBytecode{
    "stale-bytecode",
    "compiled Python that is not taken for its source's: each program that imports it compiles it "
    "anew, into memory of its own",
    "python3 -m compileall --invalidation-mode unchecked-hash at the build's end",
    LintScope::kImage,
    LintCost::kEach,
    LintRepair::kTrustPyc};
const LintRule kNoBytecode{"no-bytecode",
                           "Python modules that were never compiled: each program compiles them "
                           "anew, into memory of its own",
                           "python3 -m compileall --invalidation-mode unchecked-hash at the "
                           "build's end",
                           LintScope::kImage,
                           LintCost::kEach,
                           LintRepair::kNone};
const LintRule kNoCache{"no-cache",
                        "a cache that programs make for themselves, each its own, where the image "
                        "has none",
                        "make it when the image is built: fc-cache -s, update-mime-database, "
                        "gtk-update-icon-cache, glib-compile-schemas, ldconfig",
                        LintScope::kImage,
                        LintCost::kEach,
                        LintRepair::kNone};
const LintRule kLibraryMetadata{
    "library-metadata-changed",
    "whole copies of programs and libraries of which only owner, mode or times were changed",
    "set owners and modes in the image; run no chown -R or chmod -R over /usr",
    LintScope::kDesktop,
    LintCost::kEach,
    LintRepair::kNone};
const LintRule kLibraryRewritten{
    "library-rewritten",
    "programs and libraries with another content than the version's: upgraded, prelinked or "
    "patched in the desktop",
    "bring them with the image's next version",
    LintScope::kDesktop,
    LintCost::kEach,
    LintRepair::kNone};
const LintRule kBytecodeWritten{"bytecode-at-run-time",
                                "compiled Python was written in the desktop",
                                "compile it when the image is built, or set "
                                "PYTHONDONTWRITEBYTECODE=1",
                                LintScope::kDesktop,
                                LintCost::kEach,
                                LintRepair::kNone};
const LintRule kSameContent{"copied-unchanged",
                            "whole copies of files whose content is the version's",
                            "do not open them for writing, nor change their owner or mode",
                            LintScope::kDesktop,
                            LintCost::kEach,
                            LintRepair::kNone};
const LintRule kBigFileRewritten{"big-file-rewritten",
                                 "big files of the version were copied up whole for a change",
                                 "keep what changes in the home, or in small files",
                                 LintScope::kDesktop,
                                 LintCost::kEach,
                                 LintRepair::kNone};

std::span<const PlaceRule> image_places() { return kImagePlaces; }
std::span<const PlaceRule> desktop_places() { return kDesktopPlaces; }
std::span<const CacheRule> caches() { return kCaches; }

bool matches(Globs globs, const std::string& path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&path](const char* glob) { return ::fnmatch(glob, path.c_str(), 0) == 0; });
}

}  // namespace panal::storage::lint
