/// How IQ2 and IQ3 find scale and codes of a sub-block: x ≈ scale · (2 · code + 1), the codes of each
/// group being a point of a grid.
///
/// A few scales around the obvious one are tried. Codes that are no point of the grid give way to the
/// nearest of the points around them; then, with the best scale, some are chosen anew.
struct GridSearch {
  /// Which groups are chosen anew with the scale that was found.
  enum Renewal {
    case every, everyIfOneWasMoved, moved
  }

  let grid: PointGrid
  /// Elements of a sub-block.
  let count: Int
  /// Scales range / (2 · levels − 1 + step · i) are tried for −last ≤ i ≤ last.
  let last: Int
  let step: Float
  let renewal: Renewal
  /// Whether the largest code's scale is first searched for without the grid.
  var fitsRange = false
  /// Whether the number of signs of each 8 elements must be even, since seven are stored.
  var isEven = true
  /// Below this a sub-block counts as all zero.
  var tiny = BlockMath.tiny
  /// The mean square that enters the weights, as a multiple of the block's.
  var spread: Float = 1
  /// Whether without importance a quarter of the mean square is added to the weights, which are x².
  var addsMean = false
  /// What the scale of the scales is multiplied by before it is stored.
  var stretch: Float = 1

  /// Memory of a search. Groups have up to 8 words.
  struct Scratch {
    /// The elements without their signs.
    let x: UnsafeMutablePointer<Float>
    let weights: UnsafeMutablePointer<Float>
    /// The roots of the weights, which weigh the choice between points.
    let roots: UnsafeMutablePointer<Float>
    /// Codes of the groups, and those of the candidate under trial.
    let words: UnsafeMutablePointer<UInt16>
    let trial: UnsafeMutablePointer<UInt16>
    /// The signs of each 8 elements.
    let signs: UnsafeMutablePointer<UInt8>

    static func with<Result>(_ body: (Scratch) -> Result) -> Result {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 96) { floats in
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 18) { words in
          let (f, w) = (floats.baseAddress!, words.baseAddress!)
          w.update(repeating: 0, count: 18)
          return (w + 16).withMemoryRebound(to: UInt8.self, capacity: 4) { signs in
            body(
              Scratch(
                x: f, weights: f + 32, roots: f + 64, words: w, trial: w + 8, signs: signs))
          }
        }
      }
    }
  }

  private var groups: Int { count / grid.elements }
  private var top: Float { Float(2 * grid.levels - 1) }

  /// The scale of the elements in `s`, whose words it leaves there.
  ///
  /// - Parameters:
  ///   - range: what the largest code shall reach with the scale that is tried first.
  ///   - start: the scale where no candidate is better than none.
  /// - Returns: nil where llama.cpp gives up: no point is at a finite distance, or the scale is NaN.
  func scale(_ s: Scratch, range: Float, start: Float) -> Float? {
    var (scale, best): (Float, Float) = (start, 0)
    // Which groups are not what rounding gives. One bit for each.
    var moved = renewal == .everyIfOneWasMoved ? 1 : 0
    s.words.update(repeating: 0, count: groups)
    for index in -last...last {
      let inverse = (top + Float(index) * step) / range
      var movedNow = 0
      for group in 0..<groups {
        guard let (word, isMoved) = nearest(s, group, inverse, scale: 1 / inverse) else {
          return nil
        }
        s.trial[group] = word
        if isMoved { movedNow |= 1 << group }
      }
      let (product, square) = sums(s, s.trial)
      if square > 0 && product * product > best * square {
        scale = product / square
        best = scale * product
        moved = movedNow
        s.words.update(from: s.trial, count: groups)
      }
    }
    if scale > 0 && (moved != 0 || renewal == .every) {
      for group in 0..<groups where renewal != .moved || moved >> group & 1 == 1 {
        guard let (word, _) = nearest(s, group, 1 / scale, scale: scale) else { return nil }
        s.words[group] = word
      }
      let (product, square) = sums(s, s.words)
      if square > 0 { scale = product / square }
    }
    return scale.isNaN ? nil : scale
  }

  /// The point for a group at a scale, and whether it is another than rounding gives.
  private func nearest(
    _ s: Scratch, _ group: Int, _ inverse: Float, scale: Float
  ) -> (word: UInt16, isMoved: Bool)? {
    let (x, roots) = (s.x + group * grid.elements, s.roots + group * grid.elements)
    let limit = Int32(grid.levels - 1)
    var cell = 0
    for element in (0..<grid.elements).reversed() {
      let code = BlockMath.nearest(0.5 * (inverse * x[element] - 1), 0, limit)
      cell = cell * grid.levels + Int(code)
    }
    let place = Int(grid.cells[cell])
    let first = place >> 10 * 16
    if place & 1 == 1 { return (grid.lists[first], false) }
    var best = Float.greatestFiniteMagnitude
    var found: UInt16?
    for index in first..<first + place >> 1 & 511 {
      let word = grid.lists[index]
      var distance: Float = 0
      for element in 0..<grid.elements {
        let difference = scale * value(word, element) - x[element]
        distance += roots[element] * difference * difference
      }
      if distance < best { (best, found) = (distance, word) }
    }
    return found.map { ($0, true) }
  }

  @inline(__always)
  private func value(_ word: UInt16, _ element: Int) -> Float {
    let (shift, mask) = (Int32(grid.bits * element), Int32(grid.levels > 4 ? 7 : 3))
    let code: Int32 = Int32(word) >> shift & mask
    return Float(2 * code + 1)
  }

  private func sums(
    _ s: Scratch, _ words: UnsafePointer<UInt16>
  ) -> (product: Float, square: Float) {
    var (product, square): (Float, Float) = (0, 0)
    for index in 0..<count {
      let code = value(words[index / grid.elements], index % grid.elements)
      product += s.weights[index] * s.x[index] * code
      square += s.weights[index] * code * code
    }
    return (product, square)
  }
}
