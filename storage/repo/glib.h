#pragma once

/// GLib and libostree in C++ hands. Included by sources of storage/repo and storage/transfer only:
/// public headers stay free of both.

#include <gio/gio.h>
#include <ostree.h>

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "storage/repo/object.h"
#include "storage/repo/work.h"

namespace panal::storage::glib {

struct Free {
  void operator()(void* memory) const noexcept { ::g_free(memory); }
};
struct Unref {
  void operator()(void* object) const noexcept { ::g_object_unref(object); }
};
struct VariantUnref {
  void operator()(GVariant* variant) const noexcept { ::g_variant_unref(variant); }
};
struct ModifierUnref {
  void operator()(OstreeRepoCommitModifier* modifier) const noexcept {
    ::ostree_repo_commit_modifier_unref(modifier);
  }
};
struct KeyFileUnref {
  void operator()(GKeyFile* file) const noexcept { ::g_key_file_unref(file); }
};

using Text = std::unique_ptr<char, Free>;
using Digest = std::unique_ptr<guchar, Free>;  ///< 32 bytes
template <typename T>
using Object = std::unique_ptr<T, Unref>;
using Variant = std::unique_ptr<GVariant, VariantUnref>;
using Modifier = std::unique_ptr<OstreeRepoCommitModifier, ModifierUnref>;
using KeyFile = std::unique_ptr<GKeyFile, KeyFileUnref>;

/// Passes an owner where a function gives a pointer back: `f(into(owner))`. The owner has it at the
/// end of the full expression, so inside an `if`'s body.
template <typename Owner>
class Into {
 public:
  using Pointer = typename Owner::pointer;
  explicit Into(Owner& owner) : owner_(owner) {}
  Into(const Into&) = delete;
  Into& operator=(const Into&) = delete;
  ~Into() { owner_.reset(pointer_); }
  operator Pointer*() { return &pointer_; }  // NOLINT(google-explicit-constructor): its purpose

 private:
  Owner& owner_;
  Pointer pointer_ = nullptr;
};
template <typename Owner>
[[nodiscard]] Into<Owner> into(Owner& owner) {
  return Into<Owner>(owner);
}

/// A function's GError, and how it becomes an Error of ours.
class Problem {
 public:
  Problem() = default;
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;
  ~Problem() { ::g_clear_error(&error_); }

  /// Where the function puts it; may be used again.
  [[nodiscard]] GError** out() {
    ::g_clear_error(&error_);
    return &error_;
  }
  /// "context: what libostree says", with the errno value that fits; EIO where none does.
  [[nodiscard]] Failure failure(std::string_view context) const;
  /// The errno value alone.
  [[nodiscard]] int code() const;

 private:
  GError* error_ = nullptr;
};

/// Carries Work::cancelled over to functions that take a GCancellable: they look at it now and
/// then, and whoever is called back from them calls poll().
class Cancellable {
 public:
  explicit Cancellable(const Work& work) : work_(work), object_(::g_cancellable_new()) { poll(); }
  void poll() {
    if (work_.is_cancelled()) ::g_cancellable_cancel(object_.get());
  }
  [[nodiscard]] GCancellable* get() const { return object_.get(); }

 private:
  const Work& work_;
  Object<GCancellable> object_;
};

[[nodiscard]] OstreeObjectType type_of(ObjectType type);

/// The bytes of a variant.
[[nodiscard]] std::string bytes_of(GVariant* variant);

}  // namespace panal::storage::glib
