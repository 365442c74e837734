internal import CPlatform
internal import Glibc

/// The way from a folder to where a link in it ends, which is gone step by step without following
/// any link, so that nobody can exchange one on the way.
struct LinkWay {
  /// Names of folders, the file's last; `..` leads up.
  private let steps: [[UInt8]]

  /// Finds the way where it leads to an allowed place: in the folder itself, or from
  /// `…/snapshots/<revision>` of the Hugging Face cache, or a folder below it, into `…/blobs`.
  init?(from folder: String, to name: String) {
    guard let home = LinkWay.real(folder),
      let end = LinkWay.real(Folder.join(folder, ExactText(name))),
      let file = end.last
    else { return nil }
    if end.count > home.count, end.starts(with: home) {
      steps = Array(end[home.count...])
      return
    }
    let (snapshots, blobs) = (Array("snapshots".utf8), Array("blobs".utf8))
    let repository = home.indices.dropLast().first { place in
      home[place] == snapshots && end == home[..<place] + [blobs, file]
    }
    guard let repository else { return nil }
    steps =
      Array(repeating: Array("..".utf8), count: home.count - repository) + [blobs, file]
  }

  /// Goes the way from an open folder; returns a descriptor of the file, or -1 with `errno`.
  func open(from folder: Int32, _ flags: Int32) -> Int32 {
    var place = folder
    defer { if place != folder { close(place) } }
    for step in steps.dropLast() {
      let next = fathom_open_place(place, LinkWay.cString(step), 0)
      let code = errno
      if place != folder { close(place) }
      place = next
      guard next >= 0 else {
        // Nothing is left to be closed.
        place = folder
        errno = code
        return -1
      }
    }
    return openat(place, LinkWay.cString(steps[steps.count - 1]), flags | O_NOFOLLOW)
  }

  /// The components of a path without links and dots, nil where nothing is there.
  private static func real(_ path: String) -> [[UInt8]]? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    let bytes = UnsafeRawBufferPointer(start: resolved, count: strlen(resolved))
    return bytes.split(separator: UInt8(ascii: "/")).map(Array.init)
  }

  private static func cString(_ bytes: [UInt8]) -> [CChar] {
    bytes.map { CChar(bitPattern: $0) } + [0]
  }
}
