internal import CPlatform
internal import Glibc

extension OutputPath {
  /// Hidden files beside the output that runs of fathom left when they were killed, and that no run
  /// is at work on; a line about each. They are named and never removed: what they hold may be what
  /// such a run was about to replace.
  package var leftovers: [String] {
    let parent = Folder.parent(of: path)
    guard let folder = OpenFolder(parent) else { return [] }
    return (folder.names(limit: 1 << 16) ?? []).filter { name in
      OutputPath.isTemporary(name) && folder.mark(of: name)?.kind == .file
        && !OutputPath.isLocked(name, in: folder)
    }.map {
      "\(Folder.join(parent, ExactText($0.shown))) was left by a run that was killed: remove it"
    }
  }

  /// Whether a name is one of `temporaryName`: `.NAME.fathom-` and letters and digits.
  private static func isTemporary(_ name: RawName) -> Bool {
    guard name.begins(with: "."), !name.ends(with: ".fathom-part"),
      let dash = name.bytes.lastIndex(of: UInt8(ascii: "-"))
    else { return false }
    let tag = name.bytes[(dash + 1)...]
    return RawName(Array(name.bytes[...dash])).ends(with: ".fathom-")
      && (1...13).contains(tag.count)
      && tag.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
      }
  }

  private static func isLocked(_ name: RawName, in folder: OpenFolder) -> Bool {
    let descriptor = name.withCString {
      openat(folder.descriptor, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    }
    // One of another user's, perhaps: not this user's to remove.
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    return fathom_lock(descriptor, 0) == EWOULDBLOCK
  }
}
