internal import Dialects
internal import Formats
internal import Platform
internal import Tiles
internal import Weights

/// What the workers of a run do, in the order in which it is taken from them.
struct WorkQueue: Sendable {
  /// A piece of work.
  enum Item: Sendable {
    /// Making a tile of the output.
    case tile(Int)
    /// Hashing what tiles have not hashed of a stretch of a stored tensor, close to the tiles that are
    /// made of it: it is in the system's cache then, so that the disk is read once.
    case stretch(tensor: Int32, number: Int32)
  }

  /// All of them.
  private(set) var items: [Item] = []
  /// Bytes of a stretch: whole parts.
  let stretchBytes: Int

  private let inventory: Inventory
  /// Stored tensors that are hashed here.
  let isHashed: [Bool]
  /// Stretches of each stored tensor that have been put into the queue.
  private var begun: [Int32]

  /// Lists the tiles that files lack, and before each what it is made from.
  ///
  /// - Parameters:
  ///   - share: what of the files is written.
  ///   - kept: up to which byte that is there already, in each file.
  ///   - ledger: says what has to be hashed; nil for nothing.
  ///   - isDelayed: whether tiles hash what they read, so that long tensors are left to them first.
  init(
    _ plan: Plan, _ share: Share, tiles: TileQueue, inventory: Inventory, kept: [Int],
    ledger: ContentLedger?, isDelayed: Bool
  ) {
    self.inventory = inventory
    stretchBytes =
      max(1, plan.buffers.tileBytes / BLAKE3Stream.partBytes) * BLAKE3Stream.partBytes
    isHashed = ledger?.unread() ?? []
    begun = Array(repeating: 0, count: isHashed.count)
    var runs: [(tensor: Int, items: Range<Int>)] = []
    for (file, kept) in kept.enumerated() where kept < share.bytes[file].upperBound {
      let end = max(share.bytes[file].upperBound, share.hashed[file].upperBound)
      runs += tiles.runs(ofFile: file, from: kept, to: end)
    }
    items.reserveCapacity(runs.reduce(0) { $0 + $1.items.count })
    guard ledger != nil else {
      items = runs.flatMap { $0.items.map { .tile($0) } }
      return
    }
    var lastUse = [Int](repeating: -1, count: isHashed.count)
    for (number, run) in runs.enumerated() {
      plan.tensors[run.tensor].assembly.forEachStored { lastUse[$0.index] = number }
    }
    // What an interrupted run has used and not noted comes first.
    for tensor in isHashed.indices where isHashed[tensor] && lastUse[tensor] < 0 {
      advance(tensor, to: inventory.tensors[tensor].byteCount)
    }
    for (number, run) in runs.enumerated() {
      add(run.items, uses: uses(of: plan.tensors[run.tensor], lastUse: lastUse, number: number))
    }
    if isDelayed { delay(by: WorkQueue.tilesPerStretch + 2 * plan.buffers.threads) }
  }

  /// Most tiles that one stretch suffices for: those of codes of 8 bits that become F32 between, or
  /// two of twice their size.
  private static let tilesPerStretch = 8
  /// Parts of a tensor that is read again at no cost worth mentioning.
  private static let fewParts = 4

  /// Moves stretches of long tensors behind so many more tiles, by which time those that hash them are
  /// done.
  private mutating func delay(by tiles: Int) {
    var (result, waiting): ([Item], [(item: Item, due: Int)]) = ([], [])
    result.reserveCapacity(items.count)
    var (done, next) = (0, 0)
    for item in items {
      switch item {
      case .stretch(let tensor, _):
        let size = inventory.tensors[Int(tensor)].byteCount
        if size > WorkQueue.fewParts * BLAKE3Stream.partBytes {
          waiting.append((item, done + tiles))
        } else {
          result.append(item)
        }
      case .tile:
        while next < waiting.count, waiting[next].due <= done {
          result.append(waiting[next].item)
          next += 1
        }
        result.append(item)
        done += 1
      }
    }
    items = result + waiting[next...].map(\.item)
  }

  /// Names the stored tensors that the work reads, in its order, where they lie elsewhere: each as
  /// often as it is read, hashing included, so that it is fetched once.
  func fetchAhead(_ plan: Plan, _ share: Share, _ tiles: TileQueue) {
    guard inventory.shards.contains(where: \.file.isDistant) else { return }
    var order: [Int] = []
    var (hashes, bytes): ([Int: Int], [Int: Int]) = ([:], [:])
    func note(_ tensor: Int) {
      if hashes[tensor] == nil, bytes[tensor] == nil { order.append(tensor) }
    }
    var last: Int?
    for item in items {
      switch item {
      case .stretch(let tensor, let number):
        note(Int(tensor))
        if number == 0 { hashes[Int(tensor)] = 1 }
      case .tile(let number):
        let tile = tiles[number]
        guard tile.tensor != last else { continue }
        last = tile.tensor
        // Of what an earlier run has begun, or another share has too, some alone is read.
        let end = tile.position + plan.tensors[tile.tensor].entry.byteCount
        guard tile.start == 0, end <= share.bytes[tile.file].upperBound else { continue }
        plan.tensors[tile.tensor].assembly.forEachStored { stored in
          note(stored.index)
          bytes[stored.index, default: 0] += stored.byteCount
        }
      }
    }
    for tensor in order {
      let whole = inventory.tensors[tensor]
      guard whole.byteCount > 0 else { continue }
      let reads = (bytes[tensor, default: 0] + whole.byteCount - 1) / whole.byteCount
      for _ in 0..<reads + hashes[tensor, default: 0] { inventory.fetchAhead(whole) }
    }
  }

  /// Stretches of stored tensors that a tensor is made from, in the order of its rows.
  private func uses(
    of tensor: PlannedTensor, lastUse: [Int], number: Int
  ) -> [(tensor: Int, bytes: Range<Int>)] {
    var uses: [(tensor: Int, bytes: Range<Int>)] = []
    tensor.assembly.forEachStored { stored in
      guard isHashed[stored.index] else { return }
      let whole = inventory.tensors[stored.index]
      let start = stored.offset - whole.offset
      // Nobody asks for the rest later.
      let end = lastUse[stored.index] == number ? whole.byteCount : start + stored.byteCount
      uses.append((stored.index, start..<max(start, end)))
    }
    return uses
  }

  /// Puts tiles into the queue, and what they use evenly between them: a stack of 256 experts must
  /// not be read to its end before its first tile.
  private mutating func add(_ tiles: Range<Int>, uses: [(tensor: Int, bytes: Range<Int>)]) {
    let total = uses.reduce(0) { $0 + $1.bytes.count }
    var (next, before) = (0, 0)
    for tile in tiles {
      let share = Double(tile - tiles.lowerBound + 1) / Double(tiles.count)
      let due = tile == tiles.upperBound - 1 ? total : Int(Double(total) * share)
      while next < uses.count {
        let (tensor, bytes) = uses[next]
        advance(tensor, to: bytes.lowerBound + min(bytes.count, due - before))
        guard before + bytes.count <= due else { break }
        before += bytes.count
        next += 1
      }
      items.append(.tile(tile))
    }
    if tiles.isEmpty { for (tensor, bytes) in uses { advance(tensor, to: bytes.upperBound) } }
  }

  /// Puts the stretches of a tensor into the queue that begin before a byte of it.
  private mutating func advance(_ tensor: Int, to end: Int) {
    while Int(begun[tensor]) * stretchBytes < end {
      items.append(.stretch(tensor: Int32(tensor), number: begun[tensor]))
      begun[tensor] += 1
    }
  }
}
