internal import Platform

/// What is held of all distant files of a run: small pieces for a while, and large ones that were
/// named beforehand until they are read.
///
/// Who knows what will be read names it (`expect`); a few threads fetch it in that order, side by
/// side, as far ahead as memory is allowed. So nothing is fetched twice, and a reader waits for a
/// server once, not once for each tile. What nobody named is fetched by whoever reads it, straight to
/// where it is wanted.
final class PieceStore: Sendable {
  /// The store of the process.
  static let shared = PieceStore(
    most: min(256 << 20, Workers.physicalMemory / 8), connections: 16)

  /// Bytes of a piece that is fetched ahead.
  static let pieceBytes = 4 << 20
  /// Reads below that are of headers and small tensors, and may be repeated.
  static let smallBytes = 1 << 16
  /// Pieces that have been read and are kept for a moment: scales at their ends are read again with
  /// each tile of their rows.
  private static let mostDone = 8
  /// Bytes of small pieces that are kept.
  private static let mostSmall = 64 << 20

  /// A range that will be read, and that nobody fetches yet.
  private final class Wanted: Ranged {
    let file: RemoteFile
    private(set) var range: Range<Int>
    /// Bytes that will be read of it, counted as often as they were named.
    var reads: Int
    var isTaken = false

    init(_ file: RemoteFile, _ range: Range<Int>) {
      (self.file, self.range, reads) = (file, range, range.count)
    }

    /// Takes in what follows it, if that is not too much for one piece.
    func extend(by part: Range<Int>) -> Bool {
      guard !isTaken, range.upperBound == part.lowerBound,
        part.upperBound - range.lowerBound <= PieceStore.pieceBytes
      else { return false }
      range = range.lowerBound..<part.upperBound
      reads += part.count
      return true
    }
  }

  private struct State {
    var queue: [Wanted] = []
    /// Those before have been taken.
    var first = 0
    var wanted: [ObjectIdentifier: RangeList<Wanted>] = [:]
    var pieces: [ObjectIdentifier: RangeList<Piece>] = [:]
    /// Small pieces, the oldest first.
    var small: [(file: ObjectIdentifier, piece: Piece)] = []
    var smallBytes = 0
    /// Bytes of large pieces, those on their way too.
    var held = 0
    /// Large pieces that have been read, the oldest first.
    var done: [(file: ObjectIdentifier, piece: Piece)] = []
    var clock = 0
    var threads = 0
    var isStopped = false
  }

  private let monitor = Monitor(State())
  private let most: Int
  private let connections: Int

  init(most: Int, connections: Int) {
    self.most = most
    self.connections = connections
  }

  /// What a reader does next.
  private enum Step {
    case copy(Piece, [UInt8])
    case fetch(Piece)
    /// Into the reader's own buffer.
    case fetchDirectly(end: Int)
    case fail(Fault)
  }

