internal import Codecs
internal import Conversion
package import Dialects
internal import Formats
internal import Locks
internal import Models
package import Platform
package import Tensors
internal import Weights

/// A tensor that two checkpoints have in one shape, and how far apart its values are.
package struct WeightDifference: Sendable {
  /// Hugging Face name.
  package let name: ExactText
  /// Dimensions, outermost first.
  package let shape: Shape
  /// How the first checkpoint stores it.
  package let typeA: ElementType
  /// How the second one does.
  package let typeB: ElementType
  /// Bytes that are the same on both sides; nil where the types differ.
  package let equalBytes: Int?
  /// Bytes that it takes in the first checkpoint, scales apart.
  package let byteCount: Int
  let difference: Difference
  /// Whether both sides have the same bytes, scales among them.
  let hasSameBytes: Bool

  /// Whether all values are the same.
  package var isIdentical: Bool { hasSameBytes || difference.equalElements == difference.elements }
  /// Share of elements whose values are equal bit for bit.
  package var equalShare: Double {
    isIdentical || difference.elements == 0
      ? 1 : Double(difference.equalElements) / Double(difference.elements)
  }
  /// Signal to noise in decibels; nil where there is no difference.
  package var sqnr: Double? { difference.sqnr }
  /// Cosine of the angle between both.
  package var cosine: Double { hasSameBytes ? 1 : difference.cosine }
  /// Largest absolute difference.
  package var maxAbs: Float { difference.maxAbs }
  /// Elements that are NaN or infinite on a side.
  package var nonFinite: Int { difference.nonFinite }
}

/// How far the weights of two checkpoints are apart, tensor by tensor, whatever their formats.
package struct WeightDifferences: Sendable {
  /// Tensors that both have, the farthest apart first; those without a difference by their names.
  package let tensors: [WeightDifference]
  /// Names that the first alone has.
  package let onlyInA: [ExactText]
  /// Names that the second alone has.
  package let onlyInB: [ExactText]
  /// Tensors that both have in different shapes.
  package let reshaped: [(name: ExactText, shapeA: Shape, shapeB: Shape)]

  /// Elements decoded at a time: 4 MB as F32.
  private static let piece = 1 << 20
  /// Bytes of tensors between two reports of progress.
  private static let batchBytes = 256 << 20
  /// Tensors between them at most: empty ones take memory as well.
  private static let batchCount = 4096

  /// Reads both checkpoints once, tensor by tensor.
  ///
  /// - Parameters:
  ///   - keep: names to compare.
  ///   - progress: called with the bytes of the first checkpoint that are done, and all of them.
  /// - Throws: `.malformed` for FP8 without scales, `.inputOutput` where reading fails.
  package init(
    _ a: SourceModel, _ b: SourceModel, threads: Int, keep: (String) -> Bool,
    progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Fault) {
    let (left, right) = (a.weights, b.weights)
    let (ours, theirs) = (try left.names(keep), try right.names(keep))
    onlyInA = ours.filter { right[$0] == nil }
    onlyInB = theirs.filter { left[$0] == nil }
    var reshaped: [(name: ExactText, shapeA: Shape, shapeB: Shape)] = []
    var common: [ExactText] = []
    var total = 0
    for name in ours {
      guard let one = left[name], let other = right[name] else { continue }
      if one.shape == other.shape {
        common.append(name)
        total += one.byteCount
      } else {
        reshaped.append((name, one.shape, other.shape))
      }
    }
    self.reshaped = reshaped
    var tensors: [WeightDifference] = []
    tensors.reserveCapacity(common.count)
    for name in common {
      left.fetchAhead(left[name])
      right.fetchAhead(right[name])
    }
    var (start, done) = (0, 0)
    while start < common.count {
      let batch = WeightDifferences.batch(common[start...], left, right)
      let results = Guarded([WeightDifference?](repeating: nil, count: batch.count))
      try Workers.run(threads: threads, count: batch.count) { _, item throws(Fault) in
        try Interruption.check()
        let result = try WeightDifferences.compare(batch[item].a, batch[item].b, left, right)
        results.withLock { $0[item] = result }
      }
      tensors += results.withLock { $0.compactMap { $0 } }
      done += batch.reduce(0) { $0 + $1.a.byteCount }
      start += batch.count
      progress(done, total)
    }
    tensors.sort { one, other in
      let (x, y) = (WeightDifferences.rank(one), WeightDifferences.rank(other))
      return x == y ? one.name < other.name : x > y
    }
    self.tensors = tensors
  }

  /// The first of tensors that both have, as many as are compared before progress is told.
  private static func batch(
    _ names: ArraySlice<ExactText>, _ left: SourceWeights, _ right: SourceWeights
  ) -> [(a: SourceWeight, b: SourceWeight)] {
    var batch: [(a: SourceWeight, b: SourceWeight)] = []
    var bytes = 0
    for name in names.prefix(batchCount) {
      guard bytes < batchBytes, let one = left[name], let other = right[name] else { break }
      batch.append((one, other))
      bytes += one.byteCount
    }
    return batch
  }

  /// What the order goes by: NaN first, then the noise relative to the signal.
  private static func rank(_ tensor: WeightDifference) -> Double {
    if tensor.isIdentical { return -1 }
    return tensor.nonFinite > 0 ? .infinity : tensor.difference.relativeError
  }

  private static func compare(
    _ a: SourceWeight, _ b: SourceWeight, _ left: SourceWeights,
    _ right: SourceWeights
  ) throws(Fault) -> WeightDifference {
    let equal = try equalBytes(a, b, left, right)
    let hasSameBytes = equal.map { $0.all && $0.count == a.byteCount } ?? false
    var difference = Difference()
    if !hasSameBytes {
      let columns = max(1, a.shape.dimensions.last ?? 1)
      let rows = a.shape.elementCount / columns
      let step = max(1, piece / columns)
      for first in stride(from: 0, to: rows, by: step) {
        let range = first..<min(rows, first + step)
        let (x, y) = (try left.values(a, rows: range), try right.values(b, rows: range))
        difference.add(
          UnsafeBufferPointer(x.bytes.bindMemory(to: Float.self)),
          UnsafeBufferPointer(y.bytes.bindMemory(to: Float.self)))
        withExtendedLifetime((x, y)) {}
      }
    }
    return WeightDifference(
      name: a.name, shape: a.shape, typeA: a.type, typeB: b.type, equalBytes: equal?.count,
      byteCount: a.byteCount, difference: difference, hasSameBytes: hasSameBytes)
  }

  /// Stored bytes that are equal, and whether scales are too; nil where the types differ.
  private static func equalBytes(
    _ a: SourceWeight, _ b: SourceWeight, _ left: SourceWeights,
    _ right: SourceWeights
  ) throws(Fault) -> (count: Int, all: Bool)? {
    let (one, other) = (a.assembly.leaves, b.assembly.leaves)
    guard one.count == other.count else { return nil }
    var (count, all) = (0, true)
    for (x, y) in zip(one, other) {
      guard x.tensor.type == y.tensor.type, x.tensor.byteCount == y.tensor.byteCount,
        x.scaling?.kind == y.scaling?.kind, x.scaling?.scales.type == y.scaling?.scales.type,
        x.scaling?.factor == y.scaling?.factor,
        x.scaling?.stored.count == y.scaling?.stored.count
      else { return nil }
      count += try equalBytes(x.tensor, y.tensor, left, right)
      for (scales, others) in zip(x.scaling?.stored ?? [], y.scaling?.stored ?? []) {
        all = try equalBytes(scales, others, left, right) == scales.byteCount && all
      }
    }
    return (count, all)
  }

  private static func equalBytes(
    _ a: StoredTensor, _ b: StoredTensor, _ left: SourceWeights, _ right: SourceWeights
  ) throws(Fault) -> Int {
    var count = 0
    let size = min(a.byteCount, piece)
    let (x, y) = (ByteBuffer(count: size), ByteBuffer(count: size))
    for start in stride(from: 0, to: a.byteCount, by: max(1, size)) {
      let part = min(size, a.byteCount - start)
      let one = UnsafeMutableRawBufferPointer(rebasing: x.bytes[..<part])
      let other = UnsafeMutableRawBufferPointer(rebasing: y.bytes[..<part])
      try left.inventory.read(a, from: start, into: one)
      try right.inventory.read(b, from: start, into: other)
      count += EqualBytes.count(UnsafeRawBufferPointer(one), UnsafeRawBufferPointer(other))
    }
    withExtendedLifetime((x, y)) {}
    return count
  }
}

