package import Platform

/// Bytes of distant files that stay on this machine's disk as long as the run does, since it may read
/// them again: a pass in several groups of sequences reads all weights for each of them.
///
/// They lie in a file without a name. What has a place there keeps it: weights are read in turn, so that
/// of those that came last none would still be there when they are needed again. All bytes were held to
/// what is known of the contents when they came (`PinnedContents`).
package final class DiskCache: Sendable {
  /// The cache of the process, which keeps nothing until it is opened.
  package static let shared = DiskCache()

  /// A range that is held, and where it lies.
  private final class Held: Ranged, Sendable {
    let range: Range<Int>
    let place: Int

    init(_ range: Range<Int>, at place: Int) { (self.range, self.place) = (range, place) }
  }

  /// What is held of a file. It stays alive with it, since another at its place in memory would be
  /// taken for it.
  private struct Contents {
    let file: RemoteFile
    var ranges = RangeList<Held>()
  }

  private struct State {
    var file: ScratchFile?
    /// Bytes that may be held.
    var room = 0
    /// Bytes that have been given a place.
    var end = 0
    var held: [ObjectIdentifier: Contents] = [:]
    /// Bytes that were read again.
    var reused = 0
  }

  private let monitor = Monitor(State())

  private init() {}

  /// Bytes that were read from it so far.
  package var reused: Int { monitor.change { $0.reused } }

  /// Begins to keep what is fetched, in a file in `TMPDIR`, or else in `/var/tmp`.
  ///
  /// - Parameter most: bytes that it may have.
  /// - Throws: `.cannotCreate` with the system's reason.
  package func open(most: Int) throws(Fault) {
    let folder = Variables.text("TMPDIR") ?? "/var/tmp"
    let file = try ScratchFile(
      beside: OutputPath(Folder.join(folder, "fathom-cache"), overwrite: false, orFinished: true))
    monitor.change { ($0.file, $0.room) = (file, most) }
  }

  /// What a reader does next.
  private enum Step {
    /// From here.
    case copy(ScratchFile, place: Int, count: Int)
    /// From the server, up to there.
    case fetch(end: Int)
  }

  /// Fills a buffer with a range of a file: with what is held, and with what `fetch` brings, which is
  /// held from then on as far as there is room.
  func read(
    _ file: RemoteFile, _ range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer,
    fetch: (Range<Int>, UnsafeMutableRawBufferPointer) throws(Fault) -> Void
  ) throws(Fault) {
    let key = ObjectIdentifier(file)
    var position = range.lowerBound
    while position < range.upperBound {
      let start = position - range.lowerBound
      switch step(key, position, range.upperBound) {
      case .copy(let scratch, let place, let count):
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
        try scratch.read(at: place, into: part)
        position += count
      case .fetch(let end):
        let count = end - position
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + count])
        try fetch(position..<end, part)
        keep(file, position, UnsafeRawBufferPointer(part))
        position = end
      }
    }
  }

  private func step(_ key: ObjectIdentifier, _ position: Int, _ end: Int) -> Step {
    monitor.change { state in
      guard let file = state.file, let held = state.held[key]?.ranges else {
        return .fetch(end: end)
      }
      let (found, gapEnd) = held.find(position, limit: end)
      guard let found else { return .fetch(end: gapEnd) }
      let count = min(end, found.range.upperBound) - position
      state.reused += count
      return .copy(file, place: found.place + position - found.range.lowerBound, count: count)
    }
  }

  /// Holds bytes of a file from an offset on. A disk that is full holds no more, which costs time alone.
  private func keep(_ file: RemoteFile, _ offset: Int, _ bytes: UnsafeRawBufferPointer) {
    let place = monitor.change { state -> (file: ScratchFile, place: Int, count: Int)? in
      let count = min(bytes.count, state.room - state.end)
      guard let file = state.file, count > 0 else { return nil }
      state.end += count
      return (file, state.end - count, count)
    }
    guard let place else { return }
    let range = offset..<offset + place.count
    do throws(Fault) {
      try place.file.write(UnsafeRawBufferPointer(rebasing: bytes[..<place.count]), at: place.place)
    } catch {
      monitor.change { $0.room = 0 }
      Console.message("fathom: warning: no more is kept of what is read from servers: \(error)")
      return
    }
    monitor.change { state in
      // Two readers may have fetched the same at one time.
      var contents = state.held[ObjectIdentifier(file)] ?? Contents(file: file)
      guard contents.ranges.firstGap(in: range) == range else { return }
      contents.ranges.insert(Held(range, at: place.place))
      state.held[ObjectIdentifier(file)] = contents
    }
  }
}
