internal import Platform

/// How far apart the values of two tensors are, summed piece by piece.
///
/// Sums over 512 elements are taken in F32 and added up in F64, in the order of the elements: they
/// do not depend on threads, and are within 10⁻⁵ of the exact ones.
struct Difference: Sendable {
  /// Elements compared.
  private(set) var elements = 0
  /// Elements whose values are the same bits.
  private(set) var equalElements = 0
  /// Elements that are NaN or infinite on one side; the sums leave them out.
  private(set) var nonFinite = 0
  /// Largest |a − b|.
  private(set) var maxAbs: Float = 0
  /// Index of the element that it is at, in the order of the tensor.
  private(set) var worstElement: Int?
  private var squaresA = 0.0
  private var squaresB = 0.0
  private var products = 0.0
  private var squaredErrors = 0.0

  /// 10 · log₁₀(Σa² / Σ(a − b)²); nil where there is no difference, −∞ where a is zero.
  var sqnr: Double? {
    guard squaredErrors > 0 else { return nil }
    return 10 * Mathematics.log(squaresA / squaredErrors) / Mathematics.log(10)
  }

  /// Σab / √(Σa² · Σb²); 1 where both are zero, 0 where one is.
  var cosine: Double {
    if squaresA == 0 && squaresB == 0 { return 1 }
    if squaresA == 0 || squaresB == 0 { return 0 }
    return min(1, max(-1, products / (squaresA.squareRoot() * squaresB.squareRoot())))
  }

  /// Σ(a − b)² / Σa².
  var relativeError: Double { squaredErrors == 0 ? 0 : squaredErrors / squaresA }

  private static let group = 512

  /// Adds a piece: a (n), b (n).
  mutating func add(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) {
    precondition(a.count == b.count)
    for start in stride(from: 0, to: a.count, by: Difference.group) {
      let end = min(start + Difference.group, a.count)
      let (left, right) = (
        UnsafeBufferPointer(rebasing: a[start..<end]), UnsafeBufferPointer(rebasing: b[start..<end])
      )
      let sums = GroupSums(left, right)
      if sums.isExact {
        add(sums, left, right)
      } else {
        addOneByOne(left, right)
      }
    }
  }

  mutating func add(_ other: Difference) {
    if other.maxAbs > maxAbs {
      maxAbs = other.maxAbs
      worstElement = other.worstElement.map { $0 + elements }
    }
    elements += other.elements
    equalElements += other.equalElements
    nonFinite += other.nonFinite
    squaresA += other.squaresA
    squaresB += other.squaresB
    products += other.products
    squaredErrors += other.squaredErrors
  }

  private mutating func add(
    _ sums: GroupSums, _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>
  ) {
    if sums.largest > maxAbs {
      maxAbs = sums.largest
      worstElement = elements + (a.indices.first { abs(a[$0] - b[$0]) == maxAbs } ?? 0)
    }
    elements += a.count
    equalElements += sums.equal
    squaresA += Double(sums.squaresA)
    squaresB += Double(sums.squaresB)
    products += Double(sums.products)
    squaredErrors += Double(sums.squaredErrors)
  }

  /// The slow way, for groups in which a sum overflows, squares vanish or an element is no number.
  private mutating func addOneByOne(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>
  ) {
    for index in a.indices {
      if a[index].bitPattern == b[index].bitPattern { equalElements += 1 }
      guard a[index].isFinite, b[index].isFinite else {
        nonFinite += 1
        continue
      }
      let (x, y) = (Double(a[index]), Double(b[index]))
      squaresA += x * x
      squaresB += y * y
      products += x * y
      squaredErrors += (x - y) * (x - y)
      let distance = abs(a[index] - b[index])
      if distance > maxAbs {
        maxAbs = distance
        worstElement = elements + index
      }
    }
    elements += a.count
  }
}

/// Sums over one group of elements.
///
/// Three short loops rather than one: each keeps its sums in the registers of any processor, and
/// the group stays in the first cache between them.
private struct GroupSums {
  let squaresA: Float
  let squaresB: Float
  let products: Float
  let squaredErrors: Float
  let largest: Float
  let equal: Int

  /// Whether F32 held the squares: none overflowed, and those that count are far from its lower end.
  var isExact: Bool {
    let least: Float = 1e-25
    return (squaresA + squaresB + squaredErrors).isFinite && squaresA > least && squaresB > least
      && (largest == 0 || squaredErrors > least)
  }

  init(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) {
    let whole = a.count / 8 * 8
    var (sa, sb, sab, se) = (
      SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero, SIMD8<Float>.zero
    )
    for start in stride(from: 0, to: whole, by: 8) {
      let x = UnsafeRawPointer(a.baseAddress! + start).loadUnaligned(as: SIMD8<Float>.self)
      let y = UnsafeRawPointer(b.baseAddress! + start).loadUnaligned(as: SIMD8<Float>.self)
      let d = x - y
      sa += x * x
      sb += y * y
      sab += x * y
      se += d * d
    }
    var (squaresA, squaresB, products, squaredErrors) = (sa.sum(), sb.sum(), sab.sum(), se.sum())
    for index in whole..<a.count {
      let d = a[index] - b[index]
      squaresA += a[index] * a[index]
      squaresB += b[index] * b[index]
      products += a[index] * b[index]
      squaredErrors += d * d
    }
    var (different, largest): (UInt32, Int32) = (0, 0)
    for index in 0..<a.count {
      let bits = a[index].bitPattern ^ b[index].bitPattern
      // 1 where any bit is set, without a branch.
      different &+= (bits | (0 &- bits)) >> 31
    }
    // Magnitudes are in the order of their bits.
    for index in 0..<a.count {
      let bits = Int32(truncatingIfNeeded: (a[index] - b[index]).bitPattern & 0x7FFF_FFFF)
      largest = bits > largest ? bits : largest
    }
    (self.squaresA, self.squaresB) = (squaresA, squaresB)
    (self.products, self.squaredErrors) = (products, squaredErrors)
    equal = a.count - Int(different)
    self.largest = Float(bitPattern: UInt32(largest))
  }
}
