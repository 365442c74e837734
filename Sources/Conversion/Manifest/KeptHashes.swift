internal import Dialects
internal import Formats
internal import Platform

extension ContentLedger {
  /// What is known of a conversion that goes on: what its journal says, and what is read again of
  /// the rest that was kept, which is little more than the tensor that was being written.
  ///
  /// - Throws: `.inputOutput` where what was kept cannot be read, `.interrupted`.
  init(
    _ plan: Plan, inventory: Inventory, records: ConversionRecords, kept: KeptWork,
    work: WorkFolder
  ) throws(Fault) {
    self.init(plan, inventory: inventory)
    var isKept = [Bool](repeating: false, count: plan.tensors.count)
    let places = plan.layout.files.enumerated().flatMap { number, file in
      zip(file.tensors, file.offsets).map { (file: number, tensor: $0, offset: $1) }
    }
    for place in places {
      let end = place.offset + plan.tensors[place.tensor].entry.byteCount
      isKept[place.tensor] = end <= kept.bytes[place.file]
    }
    take(records.hashes) { isKept[$0] }
    let tiles = TileQueue(plan)
    let starts = plan.layout.files.indices.map { file in
      kept.bytes[file] < plan.layout.files[file].byteCount
        ? tiles.firstPosition(ofFile: file, from: kept.bytes[file]) : Int.max
    }
    for place in places where output[place.tensor] == nil {
      let size = plan.tensors[place.tensor].entry.byteCount
      // A tile that was written in part is made anew, and hashed as a whole then.
      let end =
        isKept[place.tensor] ? place.offset + size : min(starts[place.file], place.offset + size)
      guard end > place.offset, kept.bytes[place.file] > 0,
        let file = try KeptWork.find(
          plan.layout.files[place.file], work: work, isPlacing: records.isPlacing)
      else { continue }
      for start in stride(from: place.offset, to: end, by: 1 << 20) {
        try Interruption.check()
        let piece = try file.read(at: start, count: min(1 << 20, end - start))
        piece.withUnsafeBytes { take(output: place.tensor, $0) }
      }
    }
  }
}
