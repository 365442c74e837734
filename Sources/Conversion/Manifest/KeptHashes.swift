internal import Dialects
internal import Formats
internal import Platform
internal import Tiles

extension ContentLedger {
  /// What is known of a conversion that goes on: what its journal says, and what is read again of
  /// the rest that was kept, which is little more than the tensor that was being written.
  ///
  /// - Throws: `.inputOutput` where what was kept cannot be read, `.interrupted`.
  init(
    _ plan: Plan, _ share: Share, inventory: Inventory, records: ConversionRecords,
    kept: KeptWork, work: WorkFolder
  ) throws(Fault) {
    self.init(plan, share, inventory: inventory)
    var isKept = [Bool](repeating: false, count: plan.tensors.count)
    let places = plan.layout.files.enumerated().flatMap { number, file in
      zip(file.tensors, file.offsets).map { (file: number, tensor: $0, offset: $1) }
    }
    for place in places {
      // What a share hashes behind its own bytes, it noted with them.
      let end = min(
        place.offset + hashed[place.tensor].upperBound, share.bytes[place.file].upperBound)
      isKept[place.tensor] = !hashed[place.tensor].isEmpty && end <= kept.bytes[place.file]
    }
    take(records.hashes) { isKept[$0] }
    let known = records.stretches.filter { stretch in
      let start = stretch.parts.lowerBound * BLAKE3Stream.partBytes
      return isKept[stretch.tensor] && start == hashed[stretch.tensor].lowerBound
    }
    take(known)
    let stretched = Set(known.map(\.tensor))
    let tiles = TileQueue(plan.output, plan.buffers)
    let starts = plan.layout.files.indices.map { file in
      kept.bytes[file] < share.bytes[file].upperBound
        ? tiles.firstPosition(ofFile: file, from: kept.bytes[file]) : Int.max
    }
    for place in places where output[place.tensor] == nil && !stretched.contains(place.tensor) {
      let (first, last) = (
        place.offset + hashed[place.tensor].lowerBound,
        place.offset + hashed[place.tensor].upperBound
      )
      // A tile that was written in part is made anew, and hashed as a whole then.
      let end = isKept[place.tensor] ? last : min(starts[place.file], last)
      guard end > first, kept.bytes[place.file] > share.bytes[place.file].lowerBound,
        let file = try KeptWork.find(
          plan.layout.files[place.file], work: work, isPlacing: records.isPlacing)
      else { continue }
      for start in stride(from: first, to: end, by: 1 << 20) {
        try Interruption.check()
        let piece = try file.read(at: start, count: min(1 << 20, end - start))
        piece.withUnsafeBytes { take(output: place.tensor, $0, at: start - place.offset) }
      }
    }
  }
}