extension SourceWeights {
  /// Names of weights that are kept, in the order of their bytes.
  ///
  /// - Throws: where one of them cannot be a weight, or has no order of numbers.
  fileprivate func names(_ keep: (String) -> Bool) throws(Fault) -> [ExactText] {
    for (name, fault) in faults.sorted(by: { $0.key < $1.key }) where keep(name.text) {
      throw fault
    }
    var names: [ExactText] = []
    for weight in all where keep(weight.name.text) {
      for (tensor, scaling) in weight.assembly.leaves {
        guard Codec.codec(for: tensor.type) != nil else {
          throw Fault(
            .malformed, "has a type without an order of numbers", file: path(of: tensor),
            tensor: tensor.name, found: tensor.type.rawValue)
        }
        guard tensor.type != .f8E4M3 || scaling != nil else {
          throw Fault(
            .malformed, "is FP8 without scales", file: path(of: tensor), tensor: tensor.name)
        }
      }
      names.append(weight.name)
    }
    return names
  }
}

/// Counts bytes that agree, 32 at a time.
enum EqualBytes {
  static func count(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let width = 32
    let whole = a.count / width * width
    var different = 0
    for start in stride(from: 0, to: whole, by: width) {
      let x = a.loadUnaligned(fromByteOffset: start, as: SIMD32<UInt8>.self)
      let y = b.loadUnaligned(fromByteOffset: start, as: SIMD32<UInt8>.self)
      guard x != y else { continue }
      let ones = SIMD32<UInt8>.zero.replacing(with: 1, where: x .!= y)
      different += Int(ones.wrappedSum())
    }
    for index in whole..<a.count where a[index] != b[index] { different += 1 }
    return a.count - different
  }
}
