internal import Dialects
internal import Formats
internal import Platform
internal import Weights

/// What of a plan's files one run writes: everything, or one of several shares.
///
/// It follows from plan, number and count alone, neither from memory nor from threads, so that runs
/// on different machines agree without a word. Shares are consecutive in the order of the output's
/// bytes and have about the same cost. A share begins and ends at a file, or else at a multiple of
/// 64 KiB in one: of pages that two machines would write, a network file system may lose one.
package struct Share: Sendable, Hashable {
  /// Which share it is, from 1 on.
  package let number: Int
  /// How many there are.
  package let count: Int
  /// Of each file of the layout the bytes that are written here; `0..<0` where there are none.
  package let bytes: [Range<Int>]
  /// Of each file the bytes whose tensors are hashed here. Hashes go by parts of a tensor, so that
  /// where a share begins or ends within one, this begins or ends a little later.
  let hashed: [Range<Int>]

  /// Bytes that are written here, headers included.
  package var byteCount: Int { bytes.reduce(0) { $0 + $1.count } }
  /// The files that are written here, wholly or in part.
  package var files: [Int] { bytes.indices.filter { !bytes[$0].isEmpty } }
  /// Whether it is everything.
  var isWhole: Bool { count == 1 }

  /// Beginnings and ends of shares lie at multiples of this in a file.
  static let unit = BLAKE3Stream.partBytes

  /// Everything.
  init(wholeOf plan: Plan) {
    (number, count) = (1, 1)
    bytes = plan.layout.files.map { 0..<$0.byteCount }
    hashed = bytes
  }

  /// Share `number` of `count`.
  package init(_ number: Int, of count: Int, _ plan: Plan) {
    self.init(number, ShareCuts(plan, count: count), plan)
  }

  /// One of the shares that a plan was cut into.
  init(_ number: Int, _ cuts: ShareCuts, _ plan: Plan) {
    precondition((1...cuts.count).contains(number))
    (self.number, count) = (number, cuts.count)
    let (start, end) = (cuts.places[number - 1], cuts.places[number])
    bytes = plan.layout.files.indices.map { file in
      Share.part(of: file, from: start, to: end, size: plan.layout.files[file].byteCount) {
        $0.position
      }
    }
    hashed = plan.layout.files.indices.map { file in
      Share.part(of: file, from: start, to: end, size: plan.layout.files[file].byteCount) {
        cuts.hashPosition($0, plan)
      }
    }
  }

  private static func part(
    of file: Int, from start: ShareCuts.Place, to end: ShareCuts.Place, size: Int,
    _ position: (ShareCuts.Place) -> Int
  ) -> Range<Int> {
    guard file >= start.file, file <= end.file else { return 0..<0 }
    let first = file == start.file ? position(start) : 0
    let last = file == end.file ? position(end) : size
    return first < last ? first..<last : 0..<0
  }

  /// The bytes of a tensor at `offset` of a file that are hashed here, counted from its start.
  func hashed(ofFile file: Int, offset: Int, size: Int) -> Range<Int> {
    let range = hashed[file].clamped(to: offset..<offset + size)
    return range.lowerBound - offset..<range.upperBound - offset
  }

  /// Whether a byte of a file is written here.
  func holds(file: Int, position: Int) -> Bool { bytes[file].contains(position) }

  /// Stored tensors that are hashed here: each by the share that has the first use of it.
  func hashedSources(_ plan: Plan, count: Int) -> [Bool] {
    var isSeen = [Bool](repeating: false, count: count)
    var isOurs = isSeen
    for (file, placed) in plan.layout.files.enumerated() {
      for (tensor, offset) in zip(placed.tensors, placed.offsets) {
        let size = plan.tensors[tensor].entry.byteCount
        let leaves = plan.tensors[tensor].sources.count
        var leaf = 0
        plan.tensors[tensor].assembly.forEachStored { stored in
          defer { leaf += 1 }
          guard !isSeen[stored.index] else { return }
          isSeen[stored.index] = true
          let place = offset + size / max(1, leaves) * min(leaf, leaves - 1)
          isOurs[stored.index] = holds(file: file, position: min(place, placed.byteCount - 1))
        }
      }
    }
    return isOurs
  }
}

/// Where the shares of a plan begin and end.
struct ShareCuts {
  /// A place between two bytes of the output; that behind a file is the start of the next.
  struct Place: Comparable {
    let file: Int
    let position: Int

    static func < (one: Place, other: Place) -> Bool {
      (one.file, one.position) < (other.file, other.position)
    }
  }

  /// The start of each share, and the end of the last.
  let places: [Place]
  /// By what the shares were made even.
  let costs: PlanCost

  /// How many shares there are.
  var count: Int { places.count - 1 }

  /// A share may be so much larger or smaller for a file not to be divided.
  private static let tolerance = 1.0 / 16

  init(_ plan: Plan, count: Int) {
    costs = PlanCost(plan)
    let share = costs.total / Double(count)
    var places = [Place(file: 0, position: 0)]
    // The cost before each file, the last number being that of all.
    var before = [0.0]
    for file in costs.files { before.append(before[before.count - 1] + file.reduce(0, +)) }
    var file = 0
    for number in 1..<max(1, count) {
      let target = share * Double(number)
      while file + 1 < costs.files.count, before[file + 1] <= target { file += 1 }
      let place =
        target - before[file] <= share * ShareCuts.tolerance
        ? Place(file: file, position: 0)
        : before[file + 1] - target <= share * ShareCuts.tolerance
          ? Place(file: file + 1, position: 0)
          : ShareCuts.place(in: file, after: target - before[file], costs.files[file], plan)
      places.append(max(place, places[number - 1]))
    }
    self.places = places + [Place(file: plan.layout.files.count, position: 0)]
  }

  /// The place in a file before which its tensors cost so much, at a whole unit.
  private static func place(
    in file: Int, after cost: Double, _ costs: [Double], _ plan: Plan
  ) -> Place {
    let placed = plan.layout.files[file]
    var rest = cost
    var position = placed.byteCount
    for (index, tensor) in placed.tensors.enumerated() {
      if costs[index] >= rest, costs[index] > 0 {
        let size = Double(plan.tensors[tensor].entry.byteCount)
        position = placed.offsets[index] + Int(size * rest / costs[index])
        break
      }
      rest -= costs[index]
    }
    return Place(file: file, position: position / Share.unit * Share.unit)
  }

  /// Where hashing begins behind a place: at the next part of the tensor that lies across it.
  func hashPosition(_ place: Place, _ plan: Plan) -> Int {
    let file = plan.layout.files[place.file]
    for (tensor, offset) in zip(file.tensors, file.offsets) {
      let size = plan.tensors[tensor].entry.byteCount
      guard offset < place.position, place.position < offset + size else { continue }
      let parts = (place.position - offset + Share.unit - 1) / Share.unit
      return offset + min(size, parts * Share.unit)
    }
    return place.position
  }
}
