package import Dialects
internal import Formats
internal import Locks
internal import Tensors

/// Scales and offsets that were found together with the codes of the same rows, and wait for the
/// tiles that write them, so that rows are read and quantized once and not once for each part.
///
/// It may lack any of them: what is not here is found anew, with the same bytes.
package final class KeptParts: Sendable {
  /// A part that goes with the codes of the same weight.
  struct Companion {
    /// Index in `PlannedOutput.tensors`.
    let tensor: Int
    let part: Operation.Part
  }

  /// Rows of a companion; tiles of a weight's parts have the same rows.
  private struct Key: Hashable {
    let tensor: Int
    let row: Int
  }

  private struct State {
    var pieces: [Key: ByteBuffer] = [:]
    var byteCount = 0
    /// What was asked for before it was there: nobody will ask again.
    var missed: Set<Key> = []
  }

  private let companions: [Int: [Companion]]
  private let capacity: Int
  private let state = Guarded(State())

  /// - Parameter capacity: most bytes that are kept.
  init(_ output: PlannedOutput, capacity: Int) {
    companions = capacity > 0 ? KeptParts.companions(output) : [:]
    self.capacity = capacity
  }

  /// What is found with the codes of a tensor and written behind them, by the index of that.
  private static func companions(_ output: PlannedOutput) -> [Int: [Companion]] {
    let tensors = output.tensors
    var places = [Int](repeating: 0, count: tensors.count)
    for (place, tensor) in output.layout.files.flatMap(\.tensors).enumerated() {
      places[tensor] = place
    }
    var found: [Int: [Companion]] = [:]
    var codes: Int?
    for (index, tensor) in tensors.enumerated() {
      guard case .quantize(let quantization, let part) = tensor.operation else { continue }
      switch part {
      case .codes: codes = index
      case .globalScale: continue
      case .scales, .offsets:
        guard let codes, case .quantize(quantization, _) = tensors[codes].operation,
          tensors[codes].assembly == tensor.assembly, places[codes] < places[index]
        else { continue }
        found[codes, default: []].append(Companion(tensor: index, part: part))
      }
    }
    return found
  }

  /// The most bytes that wait at a time: more is of no use.
  package static func mostBytes(_ output: PlannedOutput) -> Int {
    let companions = companions(output)
    let waiting = Set(companions.values.joined().map(\.tensor))
    var (most, now) = (0, 0)
    for tensor in output.layout.files.flatMap(\.tensors) {
      for companion in companions[tensor] ?? [] {
        now += output.tensors[companion.tensor].entry.byteCount
      }
      most = max(most, now)
      if waiting.contains(tensor) { now -= output.tensors[tensor].entry.byteCount }
    }
    return most
  }

  /// Room for what goes with some rows of codes; empty where there is none.
  ///
  /// - Parameter size: bytes that a companion has in those rows.
  func room(
    forRowsOf codes: Int, _ size: (Companion) -> Int
  ) -> [(companion: Companion, bytes: ByteBuffer)] {
    guard let wanted = companions[codes] else { return [] }
    let total = wanted.reduce(0) { $0 + size($1) }
    let hasRoom = state.withLock { state in
      guard state.byteCount + total <= capacity else { return false }
      state.byteCount += total
      return true
    }
    return hasRoom ? wanted.map { ($0, ByteBuffer(count: size($0))) } : []
  }

  /// Keeps what was written into room that was made before.
  func keep(_ bytes: ByteBuffer, of companion: Companion, row: Int) {
    let key = Key(tensor: companion.tensor, row: row)
    state.withLock { state in
      if state.missed.remove(key) == nil {
        state.pieces[key] = bytes
      } else {
        state.byteCount -= bytes.count
      }
    }
  }

  /// Hands out what was kept of a tile, once.
  func take(tensor: Int, row: Int, byteCount: Int) -> ByteBuffer? {
    let key = Key(tensor: tensor, row: row)
    return state.withLock { state in
      guard let piece = state.pieces.removeValue(forKey: key) else {
        state.missed.insert(key)
        return nil
      }
      state.byteCount -= piece.count
      return piece.count == byteCount ? piece : nil
    }
  }
}