  /// Fills a buffer from an offset on.
  func read(
    _ file: RemoteFile, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    let end = offset + buffer.count
    var position = offset
    while position < end {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[(position - offset)...])
      switch monitor.wait({ state in self.step(&state, file, position, end) }) {
      case .copy(let piece, let bytes):
        let start = position - piece.range.lowerBound
        let count = min(rest.count, bytes.count - start)
        bytes.withUnsafeBytes { held in
          UnsafeMutableRawBufferPointer(rebasing: rest[..<count]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: held[start..<start + count]))
        }
        position += count
        release(file, piece, count)
      case .fetch(let piece): fetch(file, piece)
      case .fetchDirectly(let stop):
        let part = UnsafeMutableRawBufferPointer(rebasing: rest[..<(stop - position)])
        try file.fetch(position..<stop, into: part)
        position = stop
      case .fail(let fault): throw fault
      }
    }
  }

  private func step(
    _ state: inout State, _ file: RemoteFile, _ position: Int, _ end: Int
  ) -> Step? {
    let key = ObjectIdentifier(file)
    let pieces = state.pieces[key] ?? RangeList()
    let (piece, gapEnd) = pieces.find(position, limit: end)
    state.clock += 1
    if let piece {
      piece.lastUse = state.clock
      if let fault = piece.fault {
        drop(&state, key, piece)
        return .fail(fault)
      }
      // Someone is fetching it.
      guard let bytes = piece.bytes else { return nil }
      return .copy(piece, bytes)
    }
    let (wanted, wantedStart) = (state.wanted[key] ?? RangeList()).find(position, limit: gapEnd)
    if let wanted, let free = pieces.gap(at: position, in: wanted.range) {
      if state.held >= most { letGo(&state) }
      return .fetch(take(&state, wanted, free))
    }
    let end = wanted == nil ? wantedStart : gapEnd
    if end - position >= PieceStore.smallBytes { return .fetchDirectly(end: end) }
    // Further than is asked for where that saves another look, up to what is there or will be.
    let isBeginning =
      position < RemoteFile.look && pieces.gap(at: position, in: 0..<end)?.lowerBound == 0
    let start = isBeginning ? 0 : position
    let reach = max(end, min(file.reach(from: start), file.size))
    let stop = (state.wanted[key] ?? RangeList()).find(position, limit: reach).gapEnd
    let free = max(end, min(pieces.find(position, limit: reach).gapEnd, max(stop, end)))
    let small = Piece(start..<free, reads: 0, isSmall: true)
    keep(&state, key, small)
    return .fetch(small)
  }

  private func keep(_ state: inout State, _ key: ObjectIdentifier, _ piece: Piece) {
    state.pieces[key, default: RangeList()].insert(piece)
    state.small.append((key, piece))
    state.smallBytes += piece.range.count
    while state.smallBytes > PieceStore.mostSmall, state.small.count > 1 {
      let (owner, oldest) = state.small.removeFirst()
      state.pieces[owner]?.remove(oldest)
      state.smallBytes -= oldest.range.count
    }
  }

  /// Keeps the beginning of a file, which came before anybody asked for bytes of it.
  func keep(_ file: RemoteFile, beginning bytes: [UInt8]) {
    let piece = Piece(0..<bytes.count, reads: 0, isSmall: true)
    piece.fill(bytes)
    monitor.change { state in
      let key = ObjectIdentifier(file)
      guard !bytes.isEmpty,
        (state.pieces[key] ?? RangeList()).firstGap(in: piece.range) == piece.range
      else { return }
      keep(&state, key, piece)
    }
  }

  /// Makes a piece of what is wanted, less what is there.
  private func take(_ state: inout State, _ wanted: Wanted, _ range: Range<Int>) -> Piece {
    let key = ObjectIdentifier(wanted.file)
    wanted.isTaken = true
    state.wanted[key]?.remove(wanted)
    let isSmall = range.count < PieceStore.smallBytes
    let piece = Piece(
      range, reads: wanted.reads * range.count / max(1, wanted.range.count), isSmall: isSmall)
    if isSmall {
      keep(&state, key, piece)
    } else {
      state.pieces[key, default: RangeList()].insert(piece)
      state.held += piece.range.count
    }
    return piece
  }

  /// Lets go of the large piece that was not used for longest: what was named and is not read must
  /// not stand in the way of what is.
  private func letGo(_ state: inout State) {
    var oldest: (key: ObjectIdentifier, piece: Piece)?
    for (key, list) in state.pieces {
      for piece in list.elements where !piece.isSmall && piece.bytes != nil {
        if piece.lastUse < oldest?.piece.lastUse ?? .max { oldest = (key, piece) }
      }
    }
    guard let oldest else { return }
    drop(&state, oldest.key, oldest.piece)
  }

  private func drop(_ state: inout State, _ key: ObjectIdentifier, _ piece: Piece) {
    guard !piece.isGone else { return }
    piece.isGone = true
    state.pieces[key]?.remove(piece)
    if !piece.isSmall { state.held -= piece.range.count }
  }

  private func fetch(_ file: RemoteFile, _ piece: Piece) {
    var fault: Fault?
    let bytes = [UInt8](unsafeUninitializedCapacity: piece.range.count) { buffer, initialized in
      do throws(Fault) {
        try file.fetch(piece.range, into: UnsafeMutableRawBufferPointer(buffer))
        initialized = piece.range.count
      } catch { fault = error }
    }
    monitor.change { _ in
      if let fault { piece.fault = fault } else { piece.fill(bytes) }
    }
  }

  private func release(_ file: RemoteFile, _ piece: Piece, _ count: Int) {
    guard !piece.isSmall else { return }
    monitor.change { state in
      piece.left -= count
      guard piece.left <= 0, !piece.isDone else { return }
      piece.isDone = true
      state.done.append((ObjectIdentifier(file), piece))
      if state.done.count > PieceStore.mostDone {
        let (owner, oldest) = state.done.removeFirst()
        drop(&state, owner, oldest)
      }
    }
  }

  /// Takes note that a range will be read, after those that were named before it.
  func expect(_ file: RemoteFile, _ range: Range<Int>) {
    let key = ObjectIdentifier(file)
    let missing = monitor.change { state -> Int in
      for start in stride(from: range.lowerBound, to: range.upperBound, by: PieceStore.pieceBytes) {
        let part = start..<min(start + PieceStore.pieceBytes, range.upperBound)
        let (known, gapEnd) = (state.wanted[key] ?? RangeList()).find(start, limit: part.upperBound)
        if let known, known.range.upperBound >= part.upperBound { known.reads += part.count }
        guard known == nil, gapEnd == part.upperBound else { continue }
        if let last = state.queue.last, last.file === file, last.extend(by: part) { continue }
        let wanted = Wanted(file, part)
        state.wanted[key, default: RangeList()].insert(wanted)
        state.queue.append(wanted)
      }
      let missing = state.isStopped ? 0 : min(connections, state.queue.count) - state.threads
      state.threads += max(0, missing)
      return missing
    }
    for _ in 0..<max(0, missing) { Background.start { [self] in fetchAhead() } }
  }

  /// Fetches what is wanted, in order, until the program ends.
  private func fetchAhead() {
    while true {
      let next = monitor.wait { state -> (RemoteFile, Piece)?? in
        if state.isStopped { return .some(nil) }
        while state.first < state.queue.count {
          let wanted = state.queue[state.first]
          let key = ObjectIdentifier(wanted.file)
          let range = wanted.range
          // What a reader has fetched meanwhile, a part of it perhaps, is not fetched again.
          let free = (state.pieces[key] ?? RangeList()).firstGap(in: range)
          guard !wanted.isTaken, let free else {
            if !wanted.isTaken { state.wanted[key]?.remove(wanted) }
            wanted.isTaken = true
            state.first += 1
            continue
          }
          guard state.held + range.count <= most else { return nil }
          state.first += 1
          return (wanted.file, take(&state, wanted, free))
        }
        return nil
      }
      guard let (file, piece) = next else { return }
      fetch(file, piece)
    }
  }

  /// Ends the threads; what is read afterwards is fetched by its reader.
  func stop() { monitor.change { $0.isStopped = true } }
}
